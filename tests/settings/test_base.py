"""What all parts of the settings share: secrets, durations, frozen models, a destination's common keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import TypeAdapter, ValidationError

from rowferry.errors import Problem, UsageError
from rowferry.settings.base import Delay, DestinationSettings, Frozen, Seconds, Secret
from rowferry.settings.references import references
from rowferry.settings.url import Url


class Inner(Frozen):
    """A part with a secret."""

    token: Secret


class Outer(Frozen):
    """Secrets at every depth."""

    url: Url
    inner: Inner
    several: tuple[Secret, ...] = ()
    named: dict[str, Secret | str] = {}  # noqa: RUF012 (pydantic copies it)

    def conflicts(self) -> Iterator[Problem]:
        """Two keys that don't fit."""
        if "a" in self.named and "b" in self.named:
            yield Problem("named", "has a and b")


OUTER = {"url": "env:API", "inner": {"token": "secret:t"}, "several": ["env:A", "env:B"], "named": {"x": "env:X", "y": "plain"}}


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30.0), ("15m", 900.0), ("1h", 3600.0), ("1d", 86400.0), (" 1.5 h ", 5400.0)])
def test_durations(text: str, seconds: float) -> None:
    """A duration in the file is seconds in the program."""
    assert TypeAdapter(Seconds).validate_python(text) == seconds


@pytest.mark.parametrize("text", ["15", 15, "0s", "-1s", "1w", "", None, True, "1e3s", "9" * 400 + "d", [], "١s"])
def test_what_is_no_duration(text: object) -> None:
    """A bare number has no unit, and zero is not a duration."""
    with pytest.raises(ValidationError):
        TypeAdapter(Seconds).validate_python(text)


def test_a_delay_may_be_zero() -> None:
    """Where waiting can be switched off, 0s does it."""
    assert TypeAdapter(Delay).validate_python("0s") == 0.0


def test_nothing_changes_after_reading() -> None:
    """Models are frozen."""
    with pytest.raises(ValidationError):
        Inner.model_validate({"token": "env:X"}).token = Secret("env:Y")  # type: ignore[misc]  # that is what is proved


def test_secrets_resolve_at_every_depth() -> None:
    """`resolved` fills in secrets and addresses in parts, lists and mappings; the original has none of it."""
    unresolved = Outer.model_validate(OUTER)
    found = unresolved.resolved(lambda reference: "https://api.example.com" if reference == "env:API" else f"<{reference}>")
    assert found.url == "https://api.example.com"
    assert found.inner.token.reveal() == "<secret:t>"
    assert [secret.reveal() for secret in found.several] == ["<env:A>", "<env:B>"]
    assert isinstance(found.named["x"], Secret) and found.named["x"].reveal() == "<env:X>"
    assert found.named["y"] == "plain"
    with pytest.raises(RuntimeError, match="secret:t has not been resolved"):
        unresolved.inner.token.reveal()


def test_a_resolved_address_is_checked() -> None:
    """What the environment gives for an address is held to the same rules, and is not repeated in the error."""
    with pytest.raises(UsageError, match="env:API is no address") as caught:
        Outer.model_validate(OUTER).resolved(lambda _: "http://hunter2.example.com")
    assert "hunter2" not in str(caught.value)


def test_references_are_found() -> None:
    """Every reference is listed with its path, whether it is a secret or an address."""
    assert list(references(Outer.model_validate(OUTER))) == [
        ("url", "env:API"),
        ("inner.token", "secret:t"),
        ("several.0", "env:A"),
        ("several.1", "env:B"),
        ("named.x", "env:X"),
    ]


@pytest.mark.parametrize("value", ["hunter2", "secret:", "env:", "secret:-x", "env:A B", "SECRET:x", "secret:x\n", 5, None, ["secret:x"]])
def test_what_is_no_reference(value: object) -> None:
    """Anything but secret:NAME or env:NAME is refused without being repeated."""
    with pytest.raises(ValidationError) as caught:
        Inner.model_validate({"token": value})
    assert "write secret:NAME or env:NAME" in str(caught.value) and "hunter2" not in str(caught.value)


def test_a_secret_shows_nowhere() -> None:
    """Neither repr nor JSON nor equality tells the value."""
    secret = Secret("env:X", "hunter2")
    assert "hunter2" not in f"{secret!r} {secret} {Inner(token=secret)!r} {Inner(token=secret).model_dump_json()}"
    assert secret == Secret("env:X") and hash(secret) == hash(Secret("env:X")) and secret != "env:X"


def test_conflicts_are_told_together() -> None:
    """What is wrong between keys is one validation error that holds all of it."""
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({**OUTER, "named": {"a": "1", "b": "2"}})
    assert [detail["type"] for detail in caught.value.errors()] == ["conflicts"]
    assert Outer.model_validate({**OUTER, "named": {"a": "1", "b": "2"}}, context={"lenient": True})


def test_destinations_share_their_keys() -> None:
    """Defaults of what every destination has; a base_url has no slash at its end, however it came."""
    plain = DestinationSettings.model_validate({"vendor": "x", "base_url": "https://api.example.com/v1/"})
    assert (plain.timeout, plain.retry_for, plain.attempts, plain.instances) == (30.0, 600.0, 5, 1)
    assert plain.base_url == "https://api.example.com/v1"
    later = DestinationSettings.model_validate({"vendor": "x", "base_url": "env:URL"})
    assert later.resolved(lambda _: "https://api.example.com/v1/").base_url == "https://api.example.com/v1"
    assert DestinationSettings(vendor="x").resolved(lambda _: "never").base_url is None
