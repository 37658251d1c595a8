"""`python -m bench [sending loading cold memory]`: measure all, or some."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from bench.measure import Line, show

PARTS = ("sending", "loading", "memory", "cold")


def main() -> None:
    """Measure, print, keep."""
    wanted = sys.argv[1:] or PARTS
    lines: list[Line] = []
    for part in wanted:
        print(f"measuring {part} …", flush=True)
        lines += importlib.import_module(f"bench.{part}").measure()
    show(lines, Path("build") / "bench.json")


if __name__ == "__main__":
    main()
