-- When the newest file that a table was replaced by was written.
SELECT MAX(file_updated_at) AS file_updated_at
FROM {{ loads | table }}
WHERE table_name = @table_name AND status = 'loaded'
