"""What a person got wrong, or a disk: one sentence, the right exit code, nothing sent, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.shop import ENVIRONMENT, Shop


@pytest.mark.parametrize("change", [{"action": "nonsense"}, {"map": {"tier": "tier"}}, {"after": ["nowhere"]}])
def test_a_sync_that_check_refuses_does_not_start(shop: Shop, twin: BrazeTwin, change: dict[str, Any]) -> None:
    """Whoever has not run `rowferry check` is told the same by the sync and its plan: exit code 2, no request."""
    shop.settings["syncs"]["customers"] |= change
    shop.save()
    for command in ("sync", "plan"):
        problems = shop.rowferry(command, "customers", code=2)["problems"]
        assert problems[0]["path"].startswith("syncs.customers.")
    assert twin.requests == 0


def test_a_mistake_in_one_sync_stops_no_other(shop: Shop) -> None:
    """Only the sync that is wrong stands still."""
    shop.settings["syncs"]["broken"] = {**shop.settings["syncs"]["customers"], "action": "nonsense"}
    shop.save()
    assert shop.sync()["delivered"] == 3


@pytest.mark.parametrize("damage", [b"", b'{"run": "2026', b"\x1f\x8b\x08\x00cut off"])
@pytest.mark.parametrize("place", ["syncs/", "runs/", "outbox/"])
def test_a_damaged_state_object_is_named(shop: Shop, twin: BrazeTwin, place: str, damage: bytes) -> None:
    """An object that a disk or a hand has spoilt is told by its name, and nothing is sent on a guess."""
    twin.faults.append(Fault(response=Response(401, b"{}")))
    shop.sync(code=1)
    sent = twin.requests
    spoilt = [path for path in (shop.folder / "state" / place).rglob("*") if path.is_file()]
    for path in spoilt:
        path.write_bytes(damage)
    problem = shop.sync(code=1)["problems"][0]["problem"]
    assert place in problem
    assert "damaged" in problem
    assert twin.requests == sent


def test_a_damaged_claim_holds_nobody_up(shop: Shop) -> None:
    """A claim only keeps two from one piece of work: one that can't be read is taken over."""
    claim = shop.folder / "state" / "claims" / "sync" / "customers.json"
    claim.parent.mkdir(parents=True)
    claim.write_bytes(b"{")
    assert shop.sync()["delivered"] == 3


@pytest.mark.parametrize(("out", "said"), [("nowhere/x.csv", "there is no folder"), (".", "is a folder")])
def test_rejects_with_nowhere_to_go_are_told(shop: Shop, out: str, said: str) -> None:
    """Exit code 2 and a sentence, no traceback."""
    command = [sys.executable, "-m", "rowferry.cli", "rejects", "customers", "--config", str(shop.config), "--out", str(shop.folder / out)]
    found = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=300)
    assert (found.returncode, "Traceback" in found.stderr) == (2, False)
    assert said in found.stderr
