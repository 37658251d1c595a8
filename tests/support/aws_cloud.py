"""The shop on AWS: each function under the real Lambda runtime client, S3, SQS and secrets on moto.

The queues hand over their messages when a test says so (`settle`), in batches, and keep what a function
reports as failed, as the service does.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from rowferry.stores.s3 import S3Store
from support.aws import Aws
from support.cloud_shop import API_KEY, Mode, Shop
from support.lambda_runtime import ACCOUNT, REGION, LocalLambda, Result
from support.moto_lambda import sqs_record

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
TRIES = 8
ALL = ("load_export", "start_sync", "deliver_chunk", "finish_run", "sweep")


def _put_secret(secrets: Any, name: str, value: str) -> None:
    """A secret, also where another test of this process has left one of the name: moto's accounts are one."""
    try:
        secrets.create_secret(Name=name, SecretString=value)
    except secrets.exceptions.ResourceExistsException:
        secrets.put_secret_value(SecretId=name, SecretString=value)


class AwsCloud:
    """The account. `calls` holds every call of a function: its name, its event and what became of it."""

    def __init__(self, folder: Path, names: Sequence[str] = ALL) -> None:
        self.mode: Mode = "once"
        self.calls: list[tuple[str, Any, Result]] = []
        self.queues: dict[str, str] = {}
        self.functions: dict[str, LocalLambda] = {}
        self._folder, self._names = folder, names
        self._stack = ExitStack()
        self._seen: set[str] = set()
        self._dice = random.Random(7)

    def start(self, shop: Shop) -> None:
        aws = self._stack.enter_context(Aws())
        self.s3, self._sqs = aws.s3(), aws.sqs()
        state, exports = aws.make_bucket(), aws.make_bucket()
        self.state, self.exports = S3Store(self.s3, state, "shop"), S3Store(self.s3, exports)
        self.exports_bucket = exports
        shop.write_settings(f"s3://{state}/shop", f"s3://{exports}", "secret")
        for name, value in (("BRAZE_KEY", API_KEY), ("SLACK_OPS", shop.slack.webhook_url)):
            _put_secret(aws.secrets(), name, value)
        environment = {**aws.environment, "ROWFERRY_CONFIG": str(shop.config)}
        for name in self._names:
            code = self._folder / name
            code.mkdir()
            shutil.copy(FUNCTIONS / name / "aws.py", code / f"{name}.py")  # as the package has it
            self.functions[name] = LocalLambda(f"{name}.handler", code, environment=environment, timeout_seconds=120, name=name)
            self._stack.callback(self.functions[name].stop)
        for name, bucket, prefix in (
            ("load_export", exports, ""),
            ("deliver_chunk", state, "shop/outbox/"),
            ("finish_run", state, "shop/receipts/"),
        ):
            self.queues[name] = aws.make_queue(name, bucket, prefix)
            self._sqs.set_queue_attributes(QueueUrl=self.queues[name], Attributes={"VisibilityTimeout": "0"})

    def invoke(self, function: str, event: Any) -> Result:
        """Call a function."""
        result = self.functions[function].invoke(event)
        self.calls.append((function, event, result))
        return result

    def fire(self, function: str, said: dict[str, Any]) -> str:
        result = self.invoke(function, said)
        assert result.error is None, result.error
        return str(result.payload)

    def settle(self) -> None:
        for _ in range(200):
            queues = [name for name in self.queues if name in self.functions]
            if self.mode == "shuffled":
                self._dice.shuffle(queues)
            handed_over = [self._hand_over(name) for name in queues]
            if not any(handed_over):
                return
        raise AssertionError("the queues do not become empty")

    def messages(self, function: str, most: int = 10) -> list[dict[str, Any]]:
        """Messages that wait for a function, as it would get them; they stay in the queue."""
        asked: Any = {"MaxNumberOfMessages": most, "AttributeNames": ["All"]}
        found = self._sqs.receive_message(QueueUrl=self.queues[function], **asked).get("Messages", [])
        name = self.queues[function].rpartition("/")[2]
        return [sqs_record(message, f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{name}") for message in found]

    def hidden_until(self, function: str) -> datetime:
        """When the queue's only message is there again."""
        queue = sqs_backends[ACCOUNT][REGION].get_queue(self.queues[function].rpartition("/")[2])
        (message,) = queue._messages
        return datetime.fromtimestamp(message.visible_at / 1000, UTC)

    def remove(self, function: str, record: dict[str, Any]) -> None:
        """Take a message out of a function's queue."""
        self._sqs.delete_message(QueueUrl=self.queues[function], ReceiptHandle=record["receiptHandle"])

    def age(self, minutes: float) -> None:
        for bucket in s3_backends[ACCOUNT]["aws"].buckets.values():
            for found in bucket.keys.values():
                found.last_modified -= timedelta(minutes=minutes)

    def logs(self) -> str:
        return "\n".join(result.log for _, _, result in self.calls)

    def stop(self) -> None:
        self._stack.close()

    def _hand_over(self, function: str) -> bool:
        """One batch, in the way of the mode; whether there was one. What failed too often is given up."""
        records = self.messages(function)
        if self.mode == "shuffled":
            self._dice.shuffle(records)
        wanted = [record for record in records if not (self.mode == "lost" and self._is_new(record))]
        failed: set[str] = set()
        for _ in range((2 if self.mode == "twice" else 1) if wanted else 0):
            failed = self._failed(function, wanted)
        for record in records:
            if record["messageId"] not in failed or int(record["attributes"]["ApproximateReceiveCount"]) >= TRIES:
                self.remove(function, record)
        return bool(records)

    def _failed(self, function: str, records: list[dict[str, Any]]) -> set[str]:
        """Hand a batch over; the ids of the messages that stay in the queue."""
        result = self.invoke(function, {"Records": records})
        if result.error is not None:
            return {record["messageId"] for record in records}
        return {failure["itemIdentifier"] for failure in result.payload["batchItemFailures"]}

    def _is_new(self, record: dict[str, Any]) -> bool:
        keys = {found["s3"]["object"]["key"] for found in orjson.loads(record["body"]).get("Records", [])}
        is_new = not keys & self._seen
        self._seen |= keys
        return is_new
