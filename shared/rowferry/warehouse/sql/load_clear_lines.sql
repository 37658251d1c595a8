-- Corrected rows come: what was loaded of those lines goes.
DELETE FROM {{ target | table }}
WHERE _rowferry_file = @file
  AND _rowferry_line IN (
    SELECT line
    FROM (
      {{ typed }}
    ) AS typed
  )
