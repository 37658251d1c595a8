"""Requests to Klaviyo, read by the models of its official client."""

from __future__ import annotations

import importlib
import re
from typing import Any

import orjson

from rowferry.wire import Request

_MODELS = {
    "POST /api/events": "event_create_query_v2:EventCreateQueryV2",
    "POST /api/event-bulk-create-jobs": "events_bulk_create_job:EventsBulkCreateJob",
    "POST /api/profile-import": "profile_upsert_query:ProfileUpsertQuery",
    "POST /api/profile-bulk-import-jobs": "profile_import_job_create_query:ProfileImportJobCreateQuery",
    "POST /api/profile-subscription-bulk-create-jobs": "subscription_create_job_create_query:SubscriptionCreateJobCreateQuery",
    "POST /api/profile-subscription-bulk-delete-jobs": "subscription_delete_job_create_query:SubscriptionDeleteJobCreateQuery",
    "POST /api/data-privacy-deletion-jobs": "data_privacy_create_deletion_job_query:DataPrivacyCreateDeletionJobQuery",
    "POST /api/lists/id/relationships/profiles": "list_members_add_query:ListMembersAddQuery",
    "DELETE /api/lists/id/relationships/profiles": "list_members_delete_query:ListMembersDeleteQuery",
}


def validate(request: Request) -> None:
    """Raises `ValidationError` or `AssertionError` for a body that the client's model does not take, or not whole."""
    path = re.sub(r"/lists/[^/]+", "/lists/id", "/" + request.url.split("/", 3)[3].partition("?")[0])
    if request.method == "GET":
        assert not request.body
        return
    module, _, name = _MODELS[f"{request.method} {path}"].partition(":")
    document = orjson.loads(request.body)
    model = getattr(importlib.import_module(f"openapi_client.models.{module}"), name).from_dict(document)
    _require_known(document, model.to_dict(), "")


def _require_known(sent: Any, known: Any, where: str) -> None:
    """What the model did not take up was lost on the way: a name that Klaviyo does not know."""
    if isinstance(sent, dict):
        assert isinstance(known, dict), where
        assert sent.keys() <= known.keys(), f"{where}: {sent.keys() - known.keys()} unknown"
        for key, value in sent.items():
            _require_known(value, known[key], f"{where}/{key}")
    elif isinstance(sent, list):
        assert isinstance(known, list) and len(sent) == len(known), where
        for index, value in enumerate(sent):
            _require_known(value, known[index], f"{where}/{index}")
