-- A file's rows take the place of those with the same key, unless those are newer. Within the file
-- the newest row of a key counts. A column that the file does not have keeps what it held.
MERGE INTO {{ target | table }} AS present
USING (
  SELECT *
  FROM (
    {{ rows }}
  ) AS loaded
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY {{ key | columns }}
    ORDER BY {% if newest_by %}{{ newest_by | column }} IS NULL, {{ newest_by | column }} DESC, {% endif %}_rowferry_line DESC
  ) = 1
) AS fresh
ON {% for name in key %}present.{{ name | column }} = fresh.{{ name | column }}{% if not loop.last %} AND {% endif %}{% endfor %}

WHEN MATCHED{% if newest_by %} AND (present.{{ newest_by | column }} IS NULL OR fresh.{{ newest_by | column }} >= present.{{ newest_by | column }}){% endif %} THEN
  UPDATE SET {% for name in updates %}{{ name | column }} = fresh.{{ name | column }}{% if not loop.last %}, {% endif %}{% endfor %}

WHEN NOT MATCHED THEN
  INSERT ({{ names | columns }}) VALUES ({{ names | columns('fresh') }})
