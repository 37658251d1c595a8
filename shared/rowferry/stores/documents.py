"""JSON objects of the state store."""

from __future__ import annotations

from typing import Any

import orjson

from rowferry.errors import DamagedState


def read_json(body: bytes, key: str) -> Any:
    """What stands in the object `key`. Raises `DamagedState` when it is not what we wrote."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise DamagedState(key) from None
