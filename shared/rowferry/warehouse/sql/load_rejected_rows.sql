-- The rows with a rejected cell, as text, for the file that a person can correct.
SELECT
  file,
  line,
  {% for column in shown %}
  {{ column.text_name }},
  {% endfor %}
  CONCAT({% for column in bad_columns %}IF({{ column.bad_name }}, {{ column.complaint | text }}, ''){% if not loop.last %}, {% endif %}{% endfor %}) AS reasons
FROM (
  {{ typed }}
) AS typed
WHERE {% for column in bad_columns %}{{ column.bad_name }}{% if not loop.last %} OR {% endif %}{% endfor %}

ORDER BY file, line
