-- A file of the same name comes again: what an earlier version of it brought goes.
DELETE FROM {{ target | table }} WHERE _rowferry_file = @file
