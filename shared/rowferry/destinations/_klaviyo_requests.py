"""Requests as Klaviyo wants them: key, revision, media type, JSON:API's frame. Sources: see `klaviyo`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from rowferry.destinations._klaviyo_settings import KlaviyoSettings
from rowferry.destinations.values import dumps
from rowferry.wire import Request

HOST = "https://a.klaviyo.com"
MEDIA_TYPE = "application/vnd.api+json"  # [spec]


def get(settings: KlaviyoSettings, path: str, query: Mapping[str, str] | None = None) -> Request:
    """A question."""
    return _request("GET", settings, path + (f"?{urlencode(query)}" if query else ""), b"")


def post(settings: KlaviyoSettings, path: str, data: Any, method: str = "POST") -> Request:
    """A request with `data` in JSON:API's frame. Paths have no slash at their end [spec]."""
    return _request(method, settings, path, dumps({"data": data}))


def _request(method: str, settings: KlaviyoSettings, path: str, body: bytes) -> Request:
    headers = {
        "authorization": f"Klaviyo-API-Key {settings.api_key.reveal()}",
        "revision": settings.revision,
        "accept": MEDIA_TYPE,
    }
    if body:
        headers["content-type"] = MEDIA_TYPE
    return Request(method, (settings.base_url or HOST) + path, body, headers)
