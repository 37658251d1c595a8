"""Syncs as read: defaults that follow from `send`, the map's fields, and words that agree with those who use them."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from rowferry.feeds.preset import Named, find_preset, preset_names
from rowferry.mapping import transforms
from rowferry.settings.feed import PRESET_PARTS, Preset
from rowferry.settings.sync import TRANSFORMS, ColumnField, Guards, Sync, Transform, ValueField
from rowferry.settings.webhook import Scheme
from rowferry.webhooks import schemes

BASE: dict[str, Any] = {"model": {"sql": "SELECT 1"}, "key": "id", "to": "x", "map": {"a": "b"}}


def _sync(**changes: Any) -> Sync:
    return Sync.model_validate({**BASE, **changes})


_NEW = {"send": "new", "cursor": "c"}
_ACTIONS: list[tuple[dict[str, Any], str]] = [
    ({"send": "changed"}, "profile"),
    ({"send": "all"}, "profile"),
    ({"send": "audience", "audience": "vip"}, "profile"),
    (_NEW, "event"),
    ({**_NEW, "action": "purchase"}, "purchase"),
]


@pytest.mark.parametrize(("send", "action"), _ACTIONS)
def test_default_action(send: dict[str, Any], action: str) -> None:
    """People's rows are profiles, new rows are events, unless the sync says otherwise."""
    assert _sync(**send).action == action


def test_defaults() -> None:
    """What a short sync means: NULLs and rows that leave change nothing at the vendor, an emptied model is refused."""
    found = _sync(send="changed")
    assert (found.nulls, found.on_remove, found.rest, found.lag, found.after) == ("ignore", "ignore", None, 0.0, ())
    assert found.guards == Guards(max_changed_percent=None, max_removed=None, empty_source=True, min_rows=None, duplicate_keys="refuse")


def test_fields_of_a_map() -> None:
    """Short and long spellings become the same fields."""
    long = {"column": "tier", "transform": ["trim", {"map": {"g": "gold"}}], "default": "none"}
    found = _sync(send="changed", map={"a": "b", "c": {"column": "b"}, "d": {"value": 0}, "e": {"value": False}, "f": long}).map
    assert found["a"] == found["c"] == ColumnField(column="b")
    assert found["d"] == ValueField(value=0) and found["e"] == ValueField(value=False)
    assert [type(field.value) for field in (found["d"], found["e"]) if isinstance(field, ValueField)] == [int, bool]
    steps = (Transform(name="trim"), Transform(name="map", argument={"g": "gold"}))
    assert found["f"] == ColumnField(column="tier", transform=steps, default="none")
    assert [step.spec for step in steps] == ["trim", {"map": {"g": "gold"}}]


@pytest.mark.parametrize("step", ["e164", {"e164": "IN"}, {"sha256_phone": "US"}, {"default": False}, {"split": ";"}])
def test_one_transform_needs_no_list(step: Any) -> None:
    """A single transform stands alone or in a list; what it takes is decided where it is carried out."""
    alone = _sync(send="changed", map={"a": {"column": "b", "transform": step}})
    assert alone.map == _sync(send="changed", map={"a": {"column": "b", "transform": [step]}}).map


def test_words_agree_with_those_who_use_them() -> None:
    """Transforms, presets and webhook schemes are the ones there are: a new file of theirs has to be named here too."""
    assert sorted(TRANSFORMS) == transforms.names()
    assert sorted(get_args(Preset)) == sorted(PRESET_PARTS) == preset_names()
    assert sorted(get_args(Scheme)) == schemes()


@pytest.mark.parametrize(
    ("preset", "file"),
    [
        ("clevertap_events", "clevertap/1761651721-1761651722-Order-Placed-20260304-0-77.csv.gz"),
        ("clevertap_profiles", "clevertap/100000000-1761651721-1761651721-0.csv.gz"),
        ("braze_currents", "currents/event_type=users.Open/date=2026-03-04-17/437/part-0.avro"),
        ("amplitude_export", "amp/123456/123456_2026-03-04_7#12.json.gz"),
    ],
)
def test_the_parts_of_a_preset_are_those_that_its_file_names_have(preset: str, file: str) -> None:
    """A table may be named by a part only if the preset's files say it: a part that none has would fail each of them."""
    named = find_preset(preset).read_name(file)
    assert isinstance(named, Named)
    assert named.parts.keys() == PRESET_PARTS[preset]
