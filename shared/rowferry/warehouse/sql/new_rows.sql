-- What `send: new` and `send: all` would send now. `new`: rows whose cursor is in the window (above the
-- last one less the lag, up to a fixed end) and that were not sent before. With `skips_dead`, dead letters that have not
-- changed stay where they are; in a queue those without a key, for they can't be marked. One row at position 0 holds the counts of the same snapshot.
--
-- Rows with the same key and cursor are a group, most often of one: its name is the row's id, so that a row
-- that is edited in place stays the row it was. Where a group has several they are told apart by their
-- content, and those that are the same to the last column by their number. Without a cursor the content always
-- counts: the key may come again in a later run with something else, and the vendor must not take that for a
-- repeat. What is known of a group (sent before, or a dead letter) is matched with its rows by content first. The
-- rest of both are taken for rows that were edited, unless there are more rows than that: then some are new, and
-- rather one too many is sent. They replace what was known, for else it would be taken for the next new row.
--
-- Where all rows are read (`all`, a replay), dead letters whose row is there no more are stale: they go with the run.
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
      -- what has no key is known by its content alone
      , IF(row_key IS NULL, CONCAT(''{% for column in columns %}, '|', COALESCE(TO_JSON_STRING(c_{{ loop.index0 | number }}), '-'){% endfor %}), '')
    )) AS id_print,
    FARM_FINGERPRINT(CONCAT('{{ salt }}'{% for column in columns %}, '|', COALESCE(TO_JSON_STRING(c_{{ loop.index0 | number }}), '-'){% endfor %})) AS row_print
  FROM keyed
),
numbered AS (
  SELECT
    *,
    CONCAT(COALESCE(row_key, ''), '@', CAST(id_print AS STRING)) AS row_group,
    ROW_NUMBER() OVER (PARTITION BY id_print, row_print ORDER BY row_key) AS same,
    COUNT(*) OVER (PARTITION BY id_print) AS alike
  FROM printed
),
named AS (
  SELECT
    *,
    CONCAT(
      row_group,
      IF(row_key IS NOT NULL{% if cursor %} AND alike > 1{% endif %}, CONCAT('~', CAST(row_print AS STRING)), ''),
      IF(same > 1, CONCAT('#', CAST(same AS STRING)), '')
    ) AS own_id
  FROM numbered
),
dead AS (
  SELECT row_id, row_print, run, code
  FROM {{ dead_letters | table }}
  WHERE sync = @sync AND destination = @destination AND status = 'open'
),
remembered AS (
  {% if cursor %}
  SELECT
    COALESCE(dead.row_id, sent.row_id) AS row_id,
    COALESCE(dead.row_print, sent.row_print) AS row_print,
    dead.row_id IS NOT NULL {{ dead_filter }} AS is_dead
  FROM (SELECT row_id, row_print FROM {{ sent | table }} WHERE row_id != '') AS sent
  FULL JOIN dead ON dead.row_id = sent.row_id
  {% else %}
  SELECT row_id, row_print, TRUE {{ dead_filter }} AS is_dead FROM dead
  {% endif %}
),
known AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY row_group, row_print ORDER BY row_id) AS same
  FROM (SELECT *, REGEXP_REPLACE(row_id, r'(~-?[0-9]+)?(#[0-9]+)?$', '') AS row_group FROM remembered)
),
matched AS (
  SELECT named.*, known.row_id AS known_id, known.is_dead
  FROM named
  LEFT JOIN known ON known.row_group = named.row_group AND known.row_print = named.row_print AND known.same = named.same
),
spare AS (
  SELECT
    known.row_id,
    known.row_group,
    known.is_dead,
    ROW_NUMBER() OVER (PARTITION BY known.row_group ORDER BY known.row_id) AS place,
    COUNT(*) OVER (PARTITION BY known.row_group) AS spares
  FROM known
  LEFT JOIN matched ON matched.known_id = known.row_id
  WHERE matched.known_id IS NULL
),
strange AS (
  SELECT
    own_id,
    row_group,
    ROW_NUMBER() OVER (PARTITION BY row_group ORDER BY own_id) AS place,
    COUNT(*) OVER (PARTITION BY row_group) AS strangers
  FROM matched
  WHERE known_id IS NULL AND row_group IN (SELECT row_group FROM spare)
),
edited AS (
  SELECT strange.own_id, spare.row_id, spare.is_dead, strange.strangers <= spare.spares AS is_same
  FROM strange
  JOIN spare ON spare.row_group = strange.row_group AND spare.place = strange.place
),
recognised AS (
  SELECT
    matched.* EXCEPT (is_dead),
    COALESCE(matched.known_id, IF(edited.is_same, edited.row_id, NULL), matched.own_id) AS row_id,
    matched.known_id IS NOT NULL OR COALESCE(edited.is_same, FALSE) AS is_known,
    COALESCE(matched.is_dead, edited.is_same AND edited.is_dead, FALSE) AS is_dead,
    IF(edited.is_same, NULL, edited.row_id) AS replaces
  FROM matched
  LEFT JOIN edited ON edited.own_id = matched.own_id
),
{% if reads_all %}
stale AS (
  SELECT row_id
  FROM known
  WHERE is_dead AND row_id NOT IN (
    SELECT row_id FROM recognised
    {% if only_dead %}
    UNION ALL
    SELECT replaces FROM recognised WHERE replaces IS NOT NULL
    {% endif %}
  )
),
{% endif %}
decided AS (
  SELECT
    *,
    CASE
      {% if skips_dead %}
      WHEN known_id IS NOT NULL{% if is_queue %} AND row_key IS NULL{% endif %} THEN 'dead'
      {% endif %}
      {% if keyed %}
      WHEN row_key IS NULL THEN 'missing_key'
      {% endif %}
      {% if cursor %}
      WHEN row_cursor IS NULL THEN 'missing_cursor'
      {% endif %}
      ELSE 'create'
    END AS op
  FROM recognised
  {% if only_dead %}
  WHERE is_dead
  {% elif is_backfill %}
  WHERE row_cursor IS NOT NULL OR NOT is_known
  {% elif cursor %}
  WHERE NOT is_known
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
),
outgoing AS (
  SELECT
    IF(op = 'create', 0, 2) AS stage,
    row_id,
    row_key,
    op,
    row_print,
    {% if cursor %}
    row_cursor,
    replaces,
    {% endif %}
    {% for column in columns %}
    c_{{ loop.index0 | number }}{% if not loop.last %},{% endif +%}
    {% endfor %}
  FROM decided
  WHERE op != 'dead'
  {% if reads_all %}
  UNION ALL
  SELECT
    2,
    row_id,
    CAST(NULL AS STRING),
    'stale',
    0,
    {% if cursor %}
    CAST(NULL AS {{ cursor.type | type }}),
    CAST(NULL AS STRING),
    {% endif %}
    {% for column in columns %}
    CAST(NULL AS {{ column.type | type }}){% if not loop.last %},{% endif +%}
    {% endfor %}
  FROM stale
  {% endif %}
){% if is_large %},
dealt AS (
  SELECT *, MOD(FARM_FINGERPRINT(COALESCE(row_key, row_id)), 1000) AS deal FROM outgoing
),
begun AS (
  SELECT stage AS of_stage, deal AS of_deal, CAST(SUM(COUNT(*)) OVER (ORDER BY stage, deal) - COUNT(*) AS INT64) AS rows_before
  FROM dealt
  GROUP BY stage, deal
)
{% endif %}

