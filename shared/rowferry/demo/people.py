"""Made-up customers and a week of made-up events: the same ones each time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_FIRST = "Ada Amina Bruno Chidi Chen Elif Emma Farid Goran Hana Ines Ivan Jonas Kavya Lea Linh Luca Maya Nadia Noor Olga Omar Priya Rosa Sami Tomas Uma Vera Wim Yara Zoe".split()  # noqa: E501, SIM905 (a list of names reads best as a line)
_LAST = "Abe Baker Costa Diaz Eriksen Fischer Garcia Haddad Ito Jansen Kaya Lopez Moreau Novak Okafor Patel Quist Rossi Silva Tanaka Usman Vogel Weber Xu Yilmaz Zhou".split()  # noqa: E501, SIM905 (as above)
_TIERS = ("bronze", "silver", "gold", "platinum")
_COUNTRIES = ("DE", "FR", "GB", "IN", "NL", "SG", "US")


@dataclass(slots=True)
class Customer:
    """One customer as the shop's database exports it: everything is text."""

    customer_id: str
    email: str
    first_name: str
    country: str
    tier: str
    ltv: str
    updated_at: str


def customers(count: int, at: datetime) -> list[Customer]:
    """`count` customers, with the flaws real ones have: some e-mail addresses and amounts are broken."""
    dice = random.Random(1)
    return [_customer(number, dice, at) for number in range(1, count + 1)]


def _customer(number: int, dice: random.Random, at: datetime) -> Customer:
    first, last = dice.choice(_FIRST), dice.choice(_LAST)
    email = f"{first}.{last}{number}@example.com".lower() if number % 1250 else f"{first}.{last} at example"
    ltv = f"{dice.uniform(0, 4000):.2f}" if number % 1000 else "n/a"
    updated = at - timedelta(minutes=dice.randrange(60 * 24 * 30))
    return Customer(f"C{number:06d}", email, first, dice.choice(_COUNTRIES), dice.choice(_TIERS[:3]), ltv, f"{updated:%Y-%m-%dT%H:%M:%SZ}")


def changed(people: list[Customer], share: float, at: datetime) -> list[Customer]:
    """A new export of the same people, in which this share has a new value in one column."""
    dice = random.Random(2)
    again = [Customer(*(getattr(person, name) for name in Customer.__slots__)) for person in people]
    for person in dice.sample([p for p in again if "@" in p.email and p.ltv != "n/a"], round(len(again) * share)):
        if dice.random() < 0.7:
            person.tier = _TIERS[min(3, _TIERS.index(person.tier) + 1)]
        else:
            person.ltv = f"{float(person.ltv) + dice.uniform(5, 300):.2f}"
        person.updated_at = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    return again


@dataclass(frozen=True, slots=True)
class Event:
    """One event as CleverTap exports it; `ts` is its 14 digits."""

    ts: str
    identity: str
    properties: dict[str, str]


def events(name: str, day: date, people: list[Customer], count: int) -> Iterator[Event]:
    """A day's events of one name, by these people, in the order of time."""
    dice = random.Random(f"{name} {day}")
    moments = sorted(dice.randrange(24 * 3600) for _ in range(count))
    for second in moments:
        moment = datetime.combine(day, time(), UTC) + timedelta(seconds=second)
        properties = {"CT Source": dice.choice(("Mobile", "Web"))}
        if name == "Order Placed":
            properties |= {"Amount": f"{dice.uniform(5, 250):.2f}", "Order id": f"O{day:%y%m%d}{second:05d}"}
        yield Event(f"{moment:%Y%m%d%H%M%S}", dice.choice(people).customer_id, properties)
