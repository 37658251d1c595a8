"""What holds for every test."""

from __future__ import annotations

import logging
import os
import signal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

# A busy machine makes no test fail: what is bounded is counted, not timed. Properties are tried on the same examples each
# time, so that what fails is what was changed; `make soak` throws fresh dice (--hypothesis-profile=fresh).
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fresh", _UNTIMED)
settings.register_profile("same", _UNTIMED, derandomize=True)
settings.load_profile("same")

# A proxy of the machine's is for what lies beyond it: the stand-ins are on loopback.
for _name in ("NO_PROXY", "no_proxy"):
    os.environ[_name] = ",".join(filter(None, ("127.0.0.1", "localhost", os.environ.get(_name))))

# A shell's background job has Ctrl-C ignored, and so has whatever it starts; the commands under test are to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """The same examples: not those with constants of whatever modules the tests before have imported, either."""
    if config.getoption("--hypothesis-profile") is None:
        providers._get_local_constants = Constants


@pytest.fixture(autouse=True)
def _our_log_untouched() -> None:
    """A function's start takes our log over for its cloud, and an emulator in our process makes root's deaf; the next
    test wants to see what is said."""
    ours = logging.getLogger("rowferry")
    ours.handlers, ours.propagate = [], True
    ours.setLevel(logging.WARNING)
