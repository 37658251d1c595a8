"""Our log lines as each home reads them: powertools' JSON on AWS, Cloud Logging's on Google Cloud, plain text elsewhere.

Only our own lines: a client's would show the addresses it calls, and some of these are secrets.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

import orjson


def start(environment: Mapping[str, str] = os.environ) -> None:
    """Log to where the runtime around us reads, from the level in ROWFERRY_LOG on (INFO unless set)."""
    level = environment.get("ROWFERRY_LOG", "INFO").upper()
    if "AWS_LAMBDA_FUNCTION_NAME" in environment:
        from aws_lambda_powertools import Logger

        Logger(service="rowferry", level=level)  # takes over the logger of that name
        return
    handler = logging.StreamHandler()
    handler.setFormatter(CloudLine() if "K_SERVICE" in environment else logging.Formatter("%(levelname)s %(message)s"))
    ours = logging.getLogger("rowferry")
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(level)


class CloudLine(logging.Formatter):
    """A line of JSON that Cloud Logging takes apart into severity and message
    (docs.cloud.google.com/logging/docs/structured-logging, read 2026-11)."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as that line."""
        return orjson.dumps({"severity": record.levelname, "message": super().format(record)}).decode()
