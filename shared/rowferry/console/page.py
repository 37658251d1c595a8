"""The status page: what ran, what is late, what was rejected and why. One HTML document, nothing to load."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def status_page(status: Mapping[str, Any], at: datetime) -> str:
    """The page for what `status` found, as of `at`. Every value is escaped."""
    return _template().render(status=status, at=at)


@cache
def _template() -> Template:
    environment = Environment(loader=PackageLoader("rowferry.console", "."), autoescape=True, undefined=StrictUndefined)
    environment.filters["thousands"] = lambda number: f"{number or 0:,}"
    environment.filters["moment"] = lambda text: str(text or "")[:16].replace("T", " ")
    return environment.get_template("page.html")
