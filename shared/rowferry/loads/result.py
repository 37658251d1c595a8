"""What became of one file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["loaded", "skipped", "quarantined", "failed"]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """One file's outcome, with exactly the keys that `rowferry load --json` prints.

    `rows` went into the table now; `skipped` means that nothing had to be done (it is in the
    ledger already), `failed` that the file is fine and something else is not.
    """

    file: str
    feed: str | None
    status: Status
    table: str | None = None
    rows: int = 0
    rejected_rows: int = 0
    rejected_cells: int = 0
    reason: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nobody has to look at it."""
        return self.status in ("loaded", "skipped") and self.rejected_rows == self.rejected_cells == 0

    def as_json(self) -> dict[str, Any]:
        """The keys of design §7 `load --json`."""
        return asdict(self)
