"""One look at an alert: run its statement, hold the row against its conditions, tell what is news.

    ok ──fire_when holds──► firing ──fire_when does not, and recover_when holds (where there is one)──► ok

What is not known, for a NULL decides, fires nothing and is no recovery either.
A statement that can't be run, or does not give one row, is a state of its own: an alert that has gone
blind is news too, and so is that it sees again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from rowferry.alerts.history import History, Numbers
from rowferry.alerts.trend import draw
from rowferry.clock import Clock
from rowferry.errors import SourceError
from rowferry.notices import text
from rowferry.notices.notice import OK, Notice
from rowferry.notices.notices import Notices
from rowferry.settings.condition import read_condition
from rowferry.stores.port import Store
from rowferry.warehouse.port import Warehouse, WarehouseError

if TYPE_CHECKING:
    from rowferry.settings.alert import Alert

FIRING = "firing"
BLIND = "blind"  # its statement does not work
_BEFORE, _CHANGE = "_before", "_change_percent"
_MAX_FACTS = 12
_SWING, _SWING_LOOKS = timedelta(hours=1), 3  # so soon, or after so few looks, it fires again: its value swings about the limit


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at an alert found: its state, whether that was news, and why it is blind when it is."""

    state: Literal["ok", "firing", "blind"]
    is_news: bool
    reason: str = ""


class Alerts:
    """Looks at alerts. Safe to call again at any time: what has been told is not told again."""

    def __init__(self, warehouse: Warehouse, state: Store, notices: Notices, clock: Clock) -> None:
        self._warehouse, self._state, self._notices, self._clock = warehouse, state, notices, clock

    def check(self, name: str, alert: Alert) -> Look:
        """Look at the alert once. Raises `TryLater` when warehouse or store are out of reach,
        `CredentialsError` when one of them refuses us."""
        try:
            row = self._row(alert)
            now = self._clock.now()
            history = History(self._state, name)
            before = history.before(alert.compare, now.astimezone(ZoneInfo(alert.timezone)), alert.every)
            known = {**row, **_compared(row, before)}
            was, since = self._notices.standing(f"alert/{name}")
            state = _state_of(was, alert, known)
        except (WarehouseError, SourceError, ValueError) as error:
            return self._blind(name, alert, str(error))
        watched = _watched(alert, row)
        values = [*history.values(watched), _number(row.get(watched))]
        swing = _swing(alert, now - datetime.fromisoformat(since)) if since and state != was else ""
        notice = _notice(name, alert, row, known, draw(values) if alert.trend else "", state, swing)
        is_news = self._notices.tell(f"alert/{name}", state, notice, alert.notify)
        history.add(now, _numbers(row))  # after it was told: a look that is killed must not compare with itself
        self._sees(name, alert)
        return Look("firing" if state == FIRING else "ok", is_news)

    def _row(self, alert: Alert) -> dict[str, Any]:
        rows = list(islice(self._warehouse.query(alert.sql), 2))
        if len(rows) != 1:
            raise SourceError(f"the alert's sql gave {'more than one row' if rows else 'no row'}, and should give one; write an aggregate")
        return {name: None if value != value else value for name, value in rows[0].items()}  # noqa: PLR0124 - NaN alone is not itself

    def _blind(self, name: str, alert: Alert, reason: str) -> Look:
        notice = Notice(f"Alert {name} can't see: its statement does not work", {}, reason, "rowferry check --live")
        return Look("blind", self._notices.tell(f"alert/{name}/sight", BLIND, notice, alert.notify), reason)

    def _sees(self, name: str, alert: Alert) -> None:
        self._notices.tell(f"alert/{name}/sight", OK, Notice(f"Alert {name} sees again", is_good=True), alert.notify)


def try_out(alert: Alert, warehouse: Warehouse) -> None:
    """Hold an alert against the warehouse without running its statement. Raises `WarehouseError` where that does not work,
    `ValueError` for a condition over what it does not give, `TryLater` and `CredentialsError` as the warehouse."""
    columns = warehouse.describe(alert.sql)
    known = {f"{column}{more}" for column in columns for more in ("", _BEFORE, _CHANGE)}
    for condition in (alert.fire_when, alert.recover_when or alert.fire_when):
        if strange := sorted(read_condition(condition).names - known):
            raise ValueError(f"the condition `{condition}` looks at {strange[0]}, and its sql gives {', '.join(columns)}")


def _state_of(was: str, alert: Alert, known: Mapping[str, Any]) -> str:
    fires = read_condition(alert.fire_when).verdict(known)
    if was != FIRING:
        return FIRING if fires else OK
    is_over = read_condition(alert.recover_when).holds(known) if alert.recover_when else fires is False
    return OK if is_over and not fires else FIRING


def _swing(alert: Alert, lasted: timedelta) -> str:
    """What to say of a value that goes to and fro about its limit: each swing is news, and soon nobody reads it."""
    if alert.recover_when or lasted > max(_SWING, timedelta(seconds=_SWING_LOOKS * (alert.every or 0))):
        return ""
    return f". It was over for {lasted.total_seconds() / 60:.0f} minutes only: a recover_when further from the limit tells fewer swings"


def _notice(name: str, alert: Alert, row: Mapping[str, Any], known: Mapping[str, Any], trend: str, state: str, swing: str = "") -> Notice:
    is_good = state == OK
    word = "recovered" if is_good else FIRING
    fires = f"It fires when {alert.fire_when}{'' if is_good else swing}"
    return Notice(
        title=f"Alert {name}: {word}",
        facts=_facts(row, known) | ({"trend": trend} if trend else {}),
        reason=f"It is over when {alert.recover_when}" if alert.recover_when and not is_good else fires,
        markup=_markup(alert, known, word),
        is_good=is_good,
    )


def _facts(row: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {column: _with_change(value, known.get(f"{column}{_CHANGE}")) for column, value in list(row.items())[:_MAX_FACTS]}


def _with_change(value: Any, percent: float | None) -> str:
    return text.plain(value) + (f" ({percent:+.0f} %)" if percent is not None else "")


def _markup(alert: Alert, known: Mapping[str, Any], word: str) -> str:
    if alert.text is None:
        return ""
    from rowferry.notices.message import Message  # brings Jinja along, which an alert without a text can do without

    values = {name: _number(value) if isinstance(value, Decimal) else value for name, value in known.items()}
    return str(Message(alert.text).row({**values, "state": word}, "alert")["text"])


def _watched(alert: Alert, row: Mapping[str, Any]) -> str:
    """The column that the alert is about: the first of the row's that `fire_when` looks at."""
    names = {name.removesuffix(_BEFORE).removesuffix(_CHANGE) for name in read_condition(alert.fire_when).names}
    return next((column for column in row if column in names), "")


def _compared(row: Mapping[str, Any], before: Numbers) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for column, value in row.items():
        found[f"{column}{_BEFORE}"] = earlier = before.get(column)
        found[f"{column}{_CHANGE}"] = _change_percent(_number(value), earlier)
    return found


def _change_percent(number: float | None, earlier: float | None) -> float | None:
    return 100 * (number - earlier) / abs(earlier) if number is not None and earlier else None


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {column: number for column, value in row.items() if (number := _number(value)) is not None}


def _number(value: Any) -> float | None:
    """As a float; None for what is no number, and for NaN, infinity and what is nearly so, which have no place in a history."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits, from JSON
        return None
    return number if abs(number) <= 1e300 else None
