-- What this file taught about columns that nobody declared. Rows are only added, so that loads of
-- one table do not get in each other's way; what is known of a column is all its rows together.
INSERT INTO {{ feed_columns | table }} (table_name, name, known_as, kinds, learned_at)
{% for column in columns %}
SELECT @table_name, {{ column.name | text }}, {{ column.known_as | text }}, {{ column.kinds | number }}, @loaded_at
{% if not loop.last %}
UNION ALL
{% endif %}
{% endfor %}
