-- Each cell that could not be cast, with the line of the file that it stands in, and each line that is no row.
INSERT INTO {{ rejected_cells | table }} (file, version, feed, table_name, line, `column`, value, reason, row_loaded, loaded_at)
{% if bad_line %}
SELECT
  file,
  version,
  @feed,
  @table_name,
  line,
  CAST(NULL AS STRING),
  SUBSTR(bad_line_text, 1, 10000),
  bad_line,
  FALSE,
  @loaded_at
FROM (
  {{ typed }}
) AS typed
WHERE bad_line IS NOT NULL
{% if columns %}
UNION ALL
{% endif %}
{% endif %}
{% for column in columns %}
SELECT
  file,
  version,
  @feed,
  @table_name,
  line,
  {{ column.name | text }},
  SUBSTR({{ column.text_name }}, 1, 10000),
  {{ column.reason | text }},
  NOT is_dropped,
  @loaded_at
FROM (
  {{ typed }}
) AS typed
WHERE {{ column.bad_name }}
{% if not loop.last %}
UNION ALL
{% endif %}
{% endfor %}
