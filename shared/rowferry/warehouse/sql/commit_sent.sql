-- What `send: new` remembers: ids at and above its cursor less the lag, so that ties and late commits are
-- neither lost nor sent twice. The row without an id says from where on the memory is whole.
INSERT INTO {{ sent | table }} (row_id, row_cursor, run)
SELECT run.row_id, run.row_cursor, @run
FROM {{ run_table | table }} AS run
LEFT JOIN {{ sent | table }} AS sent ON sent.row_id = run.row_id
WHERE run.op IN ('create', 'missing_key') AND sent.row_id IS NULL AND run.row_cursor >= CAST(@keep_from AS {{ cursor_type | type }});

{% if moves_cursor %}

DELETE FROM {{ sent | table }} WHERE row_id = '' OR row_cursor < CAST(@keep_from AS {{ cursor_type | type }});

INSERT INTO {{ sent | table }} (row_id, row_cursor, run) VALUES ('', CAST(@keep_from AS {{ cursor_type | type }}), @run);
{% endif %}
