"""Log lines come out once, in the words of the home they are written in, and none is a client's."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CODE = """
import logging, sys
logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))  # Lambda's runtime has one of its own
logging.getLogger().setLevel(logging.DEBUG)
from rowferry import logs
from rowferry.http import HttpClient
logs.start({environment!r})
logging.getLogger("rowferry").info("%s: loaded", "a.csv")
logging.getLogger("rowferry.stores").warning("slow")
logging.getLogger("rowferry").debug("too fine")
logging.getLogger("httpx").info("HTTP Request: POST https://hooks.slack.com/services/T/B/secret")
logging.getLogger("httpcore").debug("send_request_headers authorization=Bearer secret")
try:
    raise ValueError("no number")
except ValueError:
    logging.getLogger("rowferry").exception("failed")
"""


def _lines(environment: dict[str, str]) -> list[str]:
    done = subprocess.run([sys.executable, "-c", CODE.format(environment=environment)], capture_output=True, check=True, text=True)
    return (done.stdout + done.stderr).splitlines()


def test_plain_lines() -> None:
    """On one machine: level and message."""
    found = _lines({})
    assert found[:3] == ["INFO a.csv: loaded", "WARNING slow", "ERROR failed"]
    assert found[-1] == "ValueError: no number"


@pytest.mark.parametrize(
    ("environment", "level", "text"),
    [({"K_SERVICE": "load-export"}, "severity", "message"), ({"AWS_LAMBDA_FUNCTION_NAME": "load_export"}, "level", "message")],
)
def test_lines_of_json(environment: dict[str, str], level: str, text: str) -> None:
    """In the clouds: a document for each record, once, an exception's traceback in it."""
    found = [json.loads(line) for line in _lines(environment)]
    assert [(line[level], line[text].splitlines()[0]) for line in found] == [
        ("INFO", "a.csv: loaded"),
        ("WARNING", "slow"),
        ("ERROR", "failed"),
    ]
    assert "no number" in json.dumps(found[2])


def test_the_level_is_the_environments() -> None:
    """`ROWFERRY_LOG=ERROR` keeps all but errors out."""
    assert _lines({"ROWFERRY_LOG": "error"})[0] == "ERROR failed"
