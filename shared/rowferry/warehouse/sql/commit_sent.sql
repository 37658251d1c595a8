-- What `send: new` remembers: ids at and above the new cursor less the lag, so that ties and late
-- commits are neither lost nor sent twice.
INSERT INTO {{ sent }} (row_id, row_cursor, run)
SELECT run.row_id, run.row_cursor, @run
FROM {{ run_table }} AS run
LEFT JOIN {{ sent }} AS sent ON sent.row_id = run.row_id
WHERE run.op IN ('create', 'missing_key') AND sent.row_id IS NULL;

DELETE FROM {{ sent }} WHERE row_cursor < CAST(@keep_from AS {{ cursor_type }});
