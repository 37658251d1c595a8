"""Where something stands in the settings files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from rowferry.errors import Problem


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A file and a line in it, counted from 1. Sorts in the reading order of a folder."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


def located(problems: Iterable[Problem], places: Mapping[str, Place]) -> list[Problem]:
    """The problems in the files' order, each with its place added to the hint; those without one come first."""
    placed = [(_nearest(problem.path, places), problem) for problem in problems]
    placed.sort(key=lambda pair: pair[0] or Place("", 0))
    return [problem if place is None else _with_place(problem, place) for place, problem in placed]


def _nearest(path: str, places: Mapping[str, Place]) -> Place | None:
    while path and path not in places:
        path = path.rpartition(".")[0]
    return places.get(path)


def _with_place(problem: Problem, place: Place) -> Problem:
    if str(place) in problem.problem + problem.hint:
        return problem
    return replace(problem, hint=f"{problem.hint} — {place}".removeprefix(" — "))
