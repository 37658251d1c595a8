-- The ledger's rows of files that were loaded together.
INSERT INTO {{ loads | table }} (
  file, version, feed, table_name, status, row_count, rejected_rows, rejected_cells,
  contract, size_bytes, file_updated_at, loaded_at, window_id
)
SELECT
  member.file,
  member.version,
  @feed,
  @table_name,
  'loaded',
  COALESCE(counted.row_count - counted.dropped_rows, 0),
  COALESCE(counted.dropped_rows, 0),
  COALESCE(counted.bad_cells, 0),
  @contract,
  member.size_bytes,
  member.updated_at,
  @loaded_at,
  @window_id
FROM (
  SELECT file, version, size_bytes, updated_at
  FROM UNNEST(@files) AS file WITH OFFSET AS place
  JOIN UNNEST(@versions) AS version WITH OFFSET AS version_place ON version_place = place
  JOIN UNNEST(@sizes) AS size_bytes WITH OFFSET AS size_place ON size_place = place
  JOIN UNNEST(@updated) AS updated_at WITH OFFSET AS updated_place ON updated_place = place
) AS member
LEFT JOIN (
  SELECT
    file,
    COUNT(*) AS row_count,
    COUNTIF(is_dropped) AS dropped_rows,
    {% for column in bad_columns %}COUNTIF({{ column.bad_name }}) + {% endfor %}0 AS bad_cells
  FROM (
    {{ typed }}
  ) AS typed
  GROUP BY file
) AS counted
ON counted.file = member.file
LEFT JOIN {{ loads | table }} AS known
ON known.file = member.file AND known.version = member.version AND known.status = 'loaded'
WHERE known.file IS NULL
