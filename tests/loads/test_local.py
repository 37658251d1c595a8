from pathlib import Path

import pytest

from rowferry.errors import UsageError
from rowferry.loads.local import to_object
from support.loading import Bench

FEEDS = {"crm": {"path": "crm/c-{day:%Y%m%d}.csv", "table": "crm.customers", "columns": {"id": "STRING", "day": "DATE"}}}


def test_a_file_in_the_exports_folder_is_its_object(tmp_path: Path) -> None:
    """Nothing is copied, and the feed is found by the path; also through a link to the folder."""
    found = Bench(tmp_path, FEEDS)
    found.put("crm/c-20240131.csv", "id\n1\n")
    (tmp_path / "link").symlink_to(tmp_path / "exports")
    for folder in ("exports", "link"):
        assert to_object(found.exports, tmp_path / folder / "crm/c-20240131.csv", None) == "crm/c-20240131.csv"


def test_a_file_from_elsewhere_needs_a_feed_and_loads_once(tmp_path: Path) -> None:
    """The same file again is skipped; changed, it takes its own rows' place; another of that name is another."""
    found = Bench(tmp_path, FEEDS)
    mine, other = tmp_path / "mine" / "c-20240131.csv", tmp_path / "other" / "c-20240131.csv"
    for file, content in ((mine, "id\n1\n"), (other, "id\n2\n")):
        file.parent.mkdir()
        file.write_text(content)
    with pytest.raises(UsageError, match="--feed"):
        to_object(found.exports, mine, None)
    statuses = [found.loader.load(to_object(found.exports, file, "crm")).status for file in (mine, mine, other)]
    assert statuses == ["loaded", "skipped", "loaded"]
    mine.write_text("id\n3\n")
    assert found.loader.load(to_object(found.exports, mine, "crm")).status == "loaded"
    assert [(row[0], str(row[1])) for row in found.table("crm.customers", "id", "day")] == [("2", "2024-01-31"), ("3", "2024-01-31")]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing file and a folder each have their sentence."""
    found = Bench(tmp_path, FEEDS)
    for path in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(UsageError, match="there is no file"):
            to_object(found.exports, path, "crm")
