from datetime import date, datetime

import pytest

from rowferry.feeds.preset import Ignored, Named
from rowferry.feeds.presets.braze_currents import PRESET

NAME = "dataexport.prod-03.S3.integration.abc+4+0000000042.avro"


@pytest.mark.parametrize("version", ["version=6/prod", "482/zone-1"])
@pytest.mark.parametrize("prefix", ["currents/dataexport.prod-03.S3.integration.abc/", "", "a/b/c/"])
def test_both_layouts_are_read_wherever_they_lie(prefix: str, version: str) -> None:
    """The versioned folders of 2025 and the bare numbers before them stand in one bucket."""
    named = PRESET.read_name(f"{prefix}event_type=users.messages.email.Open/date=2026-03-04-17/{version}/{NAME}")
    assert isinstance(named, Named)
    assert named.parts == {
        "event": "users.messages.email.Open",
        "day": date(2026, 3, 4),
        "hour": datetime.fromisoformat("2026-03-04T17:00"),
        "version": "6" if "version" in version else "482",
    }


def test_what_is_no_avro_is_passed_over() -> None:
    """Braze's dashboard exports (JSON lines) may share the bucket."""
    assert isinstance(PRESET.read_name("currents/users.jsonl"), Ignored)


def test_a_path_without_event_type_is_not_taken() -> None:
    """An Avro file that does not say what it holds is somebody else's."""
    assert PRESET.read_name("currents/x.avro") is None
