"""AWS on loopback: moto's server in this process, and real boto3 clients for it.

    with Aws() as aws:
        bucket = aws.make_bucket()
        queue = aws.make_queue("load-export", fed_by=bucket)
        store = S3Store(aws.s3(), bucket)

moto keeps one account for the whole process, so buckets and queues get names of their own.
"""

from __future__ import annotations

import io
import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import boto3  # noqa: TID251 - the stand-in hands out real clients
from botocore.config import Config  # noqa: TID251 - the stand-in hands out real clients
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

REGION: Literal["eu-west-1"] = "eu-west-1"
# What real functions get from their role; moto takes anything.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_ONE_AT_A_TIME = threading.Lock()


class Aws:
    """moto's server on a free port; a context manager. `url` is what AWS_ENDPOINT_URL wants."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every request
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.url = ""

    @property
    def environment(self) -> dict[str, str]:
        """What a child process needs to work against this server."""
        return {**ENVIRONMENT, "AWS_ENDPOINT_URL": self.url}

    def s3(self, endpoint: str | None = None) -> S3Client:
        """A real client for this server, or for `endpoint` (a proxy in front of it), that never retries by itself."""
        return boto3.client("s3", **self._options(endpoint))

    def sqs(self) -> SQSClient:
        """A real SQS client for this server."""
        return boto3.client("sqs", **self._options())

    def secrets(self, endpoint: str | None = None) -> SecretsManagerClient:
        """A real Secrets Manager client for this server, or for a proxy in front of it."""
        return boto3.client("secretsmanager", **self._options(endpoint))

    def make_bucket(self, name: str = "") -> str:
        """A new, empty bucket; returns its name."""
        name = name or f"bucket-{uuid.uuid4().hex}"
        self.s3().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def make_queue(self, name: str = "queue", fed_by: str = "", prefix: str = "") -> str:
        """A new queue; returns its URL. It gets the events of new objects under `prefix` in the bucket `fed_by`."""
        sqs = self.sqs()
        url = sqs.create_queue(QueueName=f"{name}-{uuid.uuid4().hex}")["QueueUrl"]
        if fed_by:
            arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            self._notify(fed_by, arn, prefix)
        return url

    def receive(self, queue_url: str) -> list[dict[str, Any]]:
        """The bodies of the messages that wait in a queue; they are removed from it."""
        sqs = self.sqs()
        bodies = []
        while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def _options(self, endpoint: str | None = None) -> dict[str, Any]:
        config = Config(retries={"total_max_attempts": 1}, max_pool_connections=64, s3={"addressing_style": "path"})
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
        return {"endpoint_url": endpoint or self.url, "config": config, **keys}

    def _notify(self, bucket: str, queue_arn: str, prefix: str) -> None:
        """Add a queue to a bucket's notifications; the API only replaces all of them."""
        s3 = self.s3()
        queues = s3.get_bucket_notification_configuration(Bucket=bucket).get("QueueConfigurations", [])
        added: Any = {"QueueArn": queue_arn, "Events": ["s3:ObjectCreated:*"]}
        if prefix:
            added["Filter"] = {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}
        queues.append(added)
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": queues})

    def __enter__(self) -> Self:
        self._server.start()
        server: Any = self._server._server
        server.app = _one_at_a_time(server.app)
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.stop()


def _one_at_a_time(app: Callable[[dict[str, Any], Any], Iterable[bytes]]) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """moto's answers, each whole before the next is begun: between its look at `If-Match` and its write another would come in,
    and two workers would both have won. A call of a function may ask for more meanwhile, and is let through."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].endswith("/invocations"):
            return app(environ, start_response)
        if length := environ.get("CONTENT_LENGTH"):
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))  # nobody waits for a slow sender
        with _ONE_AT_A_TIME:
            return list(app(environ, start_response))

    return answer
