"""Storage events as the clouds send them: at least once, in any order, again after an error.

A `Subscription` names where events go and in which form. Its `plan` says for each event after how many
seconds which copies arrive: `[0.0]` is once, `[]` a lost event, `[0.0, 0.3]` a repeat, random delays
change the order.
"""

from __future__ import annotations

import base64
import heapq
import http.client
import itertools
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Plan = Callable[[Json], Sequence[float]]
Form = Literal["binary", "structured", "pubsub", "push"]

_FINALIZED = "google.cloud.storage.object.v1.finalized"
_PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)


def once(resource: Json) -> Sequence[float]:
    """Every event once and at once."""
    return (0.0,)


def repeated(copies: int = 2, apart_seconds: float = 0.05) -> Plan:
    """Every event several times."""
    return lambda resource: [number * apart_seconds for number in range(copies)]


def shuffled(seed: int, within_seconds: float = 0.3, copies: int = 1) -> Plan:
    """Events in a random order, each at some moment within the time; the same for the same seed."""
    chance = random.Random(seed)
    return lambda resource: [chance.uniform(0, within_seconds) for _ in range(copies)]


@dataclass(frozen=True)
class Subscription:
    """Where the events of a bucket go.

    `form`: "binary" and "structured" are CloudEvents as Eventarc sends them, "pubsub" is the CloudEvent of a
    Pub/Sub message that holds the bucket's notification, "push" the same message as a plain Pub/Sub push.
    After `attempts` answers other than 2xx an event is given up, as a dead letter.
    """

    url: str
    form: Form = "binary"
    bucket: str | None = None
    prefix: str = ""
    plan: Plan = once
    attempts: int = 5


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver an event. `status` is 0 when nobody answered."""

    name: str
    event_id: str
    attempt: int
    status: int


@dataclass(order=True)
class _Due:
    at: float
    number: int
    subscription: Subscription = field(compare=False)
    resource: Json = field(compare=False)
    event_id: str = field(compare=False)
    attempt: int = field(compare=False, default=1)


class Events:
    """Delivers to subscriptions from some threads of its own, until `stop`. `deliveries` holds every attempt."""

    def __init__(self, workers: int = 8) -> None:
        self.subscriptions: list[Subscription] = []
        self.deliveries: list[Delivery] = []
        self._due: list[_Due] = []
        self._open = 0
        self._stopped = False
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._threads = [threading.Thread(target=self._work, daemon=True, name=f"events-{number}") for number in range(workers)]

    def start(self) -> None:
        """Begin to deliver."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what has not been delivered is dropped."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def publish(self, resource: Json) -> None:
        """Tell every subscription of a new object."""
        with self._changed:
            for subscription in self.subscriptions:
                if subscription.bucket in {None, resource["bucket"]} and resource["name"].startswith(subscription.prefix):
                    for delay in subscription.plan(resource):
                        number = next(self._numbers)
                        self._push(_Due(time.monotonic() + delay, number, subscription, resource, f"{10**15 + number}"))

    def wait(self, seconds: float = 60.0) -> None:
        """Return when every event has been delivered or given up. Raises `TimeoutError`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._open == 0, seconds):
                raise TimeoutError(f"{self._open} events are still under way after {seconds} seconds")

    def _push(self, due: _Due) -> None:
        heapq.heappush(self._due, due)
        self._open += 1
        self._changed.notify_all()

    def _next(self) -> _Due | None:
        with self._changed:
            while not self._stopped:
                wait_seconds = self._due[0].at - time.monotonic() if self._due else None
                if wait_seconds is not None and wait_seconds <= 0:
                    return heapq.heappop(self._due)
                self._changed.wait(wait_seconds)
        return None

    def _work(self) -> None:
        while due := self._next():
            status = _post(due)
            with self._changed:
                self.deliveries.append(Delivery(due.resource["name"], due.event_id, due.attempt, status))
                if not 200 <= status < 300 and due.attempt < due.subscription.attempts:
                    pause = _RETRY_SECONDS[min(due.attempt, len(_RETRY_SECONDS)) - 1]
                    at = time.monotonic() + pause
                    self._push(_Due(at, due.number, due.subscription, due.resource, due.event_id, due.attempt + 1))
                self._open -= 1
                self._changed.notify_all()


def _post(due: _Due) -> int:
    headers, body = event_request(due.resource, due.subscription.form, due.event_id)
    request = urllib.request.Request(due.subscription.url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=600) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):  # nobody listens, or it died within its answer
        return 0


def event_request(resource: Json, form: Form, event_id: str) -> tuple[dict[str, str], Json]:
    """Headers and JSON body of one event in the given form."""
    if form == "push":
        return {"Content-Type": "application/json"}, _message(resource, event_id)
    if form == "pubsub":
        attributes = {"id": event_id, "type": _PUBLISHED, "source": "//pubsub.googleapis.com/projects/test/topics/storage"}
        return _cloud_event(attributes, resource["updated"]), _message(resource, event_id)
    attributes = {
        "id": event_id,
        "type": _FINALIZED,
        "source": f"//storage.googleapis.com/projects/_/buckets/{resource['bucket']}",
        "subject": f"objects/{resource['name']}",
        "bucket": resource["bucket"],
    }
    if form == "binary":
        return _cloud_event(attributes, resource["updated"]), resource
    envelope = {"specversion": "1.0", "time": resource["updated"], "datacontenttype": "application/json", **attributes, "data": resource}
    return {"Content-Type": "application/cloudevents+json"}, envelope


def _cloud_event(attributes: dict[str, str], time: str) -> dict[str, str]:
    """A binary CloudEvent's headers. What is not ASCII is percent-encoded (CloudEvents HTTP binding 1.0.2, 3.1.3.2)."""
    headers = {f"ce-{name}": _header(value) for name, value in attributes.items()}
    return {"Content-Type": "application/json", "ce-specversion": "1.0", "ce-time": time, **headers}


def _header(value: str) -> str:
    return "".join(c if "!" <= c <= "~" and c not in '"%' else "".join(f"%{byte:02X}" for byte in c.encode()) for c in value)


def _message(resource: Json, event_id: str) -> Json:
    """A Pub/Sub message with a bucket's notification (payload format JSON_API_V1)."""
    attributes = {
        "notificationConfig": f"projects/_/buckets/{resource['bucket']}/notificationConfigs/1",
        "eventType": "OBJECT_FINALIZE",
        "payloadFormat": "JSON_API_V1",
        "bucketId": resource["bucket"],
        "objectId": resource["name"],
        "objectGeneration": resource["generation"],
        "eventTime": resource["updated"],
    }
    data = base64.b64encode(json.dumps(resource).encode()).decode()
    message = {"data": data, "attributes": attributes, "messageId": event_id, "publishTime": resource["updated"]}
    return {"message": message, "subscription": "projects/test/subscriptions/storage"}
