"""The rate windows of Klaviyo's stand-in: one second and one minute for each endpoint, fixed, by account."""

from __future__ import annotations

import re

from rowferry.clock import Clock

# Requests of one second and of one minute, by endpoint; the middle tier for all others.
_RATES = {
    "/api/events": (350, 3500), "/api/profile-import": (75, 750), "/api/profiles": (75, 750), "/api/accounts": (1, 15),
    "/api/profile-subscription-bulk-create-jobs": (75, 750), "/api/profile-subscription-bulk-delete-jobs": (75, 750),
    "/api/data-privacy-deletion-jobs": (3, 60),
}  # fmt: skip
_OTHER_RATE = (10, 150)
_WIDTHS = (1, 60)  # seconds


class Windows:
    """Counts requests by endpoint. Ids in paths count as one endpoint."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used: dict[tuple[str, int], tuple[int, int]] = {}  # endpoint and width: which window, and how many in it

    def wait_seconds(self, method: str, path: str) -> int | None:
        """Take a request in; None when there is room, else in how many whole seconds there is."""
        endpoint, now = _endpoint(method, path), self._clock.monotonic()
        windows = [(width, int(now // width)) for width in _WIDTHS]
        for (width, window), most in zip(windows, _RATES.get(path, _OTHER_RATE), strict=True):
            if self._count(endpoint, width, window) >= most:
                return int(width * (window + 1) - now)
        for width, window in windows:
            self._used[endpoint, width] = (window, self._count(endpoint, width, window) + 1)
        return None

    def headers(self, method: str, path: str) -> dict[str, str]:
        """What answers other than 429 tell: of the long window."""
        short, long = _RATES.get(path, _OTHER_RATE)
        now = self._clock.monotonic()
        used = self._count(_endpoint(method, path), 60, int(now // 60))
        limit = f"{long}, {short};w=1, {long};w=60"
        return {"ratelimit-limit": limit, "ratelimit-remaining": str(long - used), "ratelimit-reset": str(60 - int(now % 60))}

    def _count(self, endpoint: str, width: int, window: int) -> int:
        last, used = self._used.get((endpoint, width), (window, 0))
        return used if last == window else 0


def _endpoint(method: str, path: str) -> str:
    return method + " " + re.sub(r"/(lists|profile-bulk-import-jobs)/[^/]+", r"/\1/id", path)
