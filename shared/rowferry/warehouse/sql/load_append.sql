-- A file's rows go to the table's end.
INSERT INTO {{ target | table }} ({{ names | columns }})
{{ rows }}
