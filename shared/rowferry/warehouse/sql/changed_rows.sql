-- What `send: changed` and `send: audience` would send now: the rows whose fields differ from the
-- delivered state, the keys that left, the rows that can't be sent, and which dead letters are stale: those of rows that are
-- as they were delivered again, or not there any more (a row without a key that has one now). One row at position 0 holds
-- the counts of the same snapshot. A field's print is NULL where all of its columns are. With `is_large` positions come
-- without one sort of all rows, for which BigQuery has one worker: rows are dealt out by the hash of their id, and each
-- deal is numbered by itself, behind the rows of those before it. It costs one more reading of the model. What another
-- vendor has, whose name the destination had before, is not known to this one; nor is what another account of it has,
-- where the settings tell accounts apart and the state is not of an earlier version, which kept none.
WITH model AS {{ model | query }},
keyed AS (
  SELECT
    {{ key_expression }} AS row_key,
    {% for column in columns %}
    {{ column.name | column }} AS c_{{ loop.index0 | number }}{% if not loop.last %},{% endif +%}
    {% endfor %}
  FROM model
),
printed AS (
  SELECT
    *,
    {% for field in fields %}
    {{ field.print }} AS p_{{ loop.index0 | number }}{% if not loop.last %},{% endif +%}
    {% endfor %}
  FROM keyed
),
whole AS (
  SELECT
    *,
    FARM_FINGERPRINT(CONCAT({% for field in fields %}COALESCE(CAST(p_{{ loop.index0 | number }} AS STRING), '-'){% if not loop.last %}, '|', {% endif %}{% endfor %})) AS row_print,
    COUNT(*) OVER (PARTITION BY row_key) AS copies
  FROM printed
),
named AS (
  SELECT
    * EXCEPT (row_print),
    COALESCE(row_key, CONCAT('missing-key:', CAST(row_print AS STRING))) AS row_id,
    -- rows that share a key are one dead letter, so they share a print as well
    IF(row_key IS NULL OR copies = 1, row_print, MAX(row_print) OVER (PARTITION BY row_key)) AS row_print
  FROM whole
),
compared AS (
  SELECT
    named.*,
    COALESCE(dead.row_print = named.row_print, FALSE) AS is_dead,
    dead.row_id IS NOT NULL AS is_dead_letter,
    {% for field in fields %}
    state.{{ field.state | column }} AS s_{{ loop.index0 | number }},
    {% endfor %}
    state.row_key IS NULL OR COALESCE(state.vendor, {{ vendor | text }}) != {{ vendor | text }}{% if account %} OR COALESCE(state.account, {{ account | text }}) != {{ account | text }}{% endif %}{% for field in fields if field.is_identifier %} OR state.{{ field.state | column }} IS DISTINCT FROM named.p_{{ field.place | number }}{% endfor %} AS is_fresh
  FROM named
  LEFT JOIN {{ state | table }} AS state ON state.row_key = named.row_key
  LEFT JOIN {{ dead_letters | table }} AS dead
    ON dead.row_id = named.row_id AND dead.sync = @sync AND dead.destination = @destination AND dead.status = 'open'
    {{ dead_filter }}
),
masked AS (
  SELECT
    *,
    CONCAT(
      {% for field in fields %}
      CASE
        WHEN is_fresh THEN IF(p_{{ loop.index0 | number }} IS NULL, '0', '1')
        WHEN p_{{ loop.index0 | number }} IS NOT NULL AND p_{{ loop.index0 | number }} IS DISTINCT FROM s_{{ loop.index0 | number }} THEN '1'
        {% if unset_nulls %}
        WHEN p_{{ loop.index0 | number }} IS NULL AND s_{{ loop.index0 | number }} IS NOT NULL THEN '1'
        {% endif %}
        ELSE '0'
      END{% if not loop.last %},{% endif +%}
      {% endfor %}
    ) AS mask
  FROM compared
),
decided AS (
  SELECT
    *,
    CASE
      {% if not only_dead %}
      WHEN is_dead THEN 'dead'
      {% endif %}
      WHEN row_key IS NULL THEN 'missing_key'
      WHEN copies > 1 THEN 'duplicate_key'
      WHEN is_fresh THEN 'create'
      WHEN mask != '{% for field in fields %}0{% endfor %}' THEN 'update'
      ELSE 'unchanged'
    END AS decision
  FROM masked
  {% if only_dead %}
  WHERE is_dead_letter
  {% endif %}
),
{% if on_remove %}
removed AS (
  SELECT state.row_key
  FROM {{ state | table }} AS state
  {% if folds_keys %}
  -- the mapping takes spellings of a key for one: whom another spelling still names has not left
  LEFT JOIN (SELECT DISTINCT LOWER(TRIM(row_key)) AS row_key FROM keyed WHERE row_key IS NOT NULL) AS present
    ON present.row_key = LOWER(TRIM(state.row_key))
  {% else %}
  LEFT JOIN (SELECT DISTINCT row_key FROM keyed WHERE row_key IS NOT NULL) AS present ON present.row_key = state.row_key
  {% endif %}
  LEFT JOIN {{ dead_letters | table }} AS dead
    ON dead.row_id = state.row_key AND dead.sync = @sync AND dead.destination = @destination AND dead.status = 'open' AND dead.row_print = 0
  WHERE present.row_key IS NULL AND COALESCE(state.vendor, {{ vendor | text }}) = {{ vendor | text }}
    {% if account %} AND COALESCE(state.account, {{ account | text }}) = {{ account | text }}{% endif +%}
    {% if member %} AND state.{{ member | column }} IS NOT NULL{% endif +%}
    AND dead.row_id IS {% if only_dead %}NOT NULL {{ dead_filter }}{% else %}NULL{% endif +%}
),
{% endif %}
{% if has_letters %}
stale AS (
  SELECT dead.row_id
  FROM {{ dead_letters | table }} AS dead
  LEFT JOIN (SELECT DISTINCT row_id FROM named) AS present ON present.row_id = dead.row_id
  WHERE dead.sync = @sync AND dead.destination = @destination AND dead.status = 'open'
    -- a print of 0 is a removal's: it is stale once the row is back, or nobody is to be removed any more
    AND {% if on_remove %}(dead.row_print = 0) = (present.row_id IS NOT NULL){% else %}(dead.row_print = 0 OR present.row_id IS NULL){% endif +%}
),
{% endif %}
counts AS (
  SELECT
    COUNT(*) AS read_rows,
    COUNTIF(decision = 'unchanged') AS unchanged,
    COUNTIF(decision = 'dead') AS dead,
    COUNTIF(decision = 'missing_key') AS missing_key,
    COUNTIF(decision = 'duplicate_key') AS duplicate_key,
    COUNTIF(decision = 'create') AS creates,
    COUNTIF(decision = 'update') AS updates,
    COALESCE(SUM(IF(decision IN ('create', 'update'), LENGTH(REPLACE({{ attribute_mask }}, '0', '')), 0)), 0) AS attributes
  FROM decided
),
{% if on_remove %}
removals AS (
  SELECT COUNT(*) AS removes FROM removed
),
{% endif %}
outgoing AS (
  SELECT
    IF(decision IN ('create', 'update'), 0, 2) AS stage,
    row_id,
    row_key,
    IF(decision = 'unchanged', 'stale', decision) AS op,
    mask,
    row_print,
    {% for field in fields %}
    p_{{ loop.index0 | number }},
    {% endfor %}
    {% for column in columns %}
    c_{{ loop.index0 | number }}{% if not loop.last %},{% endif +%}
    {% endfor %}
  FROM decided
  WHERE decision IN ('create', 'update', 'missing_key', 'duplicate_key') OR (decision = 'unchanged' AND is_dead_letter)
  {% if on_remove %}
  UNION ALL
  SELECT
    1,
    row_key,
    row_key,
    'remove',
    CAST(NULL AS STRING),
    0,
    {% for field in fields %}
    CAST(NULL AS INT64),
    {% endfor %}
    {% for column in columns %}
    {% if column.from_key %}{{ column.from_key }}{% else %}CAST(NULL AS {{ column.type | type }}){% endif %}{% if not loop.last %},{% endif +%}
    {% endfor %}
  FROM removed
  {% endif %}
  {% if has_letters %}
  UNION ALL
  SELECT
    2,
    row_id,
    CAST(NULL AS STRING),
    'stale',
    CAST(NULL AS STRING),
    0,
    {% for field in fields %}
    CAST(NULL AS INT64),
    {% endfor %}
    {% for column in columns %}
    CAST(NULL AS {{ column.type | type }}){% if not loop.last %},{% endif +%}
    {% endfor %}
  FROM stale
  {% endif %}
){% if is_large %},
dealt AS (
  SELECT *, MOD(FARM_FINGERPRINT(row_id), 1000) AS deal FROM outgoing
),
begun AS (
  SELECT stage AS of_stage, deal AS of_deal, CAST(SUM(COUNT(*)) OVER (ORDER BY stage, deal) - COUNT(*) AS INT64) AS rows_before
  FROM dealt
  GROUP BY stage, deal
)
{% endif %}

SELECT
  {% if is_large %}
  rows_before + ROW_NUMBER() OVER (PARTITION BY stage, deal ORDER BY row_id) AS rowferry_position,
  {% else %}
  ROW_NUMBER() OVER (ORDER BY stage, row_id) AS rowferry_position,
  {% endif %}
  row_id,
  row_key,
  op,
  mask,
  row_print,
  CAST(NULL AS STRING) AS summary,
  {% for field in fields %}
  p_{{ loop.index0 | number }},
  {% endfor %}
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
    read_rows, unchanged, dead, missing_key, duplicate_key, creates, updates, attributes,
    {% if on_remove %}removes{% else %}0 AS removes{% endif +%}
  )),
  {% for field in fields %}
  CAST(NULL AS INT64),
  {% endfor %}
  {% for column in columns %}
  CAST(NULL AS {{ column.type | type }}){% if not loop.last %},{% endif +%}
  {% endfor %}
FROM counts{% if on_remove %} CROSS JOIN removals{% endif +%}
