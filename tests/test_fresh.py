"""Secrets that are replaced while an instance lives."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from rowferry.app import App
from rowferry.clock import ManualClock
from rowferry.errors import CredentialsError, TryLater, UsageError
from rowferry.fresh import KEPT_SECONDS, Fresh
from rowferry.machine import Machine
from rowferry.secrets import Resolve
from rowferry.settings.file import read_settings
from rowferry.twins.braze import BrazeTwin
from support.senders import call

SETTINGS = """
rowferry: 1
warehouse: {{engine: duckdb, path: warehouse.duckdb}}
state: ./state
destinations: {{braze: {{vendor: braze, base_url: "{url}", api_key: "secret:key"}}}}
webhooks:
  shop:
    verify: {{scheme: github, secret: "secret:hook"}}
    routes: &routes [{{send: {{to: braze, action: profile, map: {{external_id: user}}}}}}]
  other: {{verify: {{scheme: github, secret: ["secret:new", "secret:old"]}}, routes: *routes}}
"""


Log = pytest.LogCaptureFixture


@dataclass
class Vault:
    """Where secrets are kept. `trouble` is raised instead of an answer."""

    values: dict[str, str]
    reads: int = 0
    trouble: Exception | None = None

    def resolve(self, reference: str) -> str:
        self.reads += 1
        if self.trouble is not None:
            raise self.trouble
        if (name := reference.partition(":")[2]) not in self.values:
            raise UsageError(f"there is no {name}")
        return self.values[name]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vault() -> Vault:
    return Vault({"key": "k1", "hook": "h1", "new": "n1", "old": "o1"})


def _made(vault: Vault, clock: ManualClock) -> Fresh[list[str]]:
    def make(resolve: Resolve) -> list[str]:
        return [resolve("secret:key"), resolve("secret:hook")]

    return Fresh(make, vault.resolve, clock)


def test_it_is_the_same_while_its_secrets_are(vault: Vault, clock: ManualClock) -> None:
    """What it remembers, as an account its pace, is not lost because a secret was looked at."""
    fresh = _made(vault, clock)
    first = fresh.get()
    assert fresh.get() is first
    assert vault.reads == 2
    clock.sleep(KEPT_SECONDS)
    assert fresh.get() is first
    assert vault.reads == 4
    vault.values["hook"] = "h2"
    assert fresh.get() is first
    clock.sleep(KEPT_SECONDS)
    assert fresh.get() == ["k1", "h2"]


@pytest.mark.parametrize("trouble", [TryLater("out of reach"), CredentialsError("not allowed")])
def test_secrets_out_of_reach_change_nothing(vault: Vault, clock: ManualClock, trouble: Exception) -> None:
    """An outage of the place where they are kept stops none of those who have read them, and lasts no longer than itself."""
    fresh = _made(vault, clock)
    vault.trouble = trouble
    with pytest.raises(type(trouble)):
        fresh.get()
    vault.trouble = None
    first = fresh.get()
    vault.trouble = trouble
    clock.sleep(KEPT_SECONDS)
    assert fresh.get() is first
    vault.trouble = None
    vault.values["key"] = "k2"
    clock.sleep(KEPT_SECONDS)
    assert fresh.get() == ["k2", "h1"]


def test_a_secret_that_is_gone_is_not_used_on(vault: Vault, clock: ManualClock) -> None:
    """Somebody has taken it away on purpose."""
    fresh = _made(vault, clock)
    fresh.get()
    vault.trouble = UsageError("there is no such secret")
    clock.sleep(KEPT_SECONDS)
    for _ in range(2):
        with pytest.raises(UsageError):
            fresh.get()
    vault.trouble = None
    assert fresh.get() == ["k1", "h1"]


def test_many_at_once_read_them_once(vault: Vault, clock: ManualClock) -> None:
    """Of the threads of a busy instance one looks; the others answer their callers meanwhile, all with the same thing."""
    fresh = _made(vault, clock)
    first = fresh.get()
    clock.sleep(KEPT_SECONDS)
    with ThreadPoolExecutor(8) as threads:
        assert all(found is first for found in threads.map(lambda _: fresh.get(), range(64)))
    assert vault.reads == 4


@pytest.fixture
def app(tmp_path: Path, vault: Vault, clock: ManualClock) -> Iterator[App]:
    """An instance that lives on, with webhooks for a vendor whose key is `right`."""
    with BrazeTwin(api_key="right") as braze:
        (tmp_path / "rowferry.yaml").write_text(SETTINGS.format(url=braze.url))
        with App(read_settings(tmp_path / "rowferry.yaml", {}), clock=clock, resolve_secret=vault.resolve) as app:
            yield app


def _status(app: App, secret: str, number: int, name: str = "shop") -> int:
    found = call("github", name, {"user": "u1"}, app.clock.now(), secret, **{"x-github-delivery": str(number)})
    return app.relay.answer(found).status


def test_a_webhooks_secret_is_replaced(app: App, vault: Vault, clock: ManualClock) -> None:
    """An instance that is never idle takes the new one, and the old one no more: it may be in strange hands."""
    assert _status(app, "h1", 1) == 200
    vault.values["hook"] = "h2"
    clock.sleep(KEPT_SECONDS)
    assert [_status(app, "h1", 2), _status(app, "h2", 3)] == [401, 200]


@pytest.mark.parametrize("blank", [True, False])
def test_a_secret_that_is_gone_closes_its_own_webhook(app: App, vault: Vault, clock: ManualClock, caplog: Log, *, blank: bool) -> None:
    """The old one of two was deleted before the settings were changed: its sender is asked to come back, and the log says why;
    the others' calls are taken in, at the start of an instance and while it lives. Put back, it is open again."""
    if blank:
        vault.values["old"] = "\n"
    else:
        del vault.values["old"]
    assert [_status(app, "h1", 1), _status(app, "n1", 2, "other")] == [200, 503]
    assert "webhook other is closed" in caplog.text
    vault.values["old"] = "o2"
    clock.sleep(KEPT_SECONDS)
    assert [_status(app, "h1", 3), _status(app, "n1", 4, "other"), _status(app, "o2", 5, "other")] == [200] * 3
    del vault.values["old"]
    clock.sleep(KEPT_SECONDS)
    assert [_status(app, "h1", 6), _status(app, "o2", 7, "other"), _status(app, "h1", 8, "nosuch")] == [200, 503, 404]


def test_a_vendors_key_is_mended(app: App, vault: Vault, clock: ManualClock) -> None:
    """What waited for it leaves from the same instance, which the sweep's tries have kept awake."""
    machine = Machine(app)
    assert _status(app, "h1", 1) == 200
    assert machine.deliver_relayed() == 0
    vault.values["key"] = "right"
    clock.sleep(KEPT_SECONDS)
    assert machine.deliver_relayed() == 1
