-- The delivered state after a run: fingerprints of what was delivered, of nothing else.
MERGE INTO {{ state }} AS state
USING (
  SELECT run.row_key, run.mask{% for column in state_columns %}, run.p_{{ loop.index0 }}{% endfor %}
  FROM {{ run_table }} AS run
  LEFT JOIN {{ rejected }} AS rejected ON rejected.row_id = run.row_id
  WHERE run.op IN ('create', 'update') AND rejected.row_id IS NULL
) AS delivered
ON state.row_key = delivered.row_key
WHEN MATCHED THEN UPDATE SET
  {%- for column in state_columns %}
  {{ column }} = IF(SUBSTR(delivered.mask, {{ loop.index }}, 1) = '1', delivered.p_{{ loop.index0 }}, state.{{ column }}),
  {%- endfor %}
  run = @run
WHEN NOT MATCHED THEN INSERT (row_key, {% for column in state_columns %}{{ column }}, {% endfor %}run)
VALUES (delivered.row_key, {% for column in state_columns %}delivered.p_{{ loop.index0 }}, {% endfor %}@run);

{%- if removes %}

DELETE FROM {{ state }}
WHERE row_key IN (
  SELECT run.row_key
  FROM {{ run_table }} AS run
  LEFT JOIN {{ rejected }} AS rejected ON rejected.row_id = run.row_id
  WHERE run.op = 'remove' AND rejected.row_id IS NULL
);
{%- endif %}
