"""`make bench`: what Rowferry does in a second, always against something else in the same run.

    python -m bench [NAME…]     names: delivery, whole, memory, loads, diff, rivals, imports, webhooks, burst; all of them unless given

Prints a table and keeps it in build/bench.json.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from datetime import UTC, datetime

from bench.measure import HEAD, Result, say
from bench.vendor import ROOT

NAMES = ("delivery", "whole", "memory", "loads", "diff", "rivals", "imports", "webhooks", "burst")
KEPT = ROOT / "build" / "bench.json"


def main() -> None:
    """Measure what the command line names; exit code 0 whatever the numbers are."""
    names = sys.argv[1:] or NAMES
    if unknown := set(names) - set(NAMES):
        sys.exit(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    found: list[Result] = []
    print(HEAD, flush=True)
    for name in names:
        say(f"… {name}")
        for result in importlib.import_module(f"bench.{name}").results():
            found.append(result)
            print(result.line(), flush=True)
    KEPT.parent.mkdir(exist_ok=True)
    machine = {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version(), "load": os.getloadavg()}
    kept = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine, "results": [result.to_dict() for result in found]}
    KEPT.write_text(json.dumps(kept, indent=2) + "\n")
    say(f"kept in {KEPT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
