"""An app that may do no more than infra/needs.yaml gives its function, and remembers what it did.

What Terraform grants follows from that page; so does what is allowed here. A function that reaches for
anything else fails at once, with a sentence that says what to write into the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar

from rowferry.app import App
from rowferry.clock import Clock
from rowferry.settings.model import Settings
from rowferry.stores.address import open_store
from rowferry.stores.port import Store
from support.exporting import ExportingWarehouse
from support.needs import NEEDS

LEVELS = ("", "read", "add", "change")
_NEEDED_FOR_STORE = {
    **dict.fromkeys(("read", "open", "head", "list"), "read"),
    **dict.fromkeys(("create", "join"), "add"),
    **dict.fromkeys(("replace", "write", "delete"), "change"),
}
_READS_OF_WAREHOUSE = ("columns", "describe", "query", "snapshot_rows")
_FREE_OF_WAREHOUSE = ("engine", "quote", "release")


class NotPermitted(AssertionError):
    """A function did what its entry in needs.yaml does not give it."""


class Ledger:
    """What one function may do and has done, by what it did it to: `state/outbox`, `exports`, `warehouse`."""

    def __init__(self, function: str) -> None:
        need = NEEDS[function]
        self.function = function
        self.given: dict[str, str] = {f"state/{folder}": access for folder, access in need.get("state", {}).items()}
        self.given |= {thing: need[thing] for thing in ("exports", "warehouse") if thing in need}
        self.used: dict[str, str] = {}
        self.asked: set[str] = set()  # references of secrets

    def take(self, thing: str, access: str) -> None:
        """Note an access. Raises `NotPermitted`."""
        if LEVELS.index(access) > LEVELS.index(self.given.get(thing, "")):
            raise NotPermitted(f"{self.function} needs `{access}` on {thing}; needs.yaml gives it {self.given.get(thing) or 'nothing'}")
        self.used[thing] = max(self.used.get(thing, ""), access, key=LEVELS.index)


class Guard:
    """Lets calls through to `inner` when the ledger has them; `thing_of` says what a call's first argument is about."""

    def __init__(self, inner: Any, ledger: Ledger, needed: Callable[[str], str | None], thing_of: Callable[[str], str]) -> None:
        self._inner, self._ledger, self._needed, self._thing_of = inner, ledger, needed, thing_of

    def __getattr__(self, name: str) -> Any:
        found, access = getattr(self._inner, name), self._needed(name)
        if access is None:
            return found

        def guarded(*arguments: Any, **named: Any) -> Any:
            first = arguments[0] if arguments else next(iter(named.values()), "")
            self._ledger.take(self._thing_of(str(first)), access)
            return found(*arguments, **named)

        return guarded


class PermittedApp(App):
    """The app as one function has it. Its ledgers are kept over all apps of a test: `ledgers`."""

    ledgers: ClassVar[dict[str, Ledger]] = {}

    def __init__(self, function: str, settings: Settings, secrets: Mapping[str, str], clock: Clock) -> None:
        self._ledger = self.ledgers.setdefault(function, Ledger(function))
        self.asked: set[str] = set()

        def resolve(reference: str) -> str:
            self.asked.add(reference)
            self._ledger.asked.add(reference)
            return secrets[reference]

        super().__init__(settings, environment={}, clock=clock, resolve_secret=resolve)

    @cached_property
    def state(self) -> Store:
        return self._guarded(self.settings.state, lambda key: f"state/{key.split('/')[0]}")

    @cached_property
    def exports(self) -> Store:
        return self._guarded(self.settings.exports or "", lambda _key: "exports")

    @cached_property
    def warehouse(self) -> Any:
        def needed(name: str) -> str | None:
            return None if name in _FREE_OF_WAREHOUSE else "read" if name in _READS_OF_WAREHOUSE else "change"

        engine: Any = App.warehouse.func(self)  # type: ignore[attr-defined]  # the cached property's own function
        inner = ExportingWarehouse(engine, self.state)  # BigQuery writes with the function's own rights
        return Guard(inner, self._ledger, needed, lambda _table: "warehouse")

    @property
    def export_rows(self) -> int | None:
        """Every run leaves by an export, which takes all that the other way takes, and more."""
        return 1

    def _guarded(self, url: str, thing_of: Callable[[str], str]) -> Store:
        guard: Any = Guard(open_store(url), self._ledger, _NEEDED_FOR_STORE.get, thing_of)
        store: Store = guard
        return store
