-- Rows of a webhook or notice have their outcome: what was a dead letter before is none any more, and what the vendor
-- rejected becomes an open one.
{% if was_rejected %}
UPDATE {{ dead_letters | table }}
SET status = 'closed'
WHERE sync = @sync AND destination = @destination AND status = 'open' AND row_id IN (SELECT row_id FROM {{ outcomes | table }});
{% endif %}
INSERT INTO {{ dead_letters | table }} (sync, destination, action, run, row_id, row_key, row_print, code, reason, status, recorded_at)
SELECT @sync, @destination, @action, @run, row_id, row_key, 0, code, reason, 'open', @at
FROM {{ outcomes | table }}
WHERE code IS NOT NULL;
