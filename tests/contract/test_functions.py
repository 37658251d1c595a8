"""One suite over both clouds: export files become rows at the vendor, whatever the platform does with its events.

Nothing of ours is replaced: the edges run under the real functions-framework server and the real Lambda
runtime client, against stand-ins of storage, queues, secrets and vendors.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.aws_cloud import AwsCloud
from support.cloud_shop import API_KEY, Cloud, Mode, Shop, customers
from support.gcp_cloud import GcpCloud

ROWS = 250
MODES: tuple[Mode, ...] = ("once", "twice", "shuffled", "lost")


@pytest.fixture(scope="module", params=[GcpCloud, AwsCloud], ids=["gcp", "aws"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("cloud")
    cloud: Cloud = request.param(folder)
    with Shop(cloud, folder, MODES) as shop:
        yield shop


@pytest.mark.parametrize("mode", MODES)
def test_from_file_to_vendor(shop: Shop, mode: Mode) -> None:
    """Files land, the timer rings: table, vendor, delivered state, balance and notice agree, and a changed row leaves alone."""
    shop.cloud.mode = mode
    shop.drop(f"{mode}/Kunden für + März 100%.csv.gz", customers(mode, 150))
    shop.drop(f"{mode}/customers-2.csv.gz", customers(mode, 100, first=150))
    _bring_to_the_end(shop, mode)
    bad = [f"{mode}-{n:04d}" for n in range(1, ROWS, 100)]
    assert shop.query(f"SELECT COUNT(*), COUNT(DISTINCT id) FROM crm.{mode}") == [(ROWS, ROWS)]
    first = shop.latest(mode)
    assert (first.status, first.read, first.delivered, first.rejected, first.pending) == ("closed", ROWS, ROWS - 3, 3, 0)
    assert sorted(row["key"] for row in first.rejections) == bad
    assert len(shop.people(mode)) == ROWS - 3
    assert len(shop.sent(mode)) == ROWS
    assert sum("for the first time" in text for text in shop.told(mode)) == 1

    shop.drop(f"{mode}/customers-3.csv.gz", customers(mode, 2, first=10, tier="silver"))
    _bring_to_the_end(shop, mode)
    second = shop.latest(mode)
    assert second.run != first.run
    assert (second.status, second.read, second.unchanged, second.delivered, second.rejected) == ("closed", ROWS, ROWS - 2, 2, 0)
    assert shop.sent(mode)[ROWS:] == [{"external_id": f"{mode}-{n:04d}", "tier": "silver"} for n in (10, 11)]
    assert shop.query(f"SELECT COUNT(*) FROM rowferry.dead_letters WHERE sync = '{mode}' AND status = 'open'") == [(3,)]
    assert sum("for the first time" in text for text in shop.told(mode)) == 1


def _bring_to_the_end(shop: Shop, mode: Mode) -> None:
    shop.cloud.settle()
    if mode == "lost":
        shop.sweep()
    assert shop.sync(mode) == "open"
    shop.cloud.settle()
    if mode == "lost":
        # One sweep finds the chunks, one the receipts that close the run, one the notice of that.
        for _ in range(3):
            shop.sweep()


def test_a_second_call_of_the_timer_starts_nothing_new(shop: Shop) -> None:
    """A scheduler that rings twice finds the run of the first, or nothing to do."""
    shop.cloud.mode = "once"
    before = len(shop.sent("once"))
    assert [shop.sync("once"), shop.sync("once")] == ["closed", "closed"]
    shop.cloud.settle()
    assert len(shop.sent("once")) == before


def test_nothing_is_left_lying_about(shop: Shop) -> None:
    """After its close a run has no chunk, journal, claim or receipts any more; a notice's chunk stays to tell its repeats."""
    left = [found.key for folder in ("outbox/braze/", "journal/", "claims/") for found in shop.cloud.state.list(folder)]
    assert left == []


def test_no_secret_and_no_row_in_the_log(shop: Shop) -> None:
    """The functions have logged a line for each file and chunk, and neither a key nor an address."""
    logs = shop.cloud.logs()
    assert "customers-2.csv.gz: loaded, 100 rows" in logs
    for secret in (API_KEY, "@shop.example", "no address", shop.slack.hook_path or "/services/T0"):
        assert secret not in logs
