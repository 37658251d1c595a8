"""What holds for every test."""

from __future__ import annotations

import logging
import signal

import hypothesis
import pytest

# A busy machine makes no test fail: what is bounded is counted, not timed.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# A shell's background job has Ctrl-C ignored, and so has whatever it starts; the commands under test are to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _our_log_untouched() -> None:
    """A function's start takes our log over for its cloud, and an emulator in our process makes root's deaf; the next
    test wants to see what is said."""
    ours = logging.getLogger("rowferry")
    ours.handlers, ours.propagate = [], True
    ours.setLevel(logging.WARNING)
