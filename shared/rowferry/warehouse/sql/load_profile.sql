-- How many rows a file has and how many of them are dropped; of each column its bad cells, or what
-- its values look like when nobody declared it.
SELECT
  {% for column in columns %}
  {% if column.bad %}
  COUNTIF({{ column.bad_name }}) AS {{ column.bad_name }},
  {% endif %}
  {% if column.kinds %}
  {{ column.kinds }} AS {{ column.kinds_name }},
  {% endif %}
  {% endfor %}
  COUNTIF(is_dropped) AS dropped_rows,
  COUNT(*) AS row_count
FROM (
  {{ typed }}
) AS typed
