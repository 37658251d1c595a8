"""How a function tells Pub/Sub that a message is to come again.

Any answer but a few of 2xx makes Pub/Sub push the message again after its subscription's pause
(docs.cloud.google.com/pubsub/docs/push, 2026-11). Which one counts for people: Cloud Run logs a 5xx as an
error, on which an alarm rings (infra/modules/gcp_alarms), and a 4xx as a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.exceptions import TooManyRequests

from rowferry.errors import TryLater

log = logging.getLogger("rowferry")


@contextmanager
def comes_again() -> Iterator[None]:
    """If the block only has to be tried later, answer 429: no fault, and no traceback. What fails for ever ends among
    the dead letters, whose alarm rings. Any other error goes on its way, as a 500."""
    try:
        yield
    except TryLater as error:
        log.warning("%s", error)
        raise TooManyRequests(str(error)) from error
