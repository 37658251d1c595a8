-- What the ledger knows of a file, all its versions.
SELECT version, status, table_name, row_count, rejected_rows, rejected_cells, code, reason, contract, file_updated_at, loaded_at, window_id
FROM {{ loads | table }}
WHERE file = @file
ORDER BY loaded_at DESC
