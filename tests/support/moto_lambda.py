"""An AWS account on one machine: moto's server, and what moto lacks without docker.

    with MotoAws() as aws:
        aws.endpoint                       # for clients and for Terraform
        aws.call("POST", "/hooks/stripe")  # through the HTTP API's routes
        aws.fire("sync-customers")         # a schedule's target with its input

* An invocation runs the uploaded zip in the real runtime client (lambda_runtime), from the zip alone.
* A queue's mapping delivers real batches and keeps what the function reports as failed, as AWS does.
* The HTTP API's routes lead to their functions, in payload format 2.0.
* The redrive policy comes back without blanks, as at AWS, so that a second plan finds no difference.

moto's own mapping hands over one message a call and ignores partial failures (5.2.5).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest.mock import patch

import boto3  # noqa: TID251 - the account's clients
from botocore.config import Config  # noqa: TID251 - as above
from botocore.exceptions import ClientError  # noqa: TID251 - as above
from moto.apigatewayv2.models import apigatewayv2_backends
from moto.awslambda import models as lambda_models
from moto.scheduler.models import scheduler_backends
from moto.sqs import models as sqs_models

from support.aws import Aws
from support.lambda_runtime import ACCOUNT, REGION, LocalLambda, Result

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Invoked:
    """One call of a function: which, and what became of it."""

    function: str
    result: Result


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the HTTP API answered."""

    status: int
    body: str