SELECT
  {% if is_large %}
  rows_before + ROW_NUMBER() OVER (PARTITION BY stage, deal ORDER BY {% if cursor %}row_cursor, {% endif %}row_id) AS rowferry_position,
  {% else %}
  ROW_NUMBER() OVER (ORDER BY stage, {% if cursor %}row_cursor, {% endif %}row_id) AS rowferry_position,
  {% endif %}
  row_id,
  row_key,
  op,
  CAST(NULL AS STRING) AS mask,
  row_print,
  CAST(NULL AS STRING) AS summary,
  {% if cursor %}
  row_cursor,
  replaces,
  {% endif %}
  {% for column in columns %}
  c_{{ loop.index0 | number }}{% if not loop.last %},{% endif +%}
  {% endfor %}
FROM {% if is_large %}dealt JOIN begun ON of_stage = stage AND of_deal = deal{% else %}outgoing{% endif +%}
UNION ALL
SELECT
  0,
  '',
  CAST(NULL AS STRING),
  'summary',
  CAST(NULL AS STRING),
  0,
  TO_JSON_STRING(STRUCT(
    read_rows AS read_rows,
    dead AS dead,
    missing_key AS missing_key,
    missing_cursor AS missing_cursor,
    creates AS creates
    {% if cursor %}, last_cursor AS last_cursor{% endif +%}
  )),
  {% if cursor %}
  CAST(NULL AS {{ cursor.type | type }}),
  CAST(NULL AS STRING),
  {% endif %}
  {% for column in columns %}
  CAST(NULL AS {{ column.type | type }}){% if not loop.last %},{% endif +%}
  {% endfor %}
FROM counts
