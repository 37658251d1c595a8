"""The edges of pulls on both clouds: a timer's call pulls what is due into the exports; an unfinished pull is tried again."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import functions_framework
import pytest

from rowferry import edge
from rowferry.errors import TryLater
from rowferry.twins.clevertap import CleverTapTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.pulling import ENVIRONMENT, Bench

FUNCTION = Path(__file__).parents[2] / "functions" / "pull_reports"
Call = Callable[[Any], str]


@pytest.fixture
def twin() -> Iterator[CleverTapTwin]:
    """A running project with events of this morning."""
    with CleverTapTwin(account_id="ABC-123-4567", passcode="passcode-1") as running:
        for _ in range(5):
            running.reads.add("Charged", datetime.now(UTC), {"profile": {"identity": "u1"}})
        yield running


@pytest.fixture
def bench(tmp_path: Path, twin: CleverTapTwin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Settings where the edges find them; one attempt is all a request gets."""
    bench = Bench(tmp_path, twin)
    bench.data["destinations"]["account"]["attempts"] = 1
    for place in ("state", "exports"):
        bench.data[place] = (tmp_path / place).as_uri()
    for name, value in {**ENVIRONMENT, "ROWFERRY_CONFIG": str(bench.save())}.items():
        monkeypatch.setenv(name, value)
    edge.app.cache_clear()
    yield bench
    edge.app().close()
    edge.app.cache_clear()


def _gcp(message: Any) -> str:
    create_app: Any = functions_framework.create_app  # it has no types
    client = create_app("pull_reports", str(FUNCTION / "gcp.py")).test_client()
    client.application.config["PROPAGATE_EXCEPTIONS"] = True
    return str(client.post("/", json=message).data.decode())


def _aws(message: Any) -> str:
    spec = importlib.util.spec_from_file_location("pull_reports_aws", FUNCTION / "aws.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    class Context:
        """What Lambda says of the call."""

        def get_remaining_time_in_millis(self) -> int:
            return 600_000

    return str(module.handler(message, Context()))


@pytest.mark.parametrize("call", [_gcp, _aws])
def test_a_timer_pulls_what_is_due(bench: Bench, call: Call) -> None:
    """Yesterday and today are in the exports, from where their own events load them; nothing is loaded here."""
    assert call({"pull": "charged"}) == "pulled"
    files = sorted((bench.folder / "exports").rglob("*.json.gz"))
    assert len(files) == 2
    assert not (bench.folder / "warehouse.duckdb").exists()


@pytest.mark.parametrize("call", [_gcp, _aws])
def test_a_vendor_that_is_down_makes_the_platform_try_again(bench: Bench, twin: CleverTapTwin, call: Call) -> None:
    """The edge raises; the next call asks for what is missing."""
    twin.faults.extend(Fault(Response(500)) for _ in range(20))
    with pytest.raises(TryLater):
        call({"pull": "charged"})
    twin.faults.clear()  # how many windows were asked for before the first one failed is open
    assert call({"pull": "charged"}) == "pulled"


@pytest.mark.parametrize("call", [_gcp, _aws])
def test_a_pull_that_is_held_is_left_to_its_holder(bench: Bench, call: Call) -> None:
    """Two rings of one timer don't pull the same report side by side."""
    bench.set_clock(datetime.now(UTC))
    with bench.app() as other, other.claimed("pull/charged"):
        assert call({"pull": "charged"}) == "held"


def test_an_unknown_name_is_a_bad_request(bench: Bench) -> None:
    """Google's timer is told so, rather than an empty success."""
    assert "pull of the settings" in _gcp({"pull": "nothing"})
    assert "pull of the settings" in _gcp([1])
