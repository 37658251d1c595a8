-- What earlier files taught about the undeclared columns of a table.
SELECT name, MIN(known_as) AS known_as, BIT_OR(kinds) AS kinds
FROM {{ feed_columns | table }}
WHERE table_name = @table_name
GROUP BY name
