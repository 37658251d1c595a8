-- Files of the same names come again: what earlier versions of them brought goes.
DELETE FROM {{ target | table }}
WHERE _rowferry_file IN (
  SELECT file
  FROM (
    {{ typed }}
  ) AS typed
)
