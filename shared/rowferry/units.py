"""What senders of webhooks write in units of their own: money in cents, times in seconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime

# ISO 4217's currencies whose minor unit is not a hundredth (list one of its maintenance agency, read 2026-11-21).
_NO_DECIMALS = frozenset(
    ["bif", "clp", "djf", "gnf", "isk", "jpy", "kmf", "krw", "pyg", "rwf", "ugx", "uyi", "vnd", "vuv", "xaf", "xof", "xpf"]
)
_THREE_DECIMALS = frozenset(["bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"])
# Where Stripe counts otherwise (docs.stripe.com/currencies, special cases, and support.stripe.com "Deprecation of fractional ISK
# charges", read 2026-11-22): two have no decimals any more and are written with them all the same, one is written without.
_AT_STRIPE = {"isk": "usd", "ugx": "usd", "mga": "jpy"}
_MILLISECONDS_FROM = 100_000_000_000  # in seconds that is the year 5138, in milliseconds 1973


def major_units(amount: float | None, currency: str | None) -> float | None:
    """1999 and `usd` are 19.99; 1999 and `jpy` are 1999. None where either is missing."""
    if amount is None or not currency:
        return None
    code = currency.lower()
    if code in _NO_DECIMALS:
        return amount
    return amount / (1000 if code in _THREE_DECIMALS else 100)


def stripe_units(amount: float | None, currency: str | None) -> float | None:
    """`major_units` of what Stripe writes: its 500 in ISK are 5 krónur."""
    return major_units(amount, currency and _AT_STRIPE.get(currency.lower(), currency))


def instant(number: float | None) -> datetime | None:
    """Seconds or milliseconds since 1970 as a time in UTC. None for None, and for what is no time."""
    if number is None:
        return None
    try:
        return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS_FROM else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def iso_time(number: float | None) -> str | None:
    """`instant` as ISO 8601 text: 1763712000 is `2025-11-21T08:00:00+00:00`."""
    moment = instant(number)
    return None if moment is None else moment.isoformat()
