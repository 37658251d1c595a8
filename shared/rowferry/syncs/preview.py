"""The plan of a sync: what a run would do, or one that is open does, by the same code that does it, with nothing sent and nothing kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rowferry.delivery.batch import batches
from rowferry.delivery.chunk import Row
from rowferry.delivery.deliver import FieldsOf
from rowferry.delivery.plan import Plan
from rowferry.delivery.runs import Run
from rowferry.destinations.port import Destination
from rowferry.errors import RowRejected
from rowferry.syncs.counts import REASONS, Counts, known_rows
from rowferry.syncs.guards import refusal
from rowferry.syncs.outline import Outline
from rowferry.syncs.resolve import Resolver
from rowferry.syncs.start import make_run_table, read_stretches
from rowferry.syncs.stretches import cut, is_exported
from rowferry.warehouse.port import Warehouse

_SAMPLES = 5
_ANSWER_SECONDS = 0.1  # where an account has no rate: what one request takes, about


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do. `requests` are those where nothing goes wrong and each bulk job is done when it is first
    asked after. `seconds_at_limit` is how long the account's limit makes them take at least.
    `bytes_scanned` is what its statement is to read of the warehouse; None where that is not billed."""

    sync: str
    creates: int
    updates: int
    removes: int
    unchanged: int
    requests: int
    attributes: int
    seconds_at_limit: float
    samples: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()
    bytes_scanned: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The plan as `--json` prints it."""
        names = ("sync", "creates", "updates", "removes", "unchanged", "requests", "attributes", "seconds_at_limit")
        found = {**{name: getattr(self, name) for name in names}, "samples": list(self.samples)}
        return found if self.bytes_scanned is None else {**found, "bytes_scanned": self.bytes_scanned}


def preview(warehouse: Warehouse, destination: Destination[Any], settings: Any, outline: Outline, at: datetime) -> Preview:
    """What the outlined run would do. Its tables are made, read and dropped, a database's copied rows among them."""
    try:
        counts = make_run_table(warehouse, outline, expires_at=at + timedelta(hours=1))
        found = _preview(warehouse, destination, settings, outline, counts)
        known = known_rows(warehouse, outline.state_table, outline.member_column) if outline.state_table else 0
        reason = refusal(outline.guards, counts, known)
        notes = found.notes if reason is None else (*found.notes, f"the run would be refused: {reason}")
        return replace(found, notes=notes, bytes_scanned=warehouse.bytes_read(outline.statement, outline.query_params))
    finally:
        warehouse.drop(outline.run_table)
        if outline.source_table is not None:
            warehouse.drop(outline.source_table)


def preview_open(resolver: Resolver, run: Run) -> Preview | None:
    """The whole of a run that is open, what it has sent so far included: `sync` goes on with it as it was planned, whatever
    the model holds by now. None where its rows are not fixed yet, or their destination is another by now."""
    outline, counts = run.read("outline"), run.read("counted")
    if outline is None or counts is None:
        return None
    found, known = Outline.from_dict(outline), resolver.destination.actions
    is_same = found.plan.destination == resolver.sync.to and {found.plan.action, found.remove_action or found.plan.action} <= known.keys()
    if not is_same or resolver.warehouse.columns(found.run_table) is None:
        return None
    return _preview(resolver.warehouse, resolver.destination, resolver.settings, found, Counts(**counts))


def _preview(warehouse: Warehouse, destination: Destination[Any], settings: Any, outline: Outline, counts: Counts) -> Preview:
    found = _Rehearsal()
    with closing(read_stretches(warehouse, outline, cut(outline, counts))) as stretches:
        for stretch, rows in stretches:
            found.rehearse(destination, settings, stretch.plan, rows)
    return Preview(
        sync=outline.plan.sync,
        creates=counts.creates,
        updates=counts.updates,
        removes=counts.removes,
        unchanged=counts.unchanged + counts.dead,
        requests=sum(found.requests.values()),
        attributes=found.attributes,
        seconds_at_limit=math.ceil(_seconds(destination, settings, found.requests) * 10) / 10,
        samples=tuple(found.samples),
        notes=tuple(_notes(settings, outline, counts, found)),
    )


def _seconds(destination: Destination[Any], settings: Any, requests: Mapping[str, int]) -> float:
    """How long so many requests of each action take at their limits, one action after the other."""
    seconds = 0.0
    for name, number in requests.items():
        pace = destination.pace_of(destination.actions[name], settings)
        seconds += number / (pace.per_second if pace.per_second is not None else pace.in_flight / _ANSWER_SECONDS)
    return seconds


class _Rehearsal:
    """Mapping and batching as in a run, up to the requests, which are counted and not built."""

    def __init__(self) -> None:
        self.attributes = 0
        self.rejected: dict[str, tuple[int, str]] = {}  # by code: how many, and the reason of the last
        self.requests: Counter[str] = Counter()
        self.samples: list[dict[str, Any]] = []

    def rehearse(self, destination: Destination[Any], settings: Any, plan: Plan, rows: Iterator[Row]) -> None:
        """Take in the rows of a chunk."""
        action = destination.actions[plan.action]
        to_fields, limits = FieldsOf(plan, action, settings), action.limits(settings)
        names = [field.name for field in plan.fields] + (["audience"] if action.name == "audience" else [])
        identifiers = action.identifiers(names, settings) | {plan.idempotency}

        def payloads() -> Iterator[tuple[int, bytes]]:
            for index, row in enumerate(rows):
                try:
                    fields = to_fields.fields(row)
                    payload = action.to_payload(fields, settings)
                except RowRejected as error:
                    self.rejected[error.code] = (self.rejected.get(error.code, (0, ""))[0] + 1, error.reason)
                    continue
                self.attributes += len(fields.keys() - identifiers)
                if len(self.samples) < _SAMPLES:
                    self.samples.append({"key": masked(row.key), "op": row.op, "fields": {n: masked(v) for n, v in fields.items()}})
                yield index, payload

        found = batches(payloads(), limits, lambda: limits.batch_rows)
        self.requests[action.name] += sum(action.requests(batch.payloads, settings) for batch in found)


def masked(value: Any) -> Any:
    """A value's kind and length, never the value but NULL and booleans: `a…(18)` for a text, `#` for a number."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return f"{value[:1] if len(value) > 1 else ''}…({len(value)})" if value else ""
    return "[…]" if isinstance(value, list) else "{…}" if isinstance(value, dict) else "#"


def _notes(settings: Any, outline: Outline, counts: Counts, found: _Rehearsal) -> Iterator[str]:
    by_key = {code: (getattr(counts, code), reason) for code, reason in REASONS.items()}
    for code, (rows, why) in {**by_key, **found.rejected}.items():
        if rows:
            yield f"{rows:,} row{'' if rows == 1 else 's'} would be rejected: {code}: {why}"
    if settings.price_per_data_point is not None:
        cost = found.attributes * settings.price_per_data_point
        yield f"about {cost:,.2f} for {found.attributes:,} data points, by your price_per_data_point"
    if is_exported(outline, counts):
        yield f"BigQuery would write the run's {sum(1 for _ in cut(outline, counts)):,} chunks by itself"
