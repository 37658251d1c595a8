-- The file's row in the ledger.
INSERT INTO {{ loads | table }} (
  file, version, feed, table_name, status, row_count, rejected_rows, rejected_cells,
  code, reason, contract, size_bytes, file_updated_at, loaded_at
)
VALUES (
  @ledger_file, @version, @feed, @table_name, @status, @row_count, @rejected_rows, @rejected_cells,
  @code, @reason, @contract, @size_bytes, @file_updated_at, @loaded_at
)
