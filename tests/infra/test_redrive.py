"""Dead letters go back once, all that lay there, and no more."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowferry.twins.server import Call, Twin
from rowferry.wire import Response
from support.aws import Aws
from support.script import load_script

redrive = load_script("redrive")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with Aws() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def test_letters_go_back_to_their_sqs_queue(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    """More than one batch of them; the dead-letter queue is empty afterwards."""
    sqs = aws.sqs()
    dead, queue = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("rowferry-x-dead", "rowferry-x"))
    for number in range(23):
        sqs.send_message(QueueUrl=dead, MessageBody=json.dumps({"n": number}))
    assert redrive.main(["--cloud", "aws", "--queue", "rowferry-x"]) == 0
    assert "23 events" in capsys.readouterr().out
    assert sorted(body["n"] for body in aws.receive(queue)) == list(range(23))
    assert aws.receive(dead) == []


def test_a_queue_that_is_not_there_is_said(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name is a sentence and exit code 1."""
    assert redrive.main(["--cloud", "aws", "--queue", "rowferry-nobody"]) == 1
    assert "there is no queue rowferry-nobody" in capsys.readouterr().err


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_who_is_not_signed_in_is_told_so(
    cloud: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell that knows neither region nor key: a sentence and exit code 1, no traceback."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "CLOUDSDK_", "PUBSUB_"))]:
        monkeypatch.delenv(name)
    for name, value in {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "NO_GCE_CHECK": "true"}.items():
        monkeypatch.setenv(name, value)
    assert redrive.main(["--cloud", cloud, "--queue", "rowferry-x", "--project", "p"]) == 1
    assert {"aws": "region", "gcp": "credentials"}[cloud] in capsys.readouterr().err


class PubSubTwin(Twin):
    """As much of Pub/Sub's REST API as the command uses; what is published and not taken up comes back as a dead letter."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.dead: dict[str, dict[str, Any]] = {}
        self.published: list[dict[str, Any]] = []
        self.is_poison = False

    def answer(self, call: Call) -> Response:
        body = json.loads(call.body or b"{}")
        if call.path == "/v1/projects/p/subscriptions/rowferry-x":
            return self._json({"topic": "projects/p/topics/t"})
        if call.path == "/v1/projects/p/subscriptions/rowferry-x-dead:pull":
            letters = [{"ackId": f"ack-{key}", "message": message} for key, message in self.dead.items()]
            return self._json({"receivedMessages": letters[: body["maxMessages"]]} if letters else {})
        if call.path == "/v1/projects/p/topics/t:publish":
            self.published += body["messages"]
            return self._json({})
        if call.path == "/v1/projects/p/subscriptions/rowferry-x-dead:acknowledge":
            for ack in body["ackIds"]:
                letter = self.dead.pop(ack.removeprefix("ack-"))
                if self.is_poison:
                    self.dead[letter["messageId"]] = letter
            return self._json({})
        return Response(404, b'{"error": {"message": "Resource not found"}}')

    def _json(self, body: dict[str, Any]) -> Response:
        return Response(200, json.dumps(body).encode())


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch) -> Iterator[PubSubTwin]:
    with PubSubTwin() as twin:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", twin.url.removeprefix("http://"))
        for number in range(13):
            data = base64.b64encode(str(number).encode()).decode()
            twin.dead[str(number)] = {"messageId": str(number), "data": data, "attributes": {"objectId": f"outbox/a/{number}"}}
        yield twin


def test_letters_go_back_to_their_pubsub_topic(pubsub: PubSubTwin) -> None:
    """With their data and attributes, by which the filters know whose they are."""
    assert redrive.main(["--cloud", "gcp", "--project", "p", "--queue", "rowferry-x"]) == 0
    assert sorted(message["attributes"]["objectId"] for message in pubsub.published) == sorted(f"outbox/a/{n}" for n in range(13))
    assert pubsub.dead == {}


def test_what_fails_again_is_not_sent_round_and_round(pubsub: PubSubTwin) -> None:
    """Letters that come back while the command runs are left for the next time."""
    pubsub.is_poison = True
    assert redrive.main(["--cloud", "gcp", "--project", "p", "--queue", "rowferry-x"]) == 0
    assert len(pubsub.published) <= 13


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["--project", "p", "--queue", "nobody"], "Pub/Sub answers 404"), (["--project", "", "--queue", "rowferry-x"], "which project?")],
)
def test_what_google_can_not_do_is_said(
    pubsub: PubSubTwin, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    """A misspelt name or a missing project is a sentence and exit code 1."""
    assert redrive.main(["--cloud", "gcp", *arguments]) == 1
    assert sentence in capsys.readouterr().err
