"""What a step's result means to the platform: done with, or to come again, and when."""

from __future__ import annotations

import pytest

from rowferry.delivery.deliver import Delivery
from rowferry.edge import after_delivery, time_left, time_left_from_now
from rowferry.errors import TryLater

KEY = "outbox/braze/2/customers/r1/00000.jsonl.gz"


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery("settled"),
        Delivery("gone"),
        Delivery("refused", "Invalid API key"),
        Delivery("open", "quiet hours", 8 * 3600),
        Delivery("open", "the vendor's hour is not over", 601),
    ],
)
def test_what_the_queue_is_done_with(delivery: Delivery) -> None:
    """Settled or gone; refused, which waits for a person; and what is hours away: a queue would give it up before."""
    after_delivery(KEY, delivery)


@pytest.mark.parametrize(
    ("delivery", "wait_seconds"),
    [
        (Delivery("open", "the function's time is nearly up", 0), 0),
        (Delivery("open", "the vendor asked for a pause", 120), 120),
        (Delivery("open", "503"), None),
        (Delivery("held", "somebody else is at it"), None),
    ],
)
def test_what_comes_again_from_the_queue(delivery: Delivery, wait_seconds: float | None) -> None:
    """At once when the time was up, after the pause that was asked for, else after the queue's own."""
    with pytest.raises(TryLater, match=delivery.reason) as raised:
        after_delivery(KEY, delivery)
    assert raised.value.wait_seconds == wait_seconds


def test_a_step_is_told_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the platform gives less ten seconds, asked anew each time, never below 0; where it does not say, from its time-out on."""
    given = iter([540_000.0, 30_000.0, 9_000.0])
    left = time_left(lambda: next(given))
    assert [left(), left(), left()] == [530, 20, 0]
    monkeypatch.setenv("ROWFERRY_TIMEOUT_SECONDS", "840")
    assert time_left_from_now()() == pytest.approx(830, abs=5)
