"""How large a file, and what is in it, may be."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Bounds that keep one file from taking all memory or disk.

    `row_bytes`: a row or line; BigQuery takes 100 MB, DuckDB's reader 16 MB by ours.
    `plain_bytes` and `ratio`: a compressed file is refused when it unpacks to more than both
    `plain_bytes` and `ratio` times its own size. Text compresses 5 to 50 times, deflate's limit is 1,032.
    `members`: files in one archive.
    """

    row_bytes: int = 16 * MIB
    plain_bytes: int = 1 * GIB
    ratio: int = 200
    members: int = 10_000


DEFAULT_LIMITS = FileLimits()
