"""What each of BigQuery's error reasons leads to: the one table.

A reason means one thing in the answer to a call (nothing ran, or we can't know: the same job id
is safe to repeat) and another in a job that has ended (it failed cleanly, and its id is used up).

Sources: "Error messages", cloud.google.com/bigquery/docs/error-messages; retry rules of
google-cloud-bigquery 3.47 (`retry.py`); "Transactions", /bigquery/docs/transactions (2026-11-21).
"""

from __future__ import annotations

from enum import Enum


class Next(Enum):
    """What to do about an error."""

    SAME_ID = "repeat the call with the same job id"
    NEW_ID = "start the work again under the next job id"
    WAIT = "leave it for long: a quota fills up slowly"
    ADOPT = "somebody started this job before: take his"
    FAIL = "it will not work however often it is tried"
    REFUSED = "a person has to give us access"


# reason: (in the answer to a call, in a job that ended)
_REASONS: dict[str, tuple[Next, Next]] = {
    "backendError": (Next.SAME_ID, Next.NEW_ID),
    "badGateway": (Next.SAME_ID, Next.NEW_ID),
    "internalError": (Next.SAME_ID, Next.NEW_ID),
    "rateLimitExceeded": (Next.SAME_ID, Next.NEW_ID),
    "jobBackendError": (Next.SAME_ID, Next.NEW_ID),
    "jobInternalError": (Next.SAME_ID, Next.NEW_ID),
    "jobRateLimitExceeded": (Next.SAME_ID, Next.NEW_ID),
    "tableUnavailable": (Next.SAME_ID, Next.NEW_ID),
    "quotaExceeded": (Next.WAIT, Next.WAIT),
    "duplicate": (Next.ADOPT, Next.FAIL),
    "invalid": (Next.FAIL, Next.FAIL),
    "invalidQuery": (Next.FAIL, Next.FAIL),
    "invalidUser": (Next.FAIL, Next.FAIL),
    "badRequest": (Next.FAIL, Next.FAIL),
    "notFound": (Next.FAIL, Next.FAIL),
    "notImplemented": (Next.FAIL, Next.FAIL),
    "resourcesExceeded": (Next.FAIL, Next.FAIL),
    "responseTooLarge": (Next.FAIL, Next.FAIL),
    "resourceInUse": (Next.FAIL, Next.FAIL),
    "stopped": (Next.FAIL, Next.FAIL),
    "timeout": (Next.FAIL, Next.FAIL),
    "accessDenied": (Next.REFUSED, Next.REFUSED),
    "authError": (Next.REFUSED, Next.REFUSED),
    "billingNotEnabled": (Next.REFUSED, Next.REFUSED),
    "blocked": (Next.REFUSED, Next.REFUSED),
}

# Passing troubles that come under a reason which says otherwise, told by their text.
_TEXTS = (
    "due to concurrent update",  # two transactions or DML statements on one table: reason invalidQuery
    "too many dml statements outstanding",  # 20 wait already: reason resourcesExceeded
    "too many table update operations",  # 5 metadata updates in 10 s: reason rateLimitExceeded or quotaExceeded
)

# For answers without a reason (a proxy's, a load balancer's).
_STATUSES = {
    400: "invalid",
    401: "authError",
    403: "accessDenied",
    404: "notFound",
    408: "backendError",
    409: "duplicate",
    410: "backendError",  # an upload's session is gone: begin the upload anew
    429: "rateLimitExceeded",
    501: "notImplemented",
}


def next_step(reason: str, message: str = "", *, ended: bool) -> Next:
    """What a reason leads to; `ended` is whether it stands in a job that has ended. Unknown reasons fail."""
    if any(text in message.lower() for text in _TEXTS):
        return Next.NEW_ID if ended else Next.SAME_ID
    call, job = _REASONS.get(reason, (Next.FAIL, Next.FAIL))
    return job if ended else call


def reason_of_status(status: int) -> str:
    """The reason that an HTTP status stands for when the answer names none."""
    return _STATUSES.get(status, "backendError" if status >= 500 else "invalid")
