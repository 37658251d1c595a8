-- The file that comes takes the place of the days it has rows for.
DELETE FROM {{ target | table }}
WHERE CAST({{ partition_by | column }} AS DATE) IN (
  SELECT CAST({{ partition_by | column }} AS DATE)
  FROM (
    {{ rows }}
  ) AS loaded
)
