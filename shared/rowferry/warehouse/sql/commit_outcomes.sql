-- Receipts of every row of the run, and its dead letters: the rejected rows become open ones, what
-- was delivered (or sent anew after a change) closes the one it had, and what is stale goes,
-- as does what was rejected by a destination that the sync was pointed away from.
INSERT INTO {{ receipts | table }} (run, sync, destination, row_id, row_key, outcome, code, reason, recorded_at)
SELECT
  @run,
  @sync,
  @destination,
  run.row_id,
  run.row_key,
  CASE WHEN rejected.row_id IS NOT NULL OR run.op IN ('missing_key', 'missing_cursor', 'duplicate_key') THEN 'rejected' ELSE 'delivered' END,
  COALESCE(rejected.code, IF(run.op IN ('missing_key', 'missing_cursor', 'duplicate_key'), run.op, NULL)),
  rejected.reason,
  @at
FROM {{ run_table | table }} AS run
LEFT JOIN {{ rejected | table }} AS rejected ON rejected.row_id = run.row_id
WHERE run.op NOT IN ('summary', 'stale');

UPDATE {{ dead_letters | table }}
SET status = 'closed'
WHERE sync = @sync AND status = 'open'
  AND (destination != @destination OR row_id IN (SELECT run.row_id FROM {{ run_table | table }} AS run WHERE run.op != 'summary'));

INSERT INTO {{ dead_letters | table }} (sync, destination, action, run, row_id, row_key, row_print, code, reason, status, recorded_at)
SELECT
  @sync,
  @destination,
  @action,
  @run,
  run.row_id,
  MAX(run.row_key),
  MAX(run.row_print),
  MAX(COALESCE(rejected.code, run.op)),
  MAX(COALESCE(rejected.reason, CASE run.op WHEN 'missing_key' THEN @missing_key WHEN 'missing_cursor' THEN @missing_cursor ELSE @duplicate_key END)),
  'open',
  @at
FROM {{ run_table | table }} AS run
LEFT JOIN {{ rejected | table }} AS rejected ON rejected.row_id = run.row_id
WHERE run.op != 'summary' AND (rejected.row_id IS NOT NULL OR run.op IN ('missing_key', 'missing_cursor', 'duplicate_key'))
GROUP BY run.row_id;
