-- A feed's table as tools want it: typed columns, none of ours, and of rows with the same key the newest.
SELECT
  {% for column in columns %}
  {{ column.value }} AS {{ column.name | column }}{% if not loop.last %},{% endif %}

  {% endfor %}
FROM {{ table | table }}
{% if key %}
WHERE TRUE
QUALIFY {% for name in key %}{{ name | column }} IS NULL OR {% endfor %}ROW_NUMBER() OVER (
  PARTITION BY {{ key | columns }}
  ORDER BY {% if newest_by %}{{ newest_by | column }} IS NULL, {{ newest_by | column }} DESC, {% endif %}_rowferry_loaded_at DESC, _rowferry_file DESC, _rowferry_line DESC
) = 1
{% endif %}
