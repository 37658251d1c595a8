-- Each cell that could not be cast, with the line of the file that it stands in, and each line that is no row.
-- The rows are read once for all columns: BigQuery takes statements of 1 MB, and each column's casts are long. Place 0 is the
-- whole line; -1 is nowhere, for a file without a bad cell.
INSERT INTO {{ rejected_cells | table }} (file, version, feed, table_name, line, `column`, value, reason, row_loaded, loaded_at)
SELECT
  file,
  version,
  @feed,
  @table_name,
  line,
  CASE place{% for column in columns %} WHEN {{ loop.index | number }} THEN {{ column.name | text }}{% endfor %} WHEN -1 THEN '' END,
  SUBSTR(CASE place{% for column in columns %} WHEN {{ loop.index | number }} THEN {{ column.text_name }}{% endfor %}{% if bad_line %} WHEN 0 THEN bad_line_text{% endif %} END, 1, 10000),
  CASE place{% for column in columns %} WHEN {{ loop.index | number }} THEN {{ column.reason | text }}{% endfor %}{% if bad_line %} WHEN 0 THEN bad_line{% endif %} END,
  NOT is_dropped,
  @loaded_at
FROM (
  {{ typed }}
) AS typed
CROSS JOIN UNNEST(GENERATE_ARRAY(0, {{ places | number }})) AS place
WHERE CASE place{% for column in columns %} WHEN {{ loop.index | number }} THEN {{ column.bad_name }}{% endfor %} WHEN 0 THEN {% if bad_line %}bad_line IS NOT NULL{% else %}FALSE{% endif %} END
