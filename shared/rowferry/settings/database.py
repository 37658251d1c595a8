"""A SQL database that syncs read from."""

from __future__ import annotations

from pydantic import Field

from rowferry.settings.base import Frozen, Seconds, Secret


class Database(Frozen):
    """One database. Its URL is SQLAlchemy's and holds a password: a reference, never the URL itself."""

    url: Secret = Field(description="An SQLAlchemy URL, e.g. postgresql://user:password@host/shop, as secret:NAME or env:NAME.")
    page_rows: int = Field(5000, gt=0, le=1_000_000, description="Rows read at once.")
    timeout: Seconds = Field(60.0, description="How long to wait for the connection.")
