"""From pydantic's errors to sentences: one problem for one mistake, the nearest word, and no value that could be a secret."""

from __future__ import annotations

from typing import Any

import pytest

from rowferry.settings.file import parse_settings
from rowferry.settings.problems import hidden_key, nearest, shown, suggest, without_quotes
from support.settings_text import changed, problems


@pytest.mark.parametrize(
    ("word", "meant"),
    [("chnaged", "changed"), ("CHANGED", "changed"), ("change", "changed"), ("xyz", None), ("", None)],
)
def test_nearest(word: str, meant: str | None) -> None:
    """The word that was meant is found by its letters, whatever their case; a far one is not guessed."""
    assert nearest(word, ["changed", "new", "all", "audience", "queue"]) == meant


def test_suggest() -> None:
    """A hint has the word that was meant, when there is one, and all that are allowed."""
    assert suggest("nwe", ["new", "all"]) == "did you mean new? allowed are new, all"
    assert suggest(5, ["new", "all"]) == "allowed are new, all"
    assert suggest("x", []) == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("chnaged", "'chnaged'"),
        ("EU-1", "'EU-1'"),
        ("61 * * * *", "'61 * * * *'"),
        ("crm.customers", "'crm.customers'"),
        ("loyalty_tier", "'loyalty_tier'"),
        (15, "15"),
        (True, "true"),
        (None, "nothing"),
        ([], "a list"),
        ({}, "a mapping"),
        ("  ", "an empty text"),
        ("hunter2", "this text"),
        ("ABC-DEF1-GH", "'ABC-DEF1-GH'"),
        ("sk_live_51H8abcDEF", "this text"),
        ("0123456789", "this text"),
        ("correcthorsebatterystaple", "this text"),
        ("a" * 70, "this text"),
        ("über", "this text"),
        (123456789, "a number"),
    ],
)
def test_shown(value: Any, words: str) -> None:
    """Words and small numbers are shown, since a person looks for them; longer and mixed texts are not."""
    assert shown(value) == words


@pytest.mark.parametrize("path", ["api_key", "x.secret", "passcode", "url", "auth.token", "webhook_url"])
def test_nothing_is_shown_where_a_secret_stands(path: str) -> None:
    """At a key that sounds like a secret's not even a plain word is shown."""
    assert shown("swordfish", path) == "this text"
    assert shown(1234, path) == "a number"


def test_keys_that_look_like_secrets() -> None:
    """A secret in a key's place is hidden in the path; what people call their columns is not."""
    assert hidden_key("whsec_abc123def456") == "…"
    assert hidden_key("0123456789abcdef0123") == "…"
    assert [hidden_key(key) for key in ("orders2024", "sk_1", "a b", "task_1_of_10", "")] == [
        "orders2024",
        "sk_1",
        "a b",
        "task_1_of_10",
        "''",
    ]


def test_quotes_of_libraries() -> None:
    """What a library quotes of a text that is not to be shown is left out of its message."""
    assert without_quotes("bad 'hunter2' in 'a hunter2 b'", "a hunter2 b") == "bad … in '…'"
    assert without_quotes("no filter 'uper'", "{{ a|uper }}") == "no filter 'uper'"


def test_one_mistake_is_one_problem() -> None:
    """A constant of a wrong kind is told once, with all the kinds that may stand there."""
    found = problems(changed("syncs.customers.map.email", {"value": None}))
    assert [problem.path for problem in found] == ["syncs.customers.map.email.value"]
    assert found[0].problem.startswith("is nothing, expected true or false or a whole number or")


def test_a_name_may_be_a_reference() -> None:
    """A user's name of basic authentication is a text or a reference; a reference is never taken for the name itself."""
    verify = {"scheme": "basic", "username": "secret:who", "password": ["secret:one", "env:TWO"]}
    found = parse_settings(changed("webhooks.stripe.verify", verify)).webhooks["stripe"].verify
    assert repr(found.username) == "<Secret secret:who>"
    assert parse_settings(changed("webhooks.stripe.verify", {**verify, "username": "me"})).webhooks["stripe"].verify.username == "me"
    assert [secret.reference for secret in found.password] == ["secret:one", "env:TWO"]
