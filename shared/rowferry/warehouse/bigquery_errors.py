"""Google's exceptions as ours. Their texts can quote cells of a file: those are masked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from google.api_core import exceptions
from google.auth import exceptions as auth

from rowferry.errors import CredentialsError, RowferryError, TryLater
from rowferry.warehouse.port import TooLarge, WarehouseError
from rowferry.warehouse.reasons import Next, next_step, reason_of_status

QUOTA_WAIT_SECONDS = 1800.0  # quotas of a day fill up little by little
ERRORS = (exceptions.GoogleAPIError, auth.GoogleAuthError, requests.RequestException, TimeoutError)
# These speak of the statement or of access, and quote names only.
_ABOUT_THE_STATEMENT = re.compile(
    r"(query error: )?(syntax error|unrecognized name|not found|name |column |table |function not found|no matching signature"
    r"|already exists|access denied|duplicate column|expected |query parameter)",
    re.IGNORECASE,
)
_AFTER = re.compile(r"\b((?:bad|invalid)\b[^:]*|\w+ overflow|out of range[^:]*|value):\s.*", re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(r"'.*'|\".*\"", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One error of BigQuery's: its reason, its text without values, and what it leads to."""

    reason: str
    message: str
    next: Next

    def error(self) -> RowferryError:
        """What a caller is told when the step is not ours to take."""
        if self.next is Next.REFUSED:
            return CredentialsError(f"BigQuery refused us: {self.message}")
        if self.next is Next.WAIT:
            return TryLater(f"a quota of BigQuery is used up: {self.message}", QUOTA_WAIT_SECONDS)
        if self.next in (Next.SAME_ID, Next.NEW_ID):
            return TryLater(f"BigQuery could not take it now: {self.message}")
        kind = TooLarge if self.reason == "resourcesExceeded" else WarehouseError
        return kind(f"{self.reason}: {self.message}")


def of_call(error: Exception) -> Trouble:
    """The trouble of a call that raised."""
    if isinstance(error, auth.TransportError | requests.RequestException | exceptions.RetryError | TimeoutError):
        return Trouble("unreachable", type(error).__name__, Next.SAME_ID)
    if isinstance(error, auth.GoogleAuthError):
        return Trouble("authError", "no working Google credentials; see `gcloud auth application-default login`", Next.REFUSED)
    if not isinstance(error, exceptions.GoogleAPICallError):
        return Trouble("unknown", type(error).__name__, Next.FAIL)
    first: Mapping[str, Any] = error.errors[0] if error.errors and isinstance(error.errors[0], Mapping) else {}
    reason = str(first.get("reason") or reason_of_status(int(error.code or 500)))
    message = str(first.get("message") or error.message)
    return Trouble(reason, masked(message), next_step(reason, message, ended=False))


def of_job(result: Mapping[str, Any]) -> Trouble:
    """The trouble of a job that ended with an `errorResult`."""
    reason, message = str(result.get("reason", "")), str(result.get("message", ""))
    return Trouble(reason, masked(message), next_step(reason, message, ended=True))


@contextmanager
def translated() -> Iterator[None]:
    """Turn what Google's clients raise into our errors."""
    try:
        yield
    except ERRORS as error:
        raise of_call(error).error() from None


def masked(message: str) -> str:
    """The text on one line, without what could be a cell's content."""
    if _ABOUT_THE_STATEMENT.match(message):
        return message.partition("\n")[0][:500]
    return " ".join(_QUOTED.sub("'…'", _AFTER.sub(r"\1: …", message)).split())[:500]
