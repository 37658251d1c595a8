"""Chargebee's events. They come without a signature (basic authentication, set per endpoint).

chargebee.com/docs/webhooks, read 2026-11-21: retried up to seven times over about 3 days and 7 hours.
"""

from __future__ import annotations

from typing import Any

from rowferry.webhooks import signature
from rowferry.webhooks.port import Call


def event_id(_call: Call, body: Any) -> str | None:
    """`ev_…` of a body that looks like Chargebee's, else None.

    Of other senders' bodies `id` may well name an order, whose second event must not be taken for
    a repeat of the first.
    """
    if isinstance(body, dict) and {"event_type", "occurred_at", "content"} <= body.keys():
        return signature.text_at(body, "id")
    return None
