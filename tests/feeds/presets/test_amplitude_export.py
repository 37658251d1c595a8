from datetime import date, datetime

import pytest

from rowferry.feeds.preset import Ignored, Named
from rowferry.feeds.presets.amplitude_export import PRESET


def test_an_hour_of_events_is_read() -> None:
    """The hour bears no leading zero, and the `#` stands in the name as it is."""
    named = PRESET.read_name("amp/123456/123456_2026-03-04_7#12.json.gz")
    assert isinstance(named, Named)
    assert named.variant == ""
    assert named.parts == {"project": "123456", "day": date(2026, 3, 4), "hour": datetime.fromisoformat("2026-03-04T07:00"), "index": "12"}


@pytest.mark.parametrize("name", ["-99_2026-03-04_7.json.gz", "123456_2026-03-04_7.json.gz"])
def test_merged_ids_are_a_table_of_their_own(name: str) -> None:
    """They are no events, though they lie beside them; old organisations have no hyphen."""
    named = PRESET.read_name(f"amp/-99/{name}")
    assert isinstance(named, Named)
    assert named.variant == "merged_ids"


def test_markers_are_passed_over_and_strangers_not_taken() -> None:
    """`_complete` holds no rows; any other name belongs to somebody else."""
    assert isinstance(PRESET.read_name("amp/123456/123456_2026-03-04_7_complete"), Ignored)
    assert PRESET.read_name("amp/notes.json") is None
    assert PRESET.read_name("amp/1/1_2026-13-04_7#1.json.gz") is None


def test_the_export_apis_zip_is_taken() -> None:
    """What the Export API answers is one ZIP, named by whoever pulled it."""
    assert isinstance(PRESET.read_name("amp/2026-03-04T07.zip"), Named)
