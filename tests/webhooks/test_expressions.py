"""JMESPath with our functions."""

from __future__ import annotations

from typing import Any

import pytest

from rowferry.webhooks.expressions import Expression

EVENT = {
    "type": "x",
    "n": 1999,
    "zero": 0,
    "none": None,
    "no": False,
    "empty": [],
    "currency": "USD",
    "at": 1763712000,
    "ms": 1763712000500,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type", "x"), ("missing.below", None), ("'constant'", "constant"), ("`5`", 5), ("missing || type", "x"),
        ("upper(type)", "X"), ("lower(currency)", "usd"), ("trim(' a ')", "a"), ("upper(none)", None),
        ("major_units(n, currency)", 19.99), ("major_units(n, 'jpy')", 1999), ("major_units(n, 'KWD')", 1.999),
        ("stripe_units(n, currency)", 19.99), ("stripe_units(n, 'ISK')", 19.99), ("major_units(n, 'ISK')", 1999),
        ("stripe_units(n, 'jpy')", 1999), ("stripe_units(n, 'mga')", 1999), ("stripe_units(n, none)", None),
        ("major_units(none, currency)", None), ("major_units(n, none)", None),
        ("iso_time(at)", "2025-11-21T08:00:00+00:00"), ("iso_time(ms)", "2025-11-21T08:00:00.500000+00:00"), ("iso_time(none)", None),
        ("iso_time(`1e300`)", None), ("contains(none, 'x')", None), ("upper(n)", None), ("sum(empty)", 0),
    ],
)  # fmt: skip
def test_what_an_expression_finds(text: str, expected: Any) -> None:
    """Values, constants and our functions; what does not fit is null, as JMESPath says of what is missing."""
    assert Expression(text).value(EVENT) == expected


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("type == 'x'", True), ("type == 'y'", False), ("n > `5` && zero == `0`", True), ("zero", True), ("none", False), ("no", False),
        ("empty", False), ("''", False), ("contains(none, 'x')", False), ("!missing", True), ("!(missing.below)", True),
        ("starts_with(type, 'x')", True),
    ],
)  # fmt: skip
def test_when_an_expression_holds(text: str, holds: bool) -> None:
    """JMESPath's own sense of true; what can't be compared does not hold."""
    assert Expression(text).holds(EVENT) is holds


@pytest.mark.parametrize(
    "text", ["", "a[", "a b", "'open", "uper(type)", "a.b[?uper(c) == 'x']", "[uper(a)]", "{x: uper(a)}", "!a.b", "x && !a.b.c"]
)
def test_what_is_no_expression(text: str) -> None:
    """A mistake in the settings is found when they are read, an unknown function wherever it stands."""
    with pytest.raises(ValueError, match="JMESPath"):
        Expression(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('type == "order.cancelled"', "'order.cancelled'"), ("a && type != \"x\"", "'x'"), ('contains(type, "x")', "'x'"),
        ('data[?starts_with(kind, "x")]', "'x'"), ("live == true", "`true`"), ("a.b != null || c", "`null`"),
    ],
)  # fmt: skip
def test_a_constant_that_is_none(text: str, hint: str) -> None:
    """Quoted as everywhere else it is a field, which no event has: the route would drop each of them without a word."""
    with pytest.raises(ValueError, match="in JMESPath") as error:
        Expression(text)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    "text", ["a == b", "a.\"b c\" == 'x'", '"b c" == a', 'a == b."x y"', 'not_null(a, "b c")', 'a == `"x"`', "`true` == a"]
)
def test_fields_that_are_meant(text: str) -> None:
    """Two fields may be compared, and one may have a name that has to be quoted."""
    Expression(text)


def test_bodies_of_any_shape() -> None:
    """An expression is asked of whatever came in."""
    bodies: tuple[Any, ...] = ([], {}, [1], {"a": {"b": []}}, "x", None)
    for body in bodies:
        assert Expression("a.b.c").value(body) is None
