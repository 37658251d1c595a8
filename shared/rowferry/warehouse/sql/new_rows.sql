-- What `send: new` and `send: all` would send now. `new`: rows whose cursor is in the window
-- (above the last one less the lag, up to a fixed end) and that were not sent before. Rows that are
-- the same to the last column are told apart by their number, so none is lost. One row at position 0
-- holds the counts of the same snapshot. With `skip_dead`, dead letters that have not changed stay where they are.
WITH model AS {{ model | query }},
keyed AS (
  SELECT
    {{ key_expression }} AS row_key,
    {% if cursor %}
    {{ cursor.name | column }} AS row_cursor,
    {% endif %}
    {% for column in columns %}
    {{ column.name | column }} AS c_{{ loop.index0 | number }}{% if not loop.last %},{% endif +%}
    {% endfor %}
  FROM model
  {% if cursor %}
  WHERE {{ cursor.name | column }} IS NULL
    OR ({{ cursor.name | column }} <= CAST(@upto AS {{ cursor.type | type }})
    {% if bounded %} AND {{ cursor.name | column }} >= CAST(@above AS {{ cursor.type | type }}){% endif %})
  {% endif %}
),
printed AS (
  SELECT
    *,
    FARM_FINGERPRINT(CONCAT(
      COALESCE(row_key, '-')
      {% if cursor %}, '|', COALESCE(TO_JSON_STRING(row_cursor), '-'){% endif +%}
      {% if not keyed %}{% for column in columns %}, '|', COALESCE(TO_JSON_STRING(c_{{ loop.index0 | number }}), '-'){% endfor %}{% endif +%}
    )) AS id_print,
    {% if skip_dead %}
    FARM_FINGERPRINT(CONCAT('{{ salt }}'{% for column in columns %}, '|', COALESCE(TO_JSON_STRING(c_{{ loop.index0 | number }}), '-'){% endfor %})) AS row_print
    {% else %}
    CAST(0 AS INT64) AS row_print
    {% endif %}
  FROM keyed
),
numbered AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY id_print ORDER BY {% for column in columns %}TO_JSON_STRING(c_{{ loop.index0 | number }}){% if not loop.last %}, {% endif %}{% endfor %}) AS same
  FROM printed
),
named AS (
  SELECT *, CONCAT(COALESCE(row_key, ''), '@', CAST(id_print AS STRING), IF(same > 1, CONCAT('#', CAST(same AS STRING)), '')) AS row_id
  FROM numbered
),
decided AS (
  SELECT
    named.*,
    CASE
      {% if skip_dead %}
      WHEN dead.row_print = named.row_print THEN 'dead'
      {% endif %}
      {% if keyed %}
      WHEN named.row_key IS NULL THEN 'missing_key'
      {% endif %}
      {% if cursor %}
      WHEN named.row_cursor IS NULL THEN 'missing_cursor'
      {% endif %}
      ELSE 'create'
    END AS op
  FROM named
  {% if only_dead %}
  JOIN {{ dead_letters | table }} AS dead
    ON dead.row_id = named.row_id AND dead.sync = @sync AND dead.destination = @destination AND dead.status = 'open'
    {{ dead_filter }}
  {% elif cursor %}
  LEFT JOIN {{ dead_letters | table }} AS dead
    ON dead.row_id = named.row_id AND dead.sync = @sync AND dead.destination = @destination AND dead.status = 'open'
    AND named.row_cursor IS NULL
  {% if not is_backfill %}
  LEFT JOIN {{ sent | table }} AS sent ON sent.row_id = named.row_id
  {% endif %}
  WHERE dead.row_id IS NULL{% if not is_backfill %} AND sent.row_id IS NULL{% endif +%}
  {% elif skip_dead %}
  LEFT JOIN {{ dead_letters | table }} AS dead
    ON dead.row_id = named.row_id AND dead.sync = @sync AND dead.destination = @destination AND dead.status = 'open'
  {% endif %}
),
counts AS (
  SELECT
    COUNT(*) AS read_rows,
    COUNTIF(op = 'dead') AS dead,
    COUNTIF(op = 'missing_key') AS missing_key,
    COUNTIF(op = 'missing_cursor') AS missing_cursor,
    COUNTIF(op = 'create') AS creates
    {% if cursor %},
    CAST(MAX(row_cursor) AS STRING) AS last_cursor
    {% endif %}
  FROM decided
)
SELECT
  ROW_NUMBER() OVER (ORDER BY IF(op = 'create', 0, 2), {% if cursor %}row_cursor, {% endif %}row_id) AS rowferry_position,
  row_id,
  row_key,
  op,
  CAST(NULL AS STRING) AS mask,
  row_print,
  CAST(NULL AS STRING) AS summary,
  {% if cursor %}
  row_cursor,
  {% endif %}
  {% for column in columns %}
  c_{{ loop.index0 | number }}{% if not loop.last %},{% endif +%}
  {% endfor %}
FROM decided
WHERE op != 'dead'
UNION ALL
SELECT
  0,
  '',
  CAST(NULL AS STRING),
  'summary',
  CAST(NULL AS STRING),
  0,
  TO_JSON_STRING(STRUCT(read_rows, dead, missing_key, missing_cursor, creates{% if cursor %}, last_cursor{% endif %})),
  {% if cursor %}
  CAST(NULL AS {{ cursor.type | type }}),
  {% endif %}
  {% for column in columns %}
  CAST(NULL AS {{ column.type | type }}){% if not loop.last %},{% endif +%}
  {% endfor %}
FROM counts
