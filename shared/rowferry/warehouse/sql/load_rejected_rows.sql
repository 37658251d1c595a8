-- The rows with a rejected cell, and the lines that are no rows, as text, for the file that a person can correct.
SELECT
  file,
  line,
  {% for column in shown %}
  {{ column.text_name }},
  {% endfor %}
  {% if bad_line %}
  bad_line_text,
  {% endif %}
  CONCAT({% if bad_line %}COALESCE(bad_line, ''){% if bad_columns %}, {% endif %}{% endif %}{% for column in bad_columns %}IF({{ column.bad_name }}, {{ column.complaint | text }}, ''){% if not loop.last %}, {% endif %}{% endfor %}) AS reasons
FROM (
  {{ typed }}
) AS typed
WHERE {% if bad_line %}bad_line IS NOT NULL{% if bad_columns %} OR {% endif %}{% endif %}{% for column in bad_columns %}{{ column.bad_name }}{% if not loop.last %} OR {% endif %}{% endfor %}

ORDER BY file, line
