-- For each feed and table: when something last came, and what came.
SELECT
  feed,
  table_name,
  MAX(IF(status = 'loaded', loaded_at, NULL)) AS loaded_at,
  MAX(IF(status = 'loaded', file_updated_at, NULL)) AS file_updated_at,
  COUNTIF(status = 'loaded') AS files,
  COUNTIF(status = 'quarantined') AS quarantined,
  SUM(row_count) AS row_count,
  SUM(rejected_rows) AS rejected_rows,
  SUM(rejected_cells) AS rejected_cells
FROM {{ loads | table }}
WHERE feed IS NOT NULL
GROUP BY feed, table_name
ORDER BY feed, table_name
