"""The status page: what ran, what is late, what was rejected and why. One HTML document, nothing to load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from rowferry.errors import RowferryError
from rowferry.wire import Response


def answer(path: str, status: Callable[[], Mapping[str, Any]], at: datetime) -> Response:
    """The page at `/`, its values at `/status.json`, 404 elsewhere; 503 while the stores can't be read."""
    if path not in ("/", "/status.json"):
        return Response(404, b'{"status":"not found"}', {"content-type": "application/json"})
    try:
        found = status()
    except RowferryError as error:
        return Response(503, str(error).encode(), {"content-type": "text/plain; charset=utf-8"})
    if path == "/status.json":
        return Response(200, orjson.dumps(found, default=str), {"content-type": "application/json"})
    return Response(200, status_page(found, at).encode(), {"content-type": "text/html; charset=utf-8"})


def status_page(status: Mapping[str, Any], at: datetime) -> str:
    """The page for what `status` found, as of `at`. Every value is escaped."""
    return _template().render(status=status, at=at)


@cache
def _template() -> Template:
    environment = Environment(loader=PackageLoader("rowferry.console", "."), autoescape=True, undefined=StrictUndefined)
    environment.filters["thousands"] = lambda number: f"{number or 0:,}"
    environment.filters["moment"] = lambda text: str(text or "")[:16].replace("T", " ")
    return environment.get_template("page.html")
