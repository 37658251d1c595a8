-- A stretch of a run table as EXPORT DATA is to write it: what a chunk has of a row, by name. `delivery/exported.py`
-- reads it back; `forms` says which columns leave as text.
SELECT
  row_id,
  row_key,
  IF(op = 'remove', 'remove', 'upsert') AS op,
  mask,
  {% for form in forms %}
  {% if form == 'json' %}
  TO_JSON_STRING(c_{{ loop.index0 | number }}) AS c_{{ loop.index0 | number }}{% if not loop.last %},{% endif +%}
  {% elif form == 'base64' %}
  TO_BASE64(c_{{ loop.index0 | number }}) AS c_{{ loop.index0 | number }}{% if not loop.last %},{% endif +%}
  {% elif form == 'text' %}
  CAST(c_{{ loop.index0 | number }} AS STRING) AS c_{{ loop.index0 | number }}{% if not loop.last %},{% endif +%}
  {% else %}
  c_{{ loop.index0 | number }}{% if not loop.last %},{% endif +%}
  {% endif %}
  {% endfor %}
FROM {{ run_table | table }}
WHERE rowferry_position BETWEEN {{ first | number }} AND {{ last | number }}
ORDER BY rowferry_position
