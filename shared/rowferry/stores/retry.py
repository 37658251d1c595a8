"""Trying a cloud's call again: how often and how long, in one place for all stores."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from rowferry.clock import Clock
from rowferry.errors import TryLater

# Six tries in about six seconds outlast a store's hiccup; what lasts longer is for the caller, who has a queue behind it.
WAITS_SECONDS = (0.2, 0.4, 0.8, 1.6, 3.2)
# Slow tries (each may run into its timeout) end here.
LONGEST_SECONDS = 120.0

_Result = TypeVar("_Result")


def retried(action: Callable[[], _Result], clock: Clock) -> _Result:
    """What `action` returns, after as many tries as it takes while it raises `TryLater`.

    Raises the last `TryLater` after six tries or two minutes, and at once when it asks for a longer wait
    than we would make. `action` must be safe to repeat after an answer that was lost.
    """
    began = clock.monotonic()
    for wait_seconds in WAITS_SECONDS:
        try:
            return action()
        except TryLater as error:
            asked_seconds = error.wait_seconds or 0.0
            if asked_seconds > WAITS_SECONDS[-1] or clock.monotonic() - began > LONGEST_SECONDS:
                raise
            # Half of the wait is left to chance, so that workers who failed together don't come back together.
            clock.sleep(max(asked_seconds, wait_seconds * random.uniform(0.5, 1.0)))
    return action()
