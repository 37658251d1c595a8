-- How many rows a file has and how many of them are dropped; of each column its bad cells, or what
-- its values look like when nobody declared it. `ties` are rows of one key that nothing but their lines tells
-- the order of.
SELECT
  {% for column in columns %}
  {% if column.bad %}
  COUNTIF({{ column.bad_name }}) AS {{ column.bad_name }},
  {% endif %}
  {% if column.kinds %}
  {{ column.kinds }} AS {{ column.kinds_name }},
  {% endif %}
  {% endfor %}
  {% if order %}
  COUNTIF(NOT is_dropped) - COUNT(DISTINCT IF(is_dropped, NULL, CONCAT(
    {% for column in order %}COALESCE(TO_JSON_STRING({{ column.value_name }}), '-'), '|'{% if not loop.last %}, {% endif %}{% endfor %}

  ))) AS ties,
  {% endif %}
  {% if bad_line %}
  COUNTIF(bad_line IS NOT NULL) AS bad_lines,
  {% endif %}
  COUNTIF(is_dropped) AS dropped_rows,
  COUNT(*) AS row_count
FROM (
  {{ typed }}
) AS typed
