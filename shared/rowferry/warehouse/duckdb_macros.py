"""BigQuery's functions and casts that DuckDB has not, or has with other rules, as macros of a connection.

`typeof` is known when a statement is planned, so a branch for another type costs nothing.
"""

from __future__ import annotations

_TEXT = "CAST(v AS VARCHAR)"
_STARTS_WITH_A_DIGIT = f"ascii({_TEXT}) BETWEEN 48 AND 57"
_HAS_MINUTES_ONLY = f"(contains({_TEXT}, ':') AND {_TEXT} NOT LIKE '%:%:%')"
# DuckDB reads `10:00 CET`, and then the rows after it in that zone as well.
_ENDS_IN_A_WORD = f"(ascii(right({_TEXT}, 1)) >= 65 AND upper(right({_TEXT}, 1)) <> 'Z' AND right({_TEXT}, 3) <> 'UTC')"
_ZONE = " [A-Za-z_]+/[A-Za-z_/+-]+$"

MACROS = (
    # Not Google's value (that is FarmHash Fingerprint64), but as stable: a signed 64-bit number from MD5.
    "CREATE TEMP MACRO farm_fingerprint(v) AS (md5_number_lower(v)::HUGEINT - 9223372036854775808)::BIGINT",
    "CREATE TEMP MACRO safe_convert_bytes_to_string(v) AS TRY(decode(v))",
    # Only what is a whole number as it stands; DuckDB would round '1.5' and '1e3'.
    rf"""CREATE TEMP MACRO rowferry_int64(v) AS CASE
    WHEN typeof(v) = 'VARCHAR' AND NOT regexp_full_match({_TEXT}, '\s*[+-]?(\d+|0[xX][0-9a-fA-F]+)\s*') THEN NULL
    ELSE TRY_CAST(v AS BIGINT) END""",
    f"""CREATE TEMP MACRO rowferry_float64(v) AS CASE
    WHEN typeof(v) = 'VARCHAR' AND contains({_TEXT}, '_') THEN NULL ELSE TRY_CAST(v AS DOUBLE) END""",
    # true and false only; DuckDB also takes t, yes, 1 …
    f"""CREATE TEMP MACRO rowferry_bool(v) AS CASE
    WHEN typeof(v) = 'VARCHAR' AND lower({_TEXT}) NOT IN ('true', 'false') THEN NULL ELSE TRY_CAST(v AS BOOLEAN) END""",
    # A date alone; DuckDB also takes slashes, 'epoch', 'infinity', and cuts a time off.
    f"""CREATE TEMP MACRO rowferry_date(v) AS CASE
    WHEN typeof(v) = 'VARCHAR' AND (length({_TEXT}) > 10 OR contains({_TEXT}, '/') OR NOT {_STARTS_WITH_A_DIGIT}) THEN NULL
    ELSE TRY_CAST(v AS DATE) END""",
    f"""CREATE TEMP MACRO rowferry_timestamp(v) AS CASE
    WHEN typeof(v) <> 'VARCHAR' THEN TRY_CAST(v AS TIMESTAMPTZ)
    WHEN NOT {_STARTS_WITH_A_DIGIT} OR {_HAS_MINUTES_ONLY} THEN NULL
    WHEN contains({_TEXT}, '/') THEN CASE WHEN regexp_matches({_TEXT}, '{_ZONE}') THEN TRY_CAST(v AS TIMESTAMPTZ) END
    WHEN {_ENDS_IN_A_WORD} THEN NULL
    ELSE TRY_CAST(v AS TIMESTAMPTZ) END""",
    # Without a zone; DuckDB drops the one that is there.
    f"""CREATE TEMP MACRO rowferry_datetime(v) AS CASE
    WHEN typeof(v) = 'VARCHAR' AND (NOT {_STARTS_WITH_A_DIGIT} OR {_HAS_MINUTES_ONLY} OR contains({_TEXT}, '/')
        OR ascii(right({_TEXT}, 1)) >= 65 OR contains({_TEXT}, '+') OR contains(substr({_TEXT}, 11), '-')) THEN NULL
    ELSE TRY_CAST(v AS TIMESTAMP) END""",
    rf"""CREATE TEMP MACRO rowferry_time(v) AS CASE
    WHEN typeof(v) = 'VARCHAR' AND NOT regexp_full_match({_TEXT}, '\d{{1,2}}:\d{{1,2}}:\d{{1,2}}(\.\d+)?') THEN NULL
    ELSE TRY_CAST(v AS TIME) END""",
    # Money and numbers as BigQuery writes them: 1.5, not 1.500000000; 1, not 1.0.
    rf"""CREATE TEMP MACRO rowferry_text(v) AS CASE
    WHEN typeof(v) LIKE 'DECIMAL%' AND contains({_TEXT}, '.') THEN rtrim(rtrim({_TEXT}, '0'), '.')
    WHEN typeof(v) IN ('DOUBLE', 'FLOAT') THEN regexp_replace({_TEXT}, '\.0$', '')
    ELSE {_TEXT} END""",
)
