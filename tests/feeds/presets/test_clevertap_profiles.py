import pytest

from rowferry.feeds.preset import Named
from rowferry.feeds.presets.clevertap_profiles import PRESET


@pytest.mark.parametrize(
    "key",
    [
        "100000000-1761651721-1761651721-0.csv.gz",
        "profile/100000000-1761651721-1761651721-0.parquet",
        "100000000-1761651721-1761651721-0-csv.gz",
        "nightly-vip-1761651721-1761651721-3.json.gz",
    ],
)
def test_old_new_and_own_names_are_read(key: str) -> None:
    """The Export center's names, the legacy ones and own templates all end in run and instance."""
    named = PRESET.read_name(key)
    assert isinstance(named, Named)
    assert str(named.parts["day"]) == "2025-10-28"


def test_an_event_file_is_not_taken() -> None:
    """Both exports may lie in one bucket; the eight digits of a day are no run."""
    assert PRESET.read_name("1663664837-1663785000-Order-Placed-20220921-0-0.csv.gz") is None
