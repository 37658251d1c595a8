"""What the clouds tell us: which object was written. Pure reading of events, for the edges.

A platform may repeat, reorder and delay its events; what is read here is only a hint which object to
look at. Sources: googleapis/google-cloudevents (storage and pubsub), docs.cloud.google.com
storage/docs/pubsub-notifications, docs.aws.amazon.com AmazonS3 notification-content-structure and
ev-events; read 2026-11-21.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import orjson


class NotAnEvent(ValueError):
    """Something that no storage sends. The sentence says what was expected."""


def gcs_object(data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Bucket and name of the object that a CloudEvent's data tells of: Eventarc's own event, or a Pub/Sub
    message that carries a bucket's notification. None for events that are not about a new object.

    Raises `NotAnEvent` for anything else.
    """
    message = data.get("message")
    if isinstance(message, Mapping):
        return _gcs_notification(message)
    if isinstance(data.get("bucket"), str) and isinstance(data.get("name"), str):
        return data["bucket"], data["name"]
    raise NotAnEvent("expected a storage event with bucket and name, or a Pub/Sub message about one")


def _gcs_notification(message: Mapping[str, Any]) -> tuple[str, str] | None:
    attributes = message.get("attributes") or {}
    if attributes.get("eventType", "OBJECT_FINALIZE") != "OBJECT_FINALIZE":
        return None
    if "bucketId" in attributes and "objectId" in attributes:
        return str(attributes["bucketId"]), str(attributes["objectId"])
    try:
        body = orjson.loads(base64.b64decode(message.get("data") or ""))
        return str(body["bucket"]), str(body["name"])
    except (ValueError, KeyError, TypeError):
        raise NotAnEvent("expected a bucket's notification: bucketId and objectId in the message's attributes") from None


def s3_objects(body: str) -> list[tuple[str, str]]:
    """Buckets and keys of the objects that one SQS message tells of; none for S3's own test message.

    Keys of S3's notifications are form-encoded (a space is `+`), those of EventBridge's are not.
    Raises `NotAnEvent` for anything else.
    """
    try:
        found = orjson.loads(body)
        if found.get("Event") == "s3:TestEvent":
            return []
        if "detail" in found:
            return [(str(found["detail"]["bucket"]["name"]), str(found["detail"]["object"]["key"]))]
        records = [record for record in found["Records"] if record["eventName"].startswith("ObjectCreated:")]
        return [(str(record["s3"]["bucket"]["name"]), unquote_plus(record["s3"]["object"]["key"])) for record in records]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotAnEvent("expected an S3 notification: Records with bucket and object") from None


def key_in(store_url: str, bucket: str, name: str) -> str | None:
    """The object's key in the store at this address; None when it lies in another bucket or prefix."""
    parts = urlsplit(store_url)
    prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
    if parts.netloc != bucket or not name.startswith(prefix):
        return None
    return name.removeprefix(prefix)