class MotoAws:
    """The account. `environment` is added to every function's own, for addresses of other stand-ins."""

    def __init__(self, environment: Mapping[str, str] | None = None, *, isolated: bool = True) -> None:
        self.calls: list[Invoked] = []
        self.environment = dict(environment or {})
        self._isolated = isolated
        self._functions: dict[str, tuple[str, LocalLambda]] = {}
        self._zips: dict[str, Path] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="moto-", ignore_cleanup_errors=True)))
        for target, name, replacement in self._patches():
            self._stack.enter_context(patch.object(target, name, replacement))
        self.endpoint = self._stack.enter_context(Aws()).url
        self._stack.callback(self._stop_functions)
        # Its client is made here: boto3 makes them in one thread at a time only.
        pump = threading.Thread(target=self._pump, args=(self.client("sqs"),), daemon=True, name="sqs-pump")
        pump.start()
        self._stack.callback(pump.join)
        self._stack.callback(self._ending.set)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def client(self, service: str) -> Any:
        """A boto3 client of this account."""
        config = Config(retries={"max_attempts": 2})
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, config=config, **keys)  # type: ignore[call-overload]  # by name

    def invoke(self, name: str, event: Any) -> Result:
        """Run a function on an event."""
        function = lambda_models.lambda_backends[ACCOUNT][REGION].get_function(name)
        result = self._sandbox(function).invoke(event)
        with self._lock:
            self.calls.append(Invoked(function.function_name, result))
        return result

    def fire(self, schedule: str, group: str) -> Result:
        """What the scheduler would do: call a schedule's target with its input."""
        found = scheduler_backends[ACCOUNT][REGION].get_schedule(group, schedule)
        return self.invoke(found.target["Arn"], json.loads(found.target.get("Input") or "{}"))

    def call(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """A request to the account's HTTP API; 404 where no route takes it."""
        function = self._route(method, path)
        if function is None:
            return HttpAnswer(404, '{"message":"Not Found"}')
        result = self.invoke(function, _http_event(method, path, body, headers or {}))
        if result.error is not None:
            return HttpAnswer(500, '{"message":"Internal Server Error"}')
        answer = result.payload
        text = base64.b64decode(answer["body"]).decode() if answer.get("isBase64Encoded") else answer.get("body") or ""
        return HttpAnswer(answer["statusCode"], text)

    def left(self, queue_url: str) -> int:
        """Messages in a queue, waiting or in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    # ── Functions ───────────────────────────────────────────────────────────────────────────

    def _sandbox(self, function: Any) -> LocalLambda:
        """The function's process, made anew when its code or configuration has changed."""
        digest = hashlib.sha256(function.code_bytes).hexdigest()
        environment = {name: str(value) for name, value in function.environment_vars.items()}
        configuration = repr((digest, function.handler, sorted(environment.items()), function.timeout))
        with self._lock:
            known = self._functions.get(function.function_name)
            if known is not None and known[0] == configuration:
                return known[1]
            if known is not None:
                known[1].stop()
            made = LocalLambda(
                function.handler,
                self._unzipped(digest, function.code_bytes),
                environment={"AWS_ENDPOINT_URL": self.endpoint, **environment, **self.environment},
                timeout_seconds=float(function.timeout),
                memory_mb=int(function.memory_size),
                name=function.function_name,
                isolated=self._isolated,
            )
            self._functions[function.function_name] = (configuration, made)
            return made

    def _unzipped(self, digest: str, code: bytes) -> Path:
        if digest not in self._zips:
            self._zips[digest] = self._folder / digest[:16]
            with zipfile.ZipFile(io.BytesIO(code)) as archive:
                archive.extractall(self._zips[digest])
        return self._zips[digest]

    def _stop_functions(self) -> None:
        for _, function in self._functions.values():
            function.stop()

    def _patches(self) -> list[tuple[Any, str, Any]]:
        account = self
        add_message = sqs_models.Queue.add_message

        def invoke_lambda(function: Any, event: str | None = None) -> tuple[str, bool, str]:
            result = account.invoke(function.function_arn, event if event is not None else {})
            return json.dumps(result.error or result.payload), result.error is not None, result.log

        def add_only(queue: Any, message: Any) -> None:
            mappings, queue.lambda_event_source_mappings = queue.lambda_event_source_mappings, {}
            try:
                add_message(queue, message)
            finally:
                queue.lambda_event_source_mappings = mappings

        return [
            (lambda_models.LambdaFunction, "_invoke_lambda", invoke_lambda),
            (sqs_models.Queue, "add_message", add_only),
            (sqs_models, "json", _CompactJson),
        ]

    # ── Queues ──────────────────────────────────────────────────────────────────────────────

    def _pump(self, sqs: Any) -> None:
        while not self._ending.wait(_POLL_SECONDS):
            for mapping in list(lambda_models.lambda_backends[ACCOUNT][REGION]._event_source_mappings.values()):
                try:
                    self._deliver(sqs, mapping)
                except ClientError:
                    continue  # the queue or function is being taken down

    def _deliver(self, sqs: Any, mapping: Any) -> None:
        """One batch of one mapping: failed messages stay in flight until their visibility time-out, as at AWS."""
        url = sqs.get_queue_url(QueueName=mapping.event_source_arn.rsplit(":", 1)[1])["QueueUrl"]
        asked = {"MaxNumberOfMessages": min(10, mapping.batch_size), "AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
        messages = sqs.receive_message(QueueUrl=url, **asked).get("Messages", [])
        if not messages:
            return
        event = {"Records": [sqs_record(message, mapping.event_source_arn) for message in messages]}
        result = self.invoke(mapping.function_arn, event)
        failed = _failed(result, messages, mapping.function_response_types or [])
        for message in messages:
            if message["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    # ── The HTTP API ────────────────────────────────────────────────────────────────────────

    def _route(self, method: str, path: str) -> str | None:
        """The function that a request leads to."""
        for api in apigatewayv2_backends[ACCOUNT][REGION].apis.values():
            for route in api.routes.values():
                wanted, _, pattern = route.route_key.partition(" ")
                if wanted in ("ANY", method) and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path.partition("?")[0]):
                    uri: str = api.integrations[route.target.rpartition("/")[2]].integration_uri
                    return uri
        return None


class _CompactJson:
    """json as sqs.models uses it, without blanks."""

    loads = staticmethod(json.loads)
    JSONDecodeError = json.JSONDecodeError

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        return json.dumps(value, **{"separators": (",", ":"), **options})


def sqs_record(message: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """A queue's message as Lambda sees it (docs.aws.amazon.com/lambda/latest/dg/with-sqs.html)."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": message.get("MessageAttributes", {}),
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    }


def _failed(result: Result, messages: list[Mapping[str, Any]], response_types: list[str]) -> set[str]:
    """Ids of the messages that stay in the queue: all on an error, else those that are reported."""
    if result.error is not None:
        return {message["MessageId"] for message in messages}
    if "ReportBatchItemFailures" not in response_types or not isinstance(result.payload, dict):
        return set()
    return {failure["itemIdentifier"] for failure in result.payload.get("batchItemFailures", [])}


def _http_event(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """A request in payload format 2.0 (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html)."""
    raw_path, _, query = path.partition("?")
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": query,
        "headers": {name.lower(): value for name, value in headers.items()},
        "requestContext": {
            "accountId": ACCOUNT,
            "domainName": "127.0.0.1",
            "requestId": "local",
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
            "http": {"method": method, "path": raw_path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""},
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
