"""How a run's rows are cut into chunks: stretches of positions, each the chunk of its number.

The cut follows from the outline and the counts alone. Both stand before the first chunk does, so a run that is
gone on with is cut as it began, whoever writes its chunks: this function, or the warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from rowferry.delivery.chunk import chunk_name
from rowferry.delivery.plan import Plan
from rowferry.syncs.counts import Counts
from rowferry.syncs.outline import Outline

MOST_EXPORTS = 400  # jobs of one run, while its chunks stay small enough
LARGEST = 5  # times the rows that a worker's pace asks for: resuming a chunk reads over what is done, and its rejected rows are held


@dataclass(frozen=True, slots=True)
class Stretch:
    """The rows at positions `first` to `last`, both included, which are the chunk `number` of this plan."""

    number: int
    plan: Plan
    first: int
    last: int

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.last - self.first + 1

    @property
    def key(self) -> str:
        """The chunk's key in the state store."""
        return chunk_name(self.plan, self.number).key


def cut(outline: Outline, counts: Counts) -> Iterator[Stretch]:
    """All stretches of the run: creates and updates first, then removals, which may go by another action."""
    number, rows = 0, _rows_of_a_chunk(outline, counts)
    # Who is deleted has nothing that could be unset: the identifiers are all that leaves.
    removal = replace(outline.plan, action=outline.remove_action, nulls="ignore") if outline.remove_action else outline.plan
    for plan, first, last in ((outline.plan, 1, counts.upserts), (removal, counts.upserts + 1, counts.to_send)):
        for start in range(first, last + 1, rows):
            yield Stretch(number, plan, start, min(last, start + rows - 1))
            number += 1


def is_exported(outline: Outline, counts: Counts) -> bool:
    """Whether the run is so large that the warehouse is to write its chunks by itself."""
    return outline.export_rows is not None and counts.to_send >= outline.export_rows


def neighbours(stretches: Iterable[Stretch]) -> Iterator[list[Stretch]]:
    """Stretches that follow each other without a gap, together."""
    found: list[Stretch] = []
    for stretch in stretches:
        if found and stretch.number != found[-1].number + 1:
            yield found
            found = []
        found.append(stretch)
    if found:
        yield found


def _rows_of_a_chunk(outline: Outline, counts: Counts) -> int:
    if not is_exported(outline, counts):
        return outline.chunk_rows
    for_few_jobs = -(-counts.to_send // MOST_EXPORTS)
    return max(outline.chunk_rows, min(for_few_jobs, LARGEST * outline.chunk_rows))
