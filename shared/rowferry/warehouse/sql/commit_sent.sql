-- What `send: new` remembers: ids at and above its cursor less the lag, so that ties and late commits are
-- neither lost nor sent twice. The row without an id says from where on the memory is whole.
{% if replaces %}
DELETE FROM {{ sent | table }} WHERE row_id IN (SELECT run.replaces FROM {{ run_table | table }} AS run WHERE run.replaces IS NOT NULL);

UPDATE {{ dead_letters | table }}
SET status = 'closed'
WHERE sync = @sync AND destination = @destination AND status = 'open'
  AND row_id IN (SELECT run.replaces FROM {{ run_table | table }} AS run WHERE run.replaces IS NOT NULL);

{% endif %}
INSERT INTO {{ sent | table }} (row_id, row_cursor, row_print, run)
SELECT run.row_id, run.row_cursor, run.row_print, @run
FROM {{ run_table | table }} AS run
LEFT JOIN {{ sent | table }} AS sent ON sent.row_id = run.row_id
WHERE run.op IN ('create', 'missing_key') AND sent.row_id IS NULL AND run.row_cursor >= CAST(@keep_from AS {{ cursor_type | type }});

{% if moves_cursor %}

-- A run of late rows alone ends below the one before it: the memory's lower end moves up, never down, for
-- what lies under it is forgotten and would be sent again.
DELETE FROM {{ sent | table }} WHERE row_cursor < CAST(@keep_from AS {{ cursor_type | type }});

INSERT INTO {{ sent | table }} (row_id, row_cursor, run)
SELECT '', CAST(@keep_from AS {{ cursor_type | type }}), @run
FROM (SELECT COUNT(*) AS marks FROM {{ sent | table }} WHERE row_id = '')
WHERE marks = 0;
{% endif %}
