-- What the ledger knows of these files, all their versions.
SELECT file, version, status, table_name, row_count, rejected_rows, rejected_cells, code, reason, contract, file_updated_at, loaded_at, window_id
FROM {{ loads | table }}
WHERE file IN UNNEST(@files)
ORDER BY loaded_at DESC
