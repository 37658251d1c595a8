"""Rows to vendors that take 50 ms to answer, against the open tools that can do the same: drt-core and dlt.

To Klaviyo, drt by its own destination, a request a row; we by bulk import jobs, at the pace that Klaviyo allows. To any
HTTP API, dlt as it comes and tuned, 75 rows a request; we by our delivery alone (in chunks, out receipts), with as many
requests in flight as dlt's workers and with more, which do not help dlt, and by two commands, from the file to a run
that is closed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bench.installed import dlt_python, drt_python, seconds_of
from bench.measure import Result, alternating
from bench.people import write_csv
from bench.sending import Delivery
from bench.shop import Shop
from bench.vendor import stand_in
from rowferry.destinations._http_settings import HttpSettings

SECONDS = 0.05
KLAVIYO_ROWS, DRT_ROWS = 100_000, 200  # a rate of 20 rows a second needs no more
ROWS, DLT_ROWS = 100_000, 20_000  # as it comes, dlt sends one request after the other; tuned it needs rows for 20 workers
BATCH_ROWS, IN_FLIGHT, MOST_IN_FLIGHT = 75, 20, 60
_HERE = Path(__file__).parent
_KLAVIYO = {"vendor": "klaviyo", "api_key": "env:BENCH_KEY", "test_addresses": "send"}
_HTTP = {
    "vendor": "http", "url": "https://api.example.com/people", "auth": {"scheme": "bearer", "token": "env:BENCH_KEY"},
    "batch": "array", "limits": {"rows": BATCH_ROWS}, "identifiers": ["external_id"],
}  # fmt: skip


def results() -> Iterator[Result]:
    """Rows a second of each, in alternating rounds."""
    yield from _klaviyo()
    yield from _http()


def _klaviyo() -> Iterator[Result]:
    python = drt_python()
    if python is None:
        return
    with stand_in("klaviyo", SECONDS) as ours, stand_in("http", SECONDS) as theirs:
        found = alternating(
            {
                "ours": partial(_sent_per_second, ours, _KLAVIYO, KLAVIYO_ROWS),
                "drt": lambda: DRT_ROWS / seconds_of(python, _HERE / "with_drt.py", theirs, str(DRT_ROWS)),
            }
        )
    work = "rowferry sync → Klaviyo profiles, 50 ms"
    yield Result(work, found["ours"], "drt-core, without its limiter", found["drt"], "rows/s", ">= 200")


def _http() -> Iterator[Result]:
    python = dlt_python()
    if python is None:
        return
    with tempfile.TemporaryDirectory() as folder, stand_in("http", SECONDS) as url:
        whole, short = write_csv(Path(folder) / "users.csv.gz", ROWS), write_csv(Path(folder) / "short.csv.gz", DLT_ROWS)
        script, api = _HERE / "with_dlt_api.py", f"{url}/people"
        works: dict[str, Callable[[], float]] = {
            "delivered": Delivery(_http_settings(url, IN_FLIGHT), ROWS).rows_per_second,
            "most": Delivery(_http_settings(url, MOST_IN_FLIGHT), ROWS).rows_per_second,
            "whole": lambda: ROWS / sum(_commands(url, {**_HTTP, "in_flight": MOST_IN_FLIGHT}, ROWS)),
            "as it comes": lambda: DLT_ROWS / seconds_of(python, script, str(short), api, "default"),
            "tuned": lambda: ROWS / seconds_of(python, script, str(whole), api, "tuned"),
        }
        found = alternating(works)
    tuned = "dlt, files of 5,000 rows, 20 workers"
    work = "delivery → HTTP API, 75 a request, 50 ms"
    yield Result(f"{work}, {IN_FLIGHT} in flight", found["delivered"], "dlt as it comes", found["as it comes"], "rows/s")
    yield Result(f"{work}, {IN_FLIGHT} in flight", found["delivered"], tuned, found["tuned"], "rows/s")
    yield Result(f"{work}, {MOST_IN_FLIGHT} in flight", found["most"], tuned, found["tuned"], "rows/s", ">= 2.0")
    yield Result(f"csv.gz → table → HTTP API, closed, {MOST_IN_FLIGHT} in flight", found["whole"], tuned, found["tuned"], "rows/s")


def _http_settings(url: str, in_flight: int) -> HttpSettings:
    settings = HttpSettings.model_validate({**_HTTP, "base_url": url, "in_flight": in_flight})
    return settings.resolved(lambda _reference: "a-made-up-key")


def _sent_per_second(url: str, destination: Mapping[str, Any], rows: int) -> float:
    """Rows a second of `rowferry sync` alone, from its start to its end."""
    return rows / _commands(url, destination, rows)[1]


def _commands(url: str, destination: Mapping[str, Any], rows: int) -> tuple[float, float]:
    """How long `rowferry load` of a file takes, and then `rowferry sync` of its table, each a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        shop = Shop(Path(place), {**destination, "base_url": url})
        packed = write_csv(shop.exports / "users.csv.gz", rows)
        return shop.seconds("load", str(packed)), shop.seconds("sync", "users")
