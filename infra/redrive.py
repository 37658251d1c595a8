"""Send dead letters back to where they failed: `python infra/redrive.py --cloud aws --queue rowferry-load-export`.

For after the cause is mended. As many are sent as lie there when it starts, so that what fails again is
not sent round and round. An event is only a hint which object to look at: one that comes twice does nothing.
A letter is removed once it has been sent; killed in between, it is sent again by the same command.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

_BATCH = 10
_PUBSUB = "https://pubsub.googleapis.com"


class CannotRedrive(Exception):
    """There is no such queue, or it can't be reached; the text says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Prints how many letters went back; 1 when there is no such queue."""
    parser = argparse.ArgumentParser(description="Send dead letters back to where they failed.")
    parser.add_argument("--cloud", choices=("gcp", "aws"), required=True)
    parser.add_argument("--queue", required=True, help="the queue's full name, without -dead (terraform output queues)")
    parser.add_argument("--project", default=os.environ.get("GOOGLE_CLOUD_PROJECT", ""), help="gcp: the project")
    parser.add_argument("--region", default=None, help="aws: the region, else the surroundings'")
    given = parser.parse_args(arguments)
    try:
        count = redrive_aws(given.queue, given.region) if given.cloud == "aws" else redrive_gcp(given.queue, given.project)
    except CannotRedrive as error:
        sys.stderr.write(f"redrive: {error}\n")
        return 1
    sys.stdout.write(f"{count} events of {given.queue} were sent back\n")
    return 0


def redrive_aws(queue: str, region: str | None = None) -> int:
    """From the SQS queue `<queue>-dead` to `<queue>`; how many. Raises `CannotRedrive`."""
    import boto3  # noqa: TID251 - a tool beside the product
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: TID251 - as above

    try:
        sqs = boto3.client("sqs", region_name=region)
        source, target = (sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in (f"{queue}-dead", queue))
    except (BotoCoreError, ClientError) as error:
        raise CannotRedrive(
            f"there is no queue {queue} with {queue}-dead in this account and region, or we are not let in: {error}"
        ) from None
    found = sqs.get_queue_attributes(QueueUrl=source, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    waiting, sent = int(found["ApproximateNumberOfMessages"]), 0
    while sent < waiting:
        letters = sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=min(_BATCH, waiting - sent), WaitTimeSeconds=1).get(
            "Messages", []
        )
        if not letters:
            break
        for letter in letters:
            sqs.send_message(QueueUrl=target, MessageBody=letter["Body"])
            sqs.delete_message(QueueUrl=source, ReceiptHandle=letter["ReceiptHandle"])
        sent += len(letters)
    return sent


def redrive_gcp(queue: str, project: str) -> int:
    """From the subscription `<queue>-dead` to the topic of `<queue>`; how many. Raises `CannotRedrive`.

    The topic may have other subscriptions: their filters leave out what is not theirs.
    """
    if not project:
        raise CannotRedrive("which project? Give --project, or set GOOGLE_CLOUD_PROJECT")
    pubsub = _PubSub(project)
    topic = pubsub.call("GET", f"projects/{project}/subscriptions/{queue}")["topic"]
    dead, sent, seen = f"projects/{project}/subscriptions/{queue}-dead", 0, set[str]()
    while letters := pubsub.call("POST", f"{dead}:pull", {"maxMessages": _BATCH}).get("receivedMessages", []):
        new = [letter for letter in letters if letter["message"]["messageId"] not in seen]
        if not new:
            break  # what comes back now has failed again meanwhile
        messages = [{key: letter["message"][key] for key in ("data", "attributes") if key in letter["message"]} for letter in new]
        pubsub.call("POST", f"{topic}:publish", {"messages": messages})
        pubsub.call("POST", f"{dead}:acknowledge", {"ackIds": [letter["ackId"] for letter in new]})
        seen |= {letter["message"]["messageId"] for letter in new}
        sent += len(new)
    return sent


class _PubSub:
    """Pub/Sub's REST API (docs.cloud.google.com/pubsub/docs/reference/rest), signed in as the surroundings are."""

    def __init__(self, project: str) -> None:
        emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
        self._base = f"http://{emulator}" if emulator else _PUBSUB
        self._session = _session(project, is_emulator=bool(emulator))

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request. Raises `CannotRedrive` for anything but success."""
        answer = self._session.request(method, f"{self._base}/v1/{path}", json=body, timeout=30)
        if answer.status_code != 200:
            raise CannotRedrive(f"Pub/Sub answers {answer.status_code} for {path}: {answer.text[:200]}")
        found: dict[str, Any] = answer.json()
        return found


def _session(project: str, *, is_emulator: bool) -> Any:
    import google.auth
    import requests
    from google.auth.transport.requests import AuthorizedSession

    if is_emulator:
        return requests.Session()
    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/pubsub"], quota_project_id=project)
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise CannotRedrive(f"{error} Or: gcloud auth application-default login") from None
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]  # Google's


if __name__ == "__main__":
    sys.exit(main())
