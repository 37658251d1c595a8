import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from support.loading import Bench

FEEDS = {"f": {"path": "f/*", "table": "raw.t", "columns": {"id": "STRING", "n": "INT64", "note": "STRING"}}}


TEXT = "some text that is not short " * 10


def csv_rows(count: int) -> str:
    return "id,n,note\n" + "".join(f"{number},{number},{number} {TEXT}\n" for number in range(count))


def bad_rows(count: int) -> str:
    return "id,n,note\n" + "".join(f"{number},not a number,{number} {TEXT}\n" for number in range(count))


def json_rows(count: int) -> str:
    return "".join(f'{{"id":"{number}","n":{number},"note":"{TEXT}"}}\n' for number in range(count))


def json_array(count: int) -> str:
    return "[" + ",".join(json_rows(count).splitlines()) + "]"


@pytest.mark.parametrize("write", [csv_rows, bad_rows, json_rows, json_array])
def test_our_own_memory_does_not_grow_with_the_file(tmp_path: Path, write: Callable[[int], str]) -> None:
    """Five times the rows, the same memory but for buffers that fill: clean or rejected, read by the engine or by us."""
    peaks = []
    for count in (12_000, 60_000):
        found = Bench(tmp_path / str(count), FEEDS)
        found.load("f/warm.csv", "id,n,note\n1,x,y\n")
        key = found.put("f/rows.dat.gz", write(count))
        tracemalloc.start()
        assert found.loader.load(key).status == "loaded"
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        found.warehouse.release()
    assert peaks[1] < 1.2 * peaks[0], peaks
