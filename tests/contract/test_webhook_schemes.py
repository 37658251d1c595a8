"""What every webhook scheme must do, run over all that the folder holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from rowferry import webhooks
from rowferry.errors import SignatureError
from rowferry.settings.webhook import SCHEMES_WITH_TOPIC
from rowferry.settings.webhook import Scheme as SchemeName
from rowferry.webhooks.hook import Hook, hook_of
from rowferry.webhooks.port import Call, Proof
from support.senders import SECRET, SENDERS, TIMED, call, webhook

NOW = datetime(2026, 4, 14, 3, 50, 12, tzinfo=UTC)
EVENT = {"id": "evt_1", "type": "invoice.paid", "text": "grüße"}
ROUTES = [{"send": {"to": "braze", "action": "event", "map": {"name": "type"}}}]
SIGNING = sorted(set(SENDERS) - {"basic", "bearer", "token"})
OTHER = "whsec_bm90IHRoZSByaWdodCBzZWNyZXQ="


def _hook(scheme: str, **secrets: str) -> Hook:
    return hook_of("any", webhook(scheme, ROUTES, secrets or None))


def _verify(hook: Hook, got: Call, now: datetime = NOW) -> None:
    hook.scheme.verify(got, hook.proof, now)


def test_settings_folder_and_senders_name_the_same_schemes() -> None:
    """A scheme that is a file can be set, and has a sender here that proves it."""
    assert set(webhooks.schemes()) == set(get_args(SchemeName)) == set(SENDERS)


def test_settings_know_who_names_what_happened_in_a_header() -> None:
    """A route's `topic` is taken where the scheme has one."""
    assert {name for name in webhooks.schemes() if webhooks.find(name).topic_header} == set(SCHEMES_WITH_TOPIC)


def test_an_unknown_scheme_is_a_key_error() -> None:
    """Neither a missing file nor one of the folder's other modules passes for a scheme."""
    for name in ("nosuch", "port", "relay"):
        with pytest.raises(KeyError):
            webhooks.find(name)


@pytest.mark.parametrize("scheme", webhooks.schemes())
def test_a_true_call_passes(scheme: str) -> None:
    """What the sender signs as documented is accepted."""
    _verify(_hook(scheme), call(scheme, "any", EVENT, NOW))


@pytest.mark.parametrize("scheme", webhooks.schemes())
def test_another_secret_is_refused(scheme: str) -> None:
    """Whoever does not know the secret does not get in."""
    with pytest.raises(SignatureError):
        _verify(_hook(scheme), call(scheme, "any", EVENT, NOW, secret=OTHER))


@pytest.mark.parametrize("scheme", webhooks.schemes())
def test_any_of_several_secrets_passes(scheme: str) -> None:
    """While a secret is rotated the old and the new one both count."""
    hook = _hook(scheme, old=OTHER, new=SECRET)
    for secret in (OTHER, SECRET):
        _verify(hook, call(scheme, "any", EVENT, NOW, secret=secret))


@pytest.mark.parametrize("scheme", SIGNING)
def test_a_changed_body_is_refused(scheme: str) -> None:
    """A signature is worth something for the bytes it was made over, and no others."""
    true = call(scheme, "any", EVENT, NOW)
    with pytest.raises(SignatureError):
        _verify(_hook(scheme), replace(true, body=true.body.replace(b"evt_1", b"evt_2")))


@pytest.mark.parametrize("scheme", webhooks.schemes())
def test_each_missing_header_is_refused(scheme: str) -> None:
    """A call without one of the headers is refused, not crashed on."""
    hook, true = _hook(scheme), call(scheme, "any", EVENT, NOW)
    optional = {"content-type", "x-shopify-event-id", "x-shopify-topic", "x-github-delivery", "klaviyo-webhook-id"}
    for name in true.headers.keys() - optional:
        with pytest.raises(SignatureError):
            _verify(hook, replace(true, headers={other: value for other, value in true.headers.items() if other != name}))


@pytest.mark.parametrize(
    "value", ["", " ", ",", "=", "t=,v1=", "v1,", "Basic", "Basic \xff", "Basic ====", "Bearer", "é" * 50, "\x00", "日本"]
)
@pytest.mark.parametrize("scheme", webhooks.schemes())
def test_nonsense_in_a_header_is_refused(scheme: str, value: str) -> None:
    """Whatever stands in a header, the answer is a refusal, never another error."""
    hook, true = _hook(scheme), call(scheme, "any", EVENT, NOW)
    for name in SENDERS[scheme](true.body, SECRET, NOW).keys() - {
        "x-shopify-event-id",
        "x-shopify-topic",
        "x-github-delivery",
        "klaviyo-webhook-id",
    }:
        with pytest.raises(SignatureError):
            _verify(hook, replace(true, headers={**true.headers, name: value}))


@pytest.mark.parametrize("minutes", [-6, 6, -525600, 525600])
@pytest.mark.parametrize("scheme", TIMED)
def test_a_stale_call_and_one_from_the_future_are_refused(scheme: str, minutes: int) -> None:
    """A recorded call can't be played back later, nor one be signed for later use."""
    with pytest.raises(SignatureError):
        _verify(_hook(scheme), call(scheme, "any", EVENT, NOW), NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("seconds", [-299, 299])
@pytest.mark.parametrize("scheme", TIMED)
def test_clocks_may_differ_a_little(scheme: str, seconds: int) -> None:
    """Within the tolerance the sender's clock may be wrong, either way."""
    _verify(_hook(scheme), call(scheme, "any", EVENT, NOW), NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("scheme", webhooks.schemes())
def test_an_empty_secret_lets_nobody_in(scheme: str) -> None:
    """An HMAC with an empty key can be made by anybody: it is refused even if it got this far."""
    hook = _hook(scheme)
    with pytest.raises(SignatureError):
        hook.scheme.verify(call(scheme, "any", EVENT, NOW, secret=""), replace(hook.proof, secrets=(b"",)), NOW)
    with pytest.raises(SignatureError):
        hook.scheme.verify(call(scheme, "any", EVENT, NOW, secret=""), replace(hook.proof, secrets=()), NOW)


@pytest.mark.parametrize("scheme", webhooks.schemes())
def test_what_is_printed_holds_no_secret(scheme: str) -> None:
    """Neither a call nor a proof shows in a log what only sender and receiver may know."""
    true = call(scheme, "any", EVENT, NOW)
    shown = repr(true) + repr(_hook(scheme).proof) + repr(Proof(secrets=(b"hidden",)))
    assert not any(value in shown for value in (SECRET, "hidden", "evt_1", *SENDERS[scheme](true.body, SECRET, NOW).values()))
