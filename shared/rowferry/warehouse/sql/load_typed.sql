-- A file's rows as the text they came as (t_…), as values (v_…), and whether each cell is bad: it
-- holds something that its type can't. `is_dropped` rows are not loaded; `bad_line` says why a line is none.
SELECT
  *,
  {{ dropped }} AS is_dropped
FROM (
  SELECT
    *,
    {% for column in columns if column.bad %}
    {% if bad_line %}bad_line IS NULL AND {% endif %}{{ column.bad }} AS {{ column.bad_name }},
    {% endfor %}
  FROM (
    SELECT
      *,
      {% for column in columns %}
      {{ column.value }} AS {{ column.value_name }},
      {% endfor %}
    FROM (
      SELECT
        {% for column in columns %}
        {{ column.text }} AS {{ column.text_name }},
        {% endfor %}
        {% if bad_line %}
        {{ bad_line[0] }} AS bad_line,
        {{ bad_line[1] }} AS bad_line_text,
        {% endif %}
        {{ file }} AS file,
        {{ version }} AS version,
        {{ line }} AS line
      FROM {{ staging | table }} AS staged
      {% if only_new %}
      WHERE NOT EXISTS (
        SELECT 1 FROM {{ loads | table }} AS known
        WHERE known.file = {{ file }} AND known.version = {{ version }} AND known.status = 'loaded'
      )
      {% endif %}
    ) AS texts
  ) AS casted
) AS judged
