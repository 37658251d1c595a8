"""The local AWS account does what moto alone does not: real code, true batches, schedules, an HTTP API."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.moto_lambda import MotoAws

APP = """
import base64, json

def records(event, context):
    bad = [{"itemIdentifier": r["messageId"]} for r in event["Records"] if json.loads(r["body"])["n"] == 13]
    return {"batchItemFailures": bad, "seen": len(event["Records"])}

def echo(event, context):
    return event

def web(event, context):
    return {"statusCode": 200, "body": event["rawPath"] + " " + base64.b64decode(event["body"]).decode()}
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoAws]:
    with MotoAws() as account:
        yield account


@pytest.fixture
def make(aws: MotoAws) -> Callable[[str], str]:
    def make_function(handler: str) -> str:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("app.py", APP)
        role = aws.client("iam").create_role(RoleName=f"role-{handler}", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        code = {"ZipFile": packed.getvalue()}
        made = aws.client("lambda").create_function(
            FunctionName=handler, Runtime="python3.12", Role=role, Handler=f"app.{handler}", Code=code, Timeout=300
        )
        return str(made["FunctionArn"])

    return make_function


def until(condition: Callable[[], Any]) -> Any:
    """Wait for what another thread brings about, a few minutes at most."""
    for _ in range(15_000):
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail("it did not come about")


def test_a_batch_is_one_call_and_what_failed_goes_to_the_dead_letters(aws: MotoAws, make: Callable[[str], str]) -> None:
    """Good messages of a batch are gone after one call; the bad one comes again and ends in the dead-letter queue."""
    sqs = aws.client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    queue = sqs.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "1", "RedrivePolicy": redrive})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(n), "MessageBody": json.dumps({"n": n})} for n in (1, 13, 2)])
    function = make("records")
    aws.client("lambda").create_event_source_mapping(
        EventSourceArn=arn, FunctionName=function, BatchSize=10, FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    until(lambda: aws.left(dead) == 1)
    assert aws.left(queue) == 0
    assert [call.result.payload["seen"] for call in aws.calls if call.function == "records"] == [3, 1]


def test_a_schedule_calls_its_target_with_its_input(aws: MotoAws, make: Callable[[str], str]) -> None:
    """`fire` is what the scheduler does at the appointed time."""
    function = make("echo")
    aws.client("scheduler").create_schedule(
        Name="tick",
        ScheduleExpression="rate(5 minutes)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": function, "RoleArn": "arn:aws:iam::123456789012:role/x", "Input": '{"sync": "a"}'},
    )
    assert aws.fire("tick", "default").payload == {"sync": "a"}


def test_the_http_api_leads_a_request_to_its_function(aws: MotoAws, make: Callable[[str], str]) -> None:
    """Path and body arrive; a path without a route is 404 and calls nobody."""
    api = aws.client("apigatewayv2")
    made = api.create_api(Name="hooks", ProtocolType="HTTP")["ApiId"]
    integration = api.create_integration(ApiId=made, IntegrationType="AWS_PROXY", IntegrationUri=make("web"))["IntegrationId"]
    api.create_route(ApiId=made, RouteKey="ANY /hooks/{name}", Target=f"integrations/{integration}")
    answer = aws.call("POST", "/hooks/stripe?x=1", b"body")
    assert (answer.status, answer.body) == (200, "/hooks/stripe body")
    assert aws.call("POST", "/elsewhere").status == 404
