-- The delivered state after a run: fingerprints of what was delivered, of nothing else. A row that went out whole, for
-- it was new or about somebody else than before, takes nothing of its former state along, not even of fields that are out
-- of the map just now. Who has left an audience has lost that attribute alone.
{% if renews %}
DELETE FROM {{ state | table }}
WHERE row_key IN (
  SELECT run.row_key
  FROM {{ run_table | table }} AS run
  LEFT JOIN {{ rejected | table }} AS rejected ON rejected.row_id = run.row_id
  WHERE run.op IN ('create'{% if not member %}, 'remove'{% endif %}) AND rejected.row_id IS NULL
);

{% endif %}
{% if member %}
UPDATE {{ state | table }}
SET {{ member | column }} = NULL, run = @run
WHERE row_key IN (
  SELECT run.row_key
  FROM {{ run_table | table }} AS run
  LEFT JOIN {{ rejected | table }} AS rejected ON rejected.row_id = run.row_id
  WHERE run.op = 'remove' AND rejected.row_id IS NULL
);

{% endif %}
MERGE INTO {{ state | table }} AS state
USING (
  SELECT run.row_key, run.mask{% for column in state_columns %}, run.p_{{ loop.index0 | number }}{% endfor +%}
  FROM {{ run_table | table }} AS run
  LEFT JOIN {{ rejected | table }} AS rejected ON rejected.row_id = run.row_id
  WHERE run.op IN ('create', 'update') AND rejected.row_id IS NULL
) AS delivered
ON state.row_key = delivered.row_key
WHEN MATCHED THEN UPDATE SET
  {% for column in state_columns %}
  {{ column | column }} = IF(SUBSTR(delivered.mask, {{ loop.index | number }}, 1) = '1', delivered.p_{{ loop.index0 | number }}, state.{{ column | column }}),
  {% endfor %}
  vendor = NULLIF(@vendor, ''),
  account = COALESCE(NULLIF(@account, ''), state.account),
  run = @run
WHEN NOT MATCHED THEN INSERT (row_key, {{ state_columns | columns }}, vendor, account, run)
VALUES (delivered.row_key, {% for column in state_columns %}delivered.p_{{ loop.index0 | number }}, {% endfor %}NULLIF(@vendor, ''), NULLIF(@account, ''), @run);
