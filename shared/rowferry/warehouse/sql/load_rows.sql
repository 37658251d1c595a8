-- The rows of a file as they stand in the table.
SELECT
  {% for column in columns %}
  {{ column.value_name }} AS {{ column.name | column }},
  {% endfor %}
  file AS _rowferry_file,
  line AS _rowferry_line,
  @loaded_at AS _rowferry_loaded_at
FROM (
  {{ typed }}
) AS typed
WHERE NOT is_dropped
