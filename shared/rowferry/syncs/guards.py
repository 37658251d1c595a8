"""Guards: when a run looks so unlike the last ones that a person should see it before it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rowferry.syncs.counts import Counts


def refusal(guards: Mapping[str, Any], counts: Counts, known: int) -> str | None:
    """Why the run must not start by itself, in a sentence with the numbers; None when it may.

    `known` is how many rows the delivered state holds. A first run changes everything, so the share
    of changed rows is only held against known ones.
    """
    if counts.duplicate_key and guards["duplicate_keys"] == "refuse":
        return (
            f"{counts.duplicate_key:,} rows share their key with another row, so which of them is right can't be known; "
            "make the key unique in the model, or set guards.duplicate_keys: reject"
        )
    if guards["empty_source"] and counts.read_rows == 0 and known:
        return f"the model has no rows, though {known:,} rows were delivered before; if that is meant, accept the run"
    if guards["min_rows"] is not None and counts.read_rows < guards["min_rows"]:
        return f"the model has {counts.read_rows:,} rows; guards.min_rows expects at least {guards['min_rows']:,}"
    if guards["max_removed"] is not None and counts.removes > guards["max_removed"]:
        return f"{counts.removes:,} rows would be removed; guards.max_removed allows {guards['max_removed']:,}"
    limit = guards["max_changed_percent"]
    if limit is not None and known and 100 * counts.upserts > limit * known:
        percent = 100 * counts.upserts / known
        rows = "1 row is" if counts.upserts == 1 else f"{counts.upserts:,} rows are"
        return f"{rows} new or changed, {percent:.1f} % of the {known:,} known; guards.max_changed_percent allows {limit:g} %"
    return None
