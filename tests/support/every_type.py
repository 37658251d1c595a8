"""A row with a value of every type that a warehouse's port has, each one awkward."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

ALL_TYPES = {
    "text": "STRING",
    "whole": "INT64",
    "money": "NUMERIC",
    "real": "FLOAT64",
    "yes": "BOOL",
    "raw_bytes": "BYTES",
    "day": "DATE",
    "local": "DATETIME",
    "clock": "TIME",
    "seen": "TIMESTAMP",
    "doc": "JSON",
    "tags": "ARRAY<STRING>",
    "part": "STRUCT<id INT64, label STRING>",
    "parts": "ARRAY<STRUCT<id INT64, seen TIMESTAMP>>",
}
FULL_ROW: dict[str, Any] = {
    "text": "Zoë “quotes” 'n \\ back\nline\ttab 😀",
    "whole": 9223372036854775807,
    "money": Decimal("12345678901234567890.123456789"),
    "real": 0.1,
    "yes": False,
    "raw_bytes": b"\x00\xff'\\x41",
    "day": date(2024, 2, 29),
    "local": datetime(2024, 3, 31, 2, 30, 0, 123456),  # noqa: DTZ001 (a DATETIME has no zone)
    "clock": time(23, 59, 59, 999999),
    "seen": datetime(2024, 3, 31, 1, 0, 0, 1, tzinfo=UTC),
    "doc": {"a": [1, None, "x"], "b": {"c": 1.5}},
    "tags": ["", "b", "ü"],
    "part": {"id": 1, "label": None},
    "parts": [{"id": 2, "seen": datetime(2024, 1, 1, tzinfo=UTC)}],
}
