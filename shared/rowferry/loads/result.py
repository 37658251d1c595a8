"""What became of one file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["loaded", "skipped", "quarantined", "failed"]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """One file's outcome. `code` is ours and stable, `reason` a sentence; both stand where something is amiss.

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
    code: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nobody has to look at it."""
        return self.status in ("loaded", "skipped") and self.rejected_rows == self.rejected_cells == 0

    @property
    def is_bad(self) -> bool:
        """Whether a command that met it has failed: a file or a row is missing in its table."""
        return self.status in ("quarantined", "failed") or self.rejected_rows > 0

    def to_dict(self) -> dict[str, Any]:
        """What `rowferry load --json` prints: these keys and no others."""
        return {name: value for name, value in asdict(self).items() if name != "code"}
