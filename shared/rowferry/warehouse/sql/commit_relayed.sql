-- Rows of a webhook or notice that the vendor rejected become dead letters.
INSERT INTO {{ dead_letters | table }} (sync, destination, action, run, row_id, row_key, row_print, code, reason, status, recorded_at)
SELECT @sync, @destination, @action, @run, row_id, row_key, 0, code, reason, 'open', @at
FROM {{ rejected | table }};
