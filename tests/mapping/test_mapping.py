"""A row's values into fields: transforms and nesting, and what no row may break."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from rowferry.errors import RowRejected
from rowferry.mapping.mapping import CompiledMapping, Part, fields_of


def mapped(specs: dict[str, str], row: dict[str, Any], *transform: Any) -> Any:
    """The first field that these specs (field → column) make of the row."""
    fields = fields_of((name, Part(column=column, transform=transform)) for name, column in specs.items())
    return CompiledMapping(fields, list(row)).getter(0)(list(row.values()))


def test_columns_nest_into_one_field() -> None:
    """`a___b` and `a___c___d` become one object, whose NULLs are left out, beside what the field's own object holds."""
    row = {"x": 1, "y": None, "z": "deep", "own": {"kept": True}}
    assert mapped({"a___b": "x", "a___n": "y", "a___c___d": "z", "a": "own"}, row) == {"b": 1, "c": {"d": "deep"}, "kept": True}


@pytest.mark.parametrize(
    "specs", [{"a": "x", "a___b": "y"}, {"a___b": "y", "a": "x"}, {"a___b": "x", "a___b___c": "y"}, {"a___b___c": "y", "a___b": "x"}]
)
def test_a_plain_value_never_gives_way_to_what_nests_below_it(specs: dict[str, str]) -> None:
    """One name can't be a text and an object: the row is rejected with a reason, and neither value is dropped in silence."""
    with pytest.raises(RowRejected, match="plain value"):
        mapped(specs, {"x": "text", "y": 1})


@pytest.mark.parametrize("step", ["integer", "number", "epoch_seconds", "epoch_millis", "iso_time", "iso_date"])
@pytest.mark.parametrize("value", ["1e999999999", "-1e-999999999", "NaN", "sNaN", "Infinity", "9999-12-31T23:59:59-12:00", "", "x" * 9])
def test_a_value_that_no_transform_can_hold_rejects_its_row(step: str, value: str) -> None:
    """Numbers that would fill the memory and times beyond the calendar end as a reason that does not quote them."""
    try:
        mapped({"a": "x"}, {"x": value}, step)
    except RowRejected as rejected:
        assert not value or value not in rejected.reason


@pytest.mark.parametrize(("step", "text"), [("string", "AP9h"), ("trim", "AP9h"), ("sha256", hashlib.sha256(b"\x00\xffa").hexdigest())])
def test_bytes_are_a_text_as_in_json(step: str, text: str) -> None:
    """Base64, never what Python shows of them; hashed, they are hashed themselves."""
    assert mapped({"a": "x"}, {"x": b"\x00\xffa"}, step) == text


@pytest.mark.parametrize(("seconds", "whole"), [(0.5, 0), (-0.5, -1), (-1.0, -1)])
def test_epoch_seconds_are_cut_as_the_warehouse_cuts_them(seconds: float, whole: int) -> None:
    """Downwards, also before 1970: UNIX_SECONDS says the same of the same time."""
    assert mapped({"t": "x"}, {"x": seconds}, "epoch_seconds") == whole
