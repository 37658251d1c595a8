"""Numbers that survive a noisy machine: medians of alternating rounds, and ratios within one run."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table: what was measured, against what, and the ratio that is wanted (`>=` or `<=`), if any."""

    work: str
    ours: float
    against: str
    other: float
    unit: str
    wanted: str = ""

    @property
    def ratio(self) -> float:
        return self.ours / self.other

    @property
    def verdict(self) -> str:
        """Whether the ratio is as it was wanted: `yes`, `no`, or empty where nothing was."""
        if not self.wanted:
            return ""
        sign, bound = self.wanted.split()
        good = self.ratio >= float(bound) if sign == ">=" else self.ratio <= float(bound)
        return "yes" if good else "no"

    def line(self) -> str:
        """The line as it is printed."""
        numbers = f"{self.ours:>12,.4g} {self.other:>12,.4g} {self.unit:<8} {self.ratio:>8.3f}"
        return f"{self.work:<62} {numbers}  {self.wanted:<7} {self.verdict:<4} {self.against}"

    def to_dict(self) -> dict[str, Any]:
        """The line as it is kept."""
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}


HEAD = f"{'work':<62} {'ours':>12} {'other':>12} {'unit':<8} {'ratio':>8}  {'wanted':<7} {'':<4} against"


def say(text: str) -> None:
    """A remark, on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def timed(work: Callable[[], object]) -> float:
    """How many seconds it takes."""
    started_at = time.perf_counter()
    work()
    return time.perf_counter() - started_at


def alternating(works: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, float]:
    """Run each work once a round, one after the other; the median of what each returned."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(work())
    return {name: statistics.median(values) for name, values in found.items()}
