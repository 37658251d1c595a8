"""Which column of the table each column of a file goes to, under the feed's contract."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from rowferry.errors import FileRejected
from rowferry.feeds.contract import SYSTEM_COLUMNS, Contract
from rowferry.feeds.names import fit_header
from rowferry.feeds.preset import Column

_NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Target:
    """A column of the table. `type` is what the text is cast to, and the column's own.

    Its text is that of the file's column `source` (its place, from 0), or the `part` of the file's
    name, or NULL when it has neither. `known_as` is the name in the file. A column that is not
    declared is text in the table, and its type is inferred.
    """

    name: str
    type: str
    source: int | None = None
    part: str = ""
    known_as: str = ""
    is_declared: bool = True

    @property
    def is_filled(self) -> bool:
        """Whether this file says anything about the column."""
        return self.source is not None or bool(self.part)


def fit_columns(
    contract: Contract, names: Sequence[str], known: Mapping[str, str], table: Mapping[str, str] | None, passed_over: Collection[str] = ()
) -> list[Target]:
    """The columns of the table that a file with columns `names` fills, and the declared ones it does not.

    `known` says which columns names of earlier files became, `table` what the table has now, and
    `passed_over` are names of the file that stand for nothing in the table. Raises
    `FileRejected` when the file shares no column with the contract, or has others and may not.
    """
    stored = {name.lower(): kind for name, kind in (table or {}).items()}
    header = _Header(names, contract.fit)
    declared = [_declared(column, header.place(column), contract, stored) for column in contract.columns]
    used = {target.source for target in declared}
    if contract.columns and used == {None}:
        wanted = _some([column.name for column in contract.columns])
        hint = _other_delimiter(names, contract.settings.delimiter)
        raise FileRejected("no_shared_column", f"none of its columns ({_some(names)}) is one of the feed's ({wanted}){hint}")
    rest = [place for place, name in enumerate(names) if place not in used and name not in passed_over]
    if rest and contract.settings.new_columns == "reject":
        raise FileRejected("undeclared_columns", f"it has columns that are not declared: {_some([names[place] for place in rest])}")
    if contract.settings.new_columns != "add":
        return declared
    return declared + _added(contract, names, rest, known, stored)


class _Header:
    """The names of a file's columns, and where each stands: found as written, else in any case, else made fit."""

    def __init__(self, names: Sequence[str], fit: Callable[[str], str]) -> None:
        self._exact: dict[str, int] = {}
        self._lower: dict[str, int] = {}
        self._fitted: dict[str, int] = {}
        for place, name in enumerate(names):
            self._exact.setdefault(name, place)
            self._lower.setdefault(name.lower(), place)
            self._fitted.setdefault(fit(name).lower(), place)

    def place(self, column: Column) -> int | None:
        """The first of the column's sources that the file has; None when it has none."""
        wanted = column.sources or (column.name,)
        found = (index.get(name) for source in wanted for index, name in ((self._exact, source), (self._lower, source.lower())))
        return next((place for place in found if place is not None), self._fitted.get(column.name.lower()))


def _declared(column: Column, place: int | None, contract: Contract, stored: Mapping[str, str]) -> Target:
    kind = stored.get(column.name.lower(), column.type)
    part = column.part if place is None and column.part in contract.parts else ""
    return Target(column.name, kind, source=place, part=part)


def _added(contract: Contract, names: Sequence[str], rest: list[int], known: Mapping[str, str], stored: Mapping[str, str]) -> list[Target]:
    taken = {f"\0{column.name}": column.name for column in contract.columns} | {f"\0{name}": name for name in SYSTEM_COLUMNS}
    columns = fit_header([names[place] for place in rest], taken | dict(known), contract.fit)
    return [_target(contract, names[place], name, place, stored) for place, name in zip(rest, columns, strict=True)]


def _target(contract: Contract, known_as: str, name: str, place: int, stored: Mapping[str, str]) -> Target:
    promised = contract.types.get(name)
    return Target(name, stored.get(name.lower(), promised or "STRING"), place, known_as=known_as, is_declared=promised is not None)


def _other_delimiter(names: Sequence[str], delimiter: str) -> str:
    """What to write where the whole header was read as one name, for another character stands between its names."""
    if len(names) != 1:
        return ""
    words = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
    found = [word for character, word in words.items() if character in names[0] and character != delimiter]
    return f"; the feed's delimiter may have to be {found[0]}" if found else ""


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(name if len(name) <= 40 else f"{name[:39]}…" for name in names[:_NAMES_SHOWN])
    return shown + (f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else "")
