"""Payloads into batches, within a request's limits of rows and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from rowferry.destinations.port import Limits


@dataclass(slots=True)
class Batch:
    """The payloads of one request, and the rows (counted in the chunk) that they are.

    `attempts` have failed already; `suspect` batches are halves of one that could not be sent.
    """

    rows: list[int] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    attempts: int = 0
    suspect: bool = False

    def halves(self) -> tuple[Batch, Batch]:
        """The batch in two; only for batches of two rows and more."""
        middle = len(self.rows) // 2
        return (
            Batch(self.rows[:middle], self.payloads[:middle], suspect=self.suspect),
            Batch(self.rows[middle:], self.payloads[middle:], suspect=self.suspect),
        )


def batches(payloads: Iterable[tuple[int, bytes]], limits: Limits, batch_rows: Callable[[], int]) -> Iterator[Batch]:
    """Batches in the payloads' order. `batch_rows` is asked anew for each: it may have shrunk."""
    batch, size, most = Batch(), limits.envelope_bytes, batch_rows()
    for row, payload in payloads:
        if batch.rows and (len(batch.rows) >= most or size + len(payload) + 1 > limits.body_bytes):
            yield batch
            batch, size, most = Batch(), limits.envelope_bytes, batch_rows()
        batch.rows.append(row)
        batch.payloads.append(payload)
        size += len(payload) + 1
    if batch.rows:
        yield batch
