"""The one table of BigQuery's reasons, against what Google's page says of each."""

from __future__ import annotations

import pytest

from rowferry.warehouse.reasons import Next, next_step, reason_of_status

CALL_AND_JOB = {
    "backendError": (Next.SAME_ID, Next.NEW_ID),
    "internalError": (Next.SAME_ID, Next.NEW_ID),
    "badGateway": (Next.SAME_ID, Next.NEW_ID),
    "rateLimitExceeded": (Next.SAME_ID, Next.NEW_ID),
    "jobBackendError": (Next.SAME_ID, Next.NEW_ID),
    "jobInternalError": (Next.SAME_ID, Next.NEW_ID),
    "jobRateLimitExceeded": (Next.SAME_ID, Next.NEW_ID),
    "tableUnavailable": (Next.SAME_ID, Next.NEW_ID),
    "quotaExceeded": (Next.WAIT, Next.WAIT),
    "duplicate": (Next.ADOPT, Next.FAIL),
    **dict.fromkeys(
        ("invalid", "invalidQuery", "invalidUser", "badRequest", "notFound", "notImplemented", "stopped", "timeout", "unheardOf"),
        (Next.FAIL, Next.FAIL),
    ),
    **dict.fromkeys(("resourcesExceeded", "responseTooLarge", "resourceInUse"), (Next.FAIL, Next.FAIL)),
    **dict.fromkeys(("accessDenied", "authError", "billingNotEnabled", "blocked"), (Next.REFUSED, Next.REFUSED)),
}


@pytest.mark.parametrize("reason", CALL_AND_JOB)
def test_each_reason_leads_where_google_says(reason: str) -> None:
    """In the answer to a call the same id is safe; a job that ended has used its id up; unknown reasons fail."""
    assert (next_step(reason, ended=False), next_step(reason, ended=True)) == CALL_AND_JOB[reason]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("invalidQuery", "Transaction is aborted due to concurrent update against table p:d.t."),
        ("invalidQuery", "Could not serialize access to table p:d.t due to concurrent update"),
        (
            "resourcesExceeded",
            "Resources exceeded during query execution: Too many DML statements outstanding against table p:d.t, limit is 20.",
        ),
        ("quotaExceeded", "Exceeded rate limits: too many table update operations for this table."),
    ],
)
def test_passing_trouble_under_a_lasting_reason_is_told_by_its_text(reason: str, text: str) -> None:
    """Two writers on one table come as `invalidQuery`; trying again works."""
    assert next_step(reason, text, ended=True) is Next.NEW_ID


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "authError"),
        (403, "accessDenied"),
        (404, "notFound"),
        (409, "duplicate"),
        (429, "rateLimitExceeded"),
        (502, "backendError"),
        (418, "invalid"),
    ],
)
def test_an_answer_without_a_reason_is_read_by_its_status(status: int, reason: str) -> None:
    """A load balancer's 502 names none."""
    assert reason_of_status(status) == reason
