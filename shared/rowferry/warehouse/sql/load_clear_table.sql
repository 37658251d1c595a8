-- The file that comes takes the whole table's place.
DELETE FROM {{ target | table }} WHERE TRUE
