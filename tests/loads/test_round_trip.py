import tempfile
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.loading import Bench

COLUMNS = {"id": "STRING", "big": "INT64", "money": "NUMERIC", "at": "TIMESTAMP", "note": "STRING"}

_text = st.one_of(
    st.none(),
    st.sampled_from(["", " ", "007", "NULL", "null", "\\N", "1e5", "-", "'", "a\nb", "a\r\nb", '"', "a,b", "=1+1", "\ufeff", "ünï😀"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
)
_zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_rows = st.lists(
    st.tuples(
        _text,
        st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        st.one_of(st.none(), st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**28), max_value=10**28)),
        st.one_of(
            st.none(),
            st.datetimes(timezones=_zones, min_value=datetime.fromisoformat("1000-01-03"), max_value=datetime.fromisoformat("9998-01-01")),
        ),
        _text,
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.reuse, Phase.generate])
@given(rows=_rows, quote_all=st.booleans(), with_bad_cell=st.booleans(), line_end=st.sampled_from(["\n", "\r\n"]))
def test_what_was_written_is_what_is_read(rows: list[tuple[Any, ...]], quote_all: bool, with_bad_cell: bool, line_end: str) -> None:
    """Leading zeros, 19-digit ids, money, zones, line breaks, NULL against an empty text: through either reader, unchanged."""
    written = [tuple(_to_cell(value, quote_all) for value in row) for row in rows]
    text = line_end.join([",".join(COLUMNS), *(",".join(row) for row in written), *(["x,not a number,,,"] if with_bad_cell else [])])
    with tempfile.TemporaryDirectory() as folder:
        found = Bench(Path(folder), {"f": {"path": "f/*", "table": "raw.t", "columns": COLUMNS}})
        result = found.load("f/a.csv", text.encode())
        assert (result.status, result.rejected_cells) == ("loaded", int(with_bad_cell)), result
        arrived = found.table("raw.t", *COLUMNS)
        found.warehouse.release()
    expected = [tuple(_expected(value) for value in row) for row in rows] + [("x", None, None, None, None)] * with_bad_cell
    assert sorted(map(repr, map(_plain, arrived))) == sorted(map(repr, map(_plain, expected)))


def _to_cell(value: Any, quote_all: bool) -> str:
    """A cell as RFC 4180 writes it: nothing for NULL, quotes for an empty text."""
    if value is None:
        return ""
    text = value.isoformat() if isinstance(value, datetime) else format(value, "f") if isinstance(value, Decimal) else str(value)
    needs_quotes = quote_all or text == "" or any(letter in text for letter in ',"\r\n')
    return '"' + text.replace('"', '""') + '"' if needs_quotes else text


def _expected(value: Any) -> Any:
    return value.astimezone(UTC).replace(fold=0) if isinstance(value, datetime) else value


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.normalize() if isinstance(value, Decimal) else value for value in row)
