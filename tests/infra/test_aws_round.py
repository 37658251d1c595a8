"""The whole of AWS on one machine: packages built, everything applied, rows through the deployed zips, everything destroyed.

The real terraform and provider against moto, the real runtime client under each zip, alone with it. Minutes,
most of them the provider's own waiting for queues and lifecycle rules to settle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rowferry.twins.braze import BrazeTwin
from rowferry.twins.slack import SlackTwin
from support.bigquery import PROJECT, BigQueryEmulator, bigquery_emulator
from support.moto_lambda import Invoked, MotoAws
from support.senders import SECRET, call
from support.terraform import INFRA, Terraform, need_plugins

pytestmark = pytest.mark.slow
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SETTINGS = """
rowferry: 1
warehouse: {{engine: bigquery, project: {project}, dataset: rowferry}}
state: s3://acme-state/main
exports: s3://acme-exports
destinations:
  braze: {{vendor: braze, base_url: "{braze}", api_key: "secret:braze-key"}}
  ops: {{vendor: slack, webhook_url: "env:SLACK_HOOK"}}
feeds:
  crm: {{path: "crm/customers-*.csv", table: crm.customers, columns: {{id: STRING, email: STRING}}, write: merge, key: [id]}}
syncs:
  customers:
    model: {{table: crm.customers}}
    key: id
    send: changed
    to: braze
    map: {{external_id: id, email: email}}
    every: 15m
    notify: ops
webhooks:
  shop: {{verify: {{scheme: stripe, secret: "secret:whsec"}}, routes: [{{notify: {{to: ops, text: "{{{{ id }}}} came"}}}}]}}
alerts:
  few: {{sql: "SELECT COUNT(*) AS n FROM crm.customers", fire_when: "n < 100", every: 1h, notify: ops}}
"""


@dataclass
class Round:
    """A deployment and everything around it."""

    aws: MotoAws
    terraform: Terraform
    braze: BrazeTwin
    slack: SlackTwin
    bigquery: BigQueryEmulator

    def until(self, condition: Callable[[], Any], *, may_fail: bool = False) -> Any:
        """Wait for what the deployed functions bring about. A function's error ends the waiting, and so does a message that
        it could not settle, for it would come again in an hour; unless it `may_fail`."""
        for _ in range(12_000):  # ten minutes and more
            if found := condition():
                return found
            failed = [
                (made.function, made.result.error, made.result.log[-2000:])
                for made in self.aws.calls
                if made.result.error is not None or (not may_fail and given_back(made))
            ]
            assert not failed, failed
            time.sleep(0.05)
        pytest.fail("it did not come about")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query on the warehouse gives."""
        return [tuple(row.values()) for row in self.bigquery.client().query(sql).result()]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Round]:
    """Built, applied, secrets put in."""
    folder, plugins, bigquery = tmp_path_factory.mktemp("round"), need_plugins("aws"), bigquery_emulator()
    with ExitStack() as stack:
        braze, slack = stack.enter_context(BrazeTwin(api_key="key")), stack.enter_context(SlackTwin())
        aws = stack.enter_context(MotoAws({"BIGQUERY_EMULATOR_HOST": bigquery.url}))
        pipelines = folder / "pipelines"
        pipelines.mkdir()
        (pipelines / "rowferry.yaml").write_text(SETTINGS.format(project=PROJECT, braze=braze.url))
        package(pipelines, folder / "build")
        variables = {
            "region": "eu-west-1",
            "google_project_number": "12345",
            "pipelines": str(pipelines),
            "build": str(folder / "build" / "aws"),
            "endpoint": aws.endpoint,
            "force_destroy": "true",
            "environment": {"SLACK_HOOK": slack.webhook_url},
        }
        terraform = Terraform.over(folder, "aws", plugins=plugins, variables=variables)
        terraform.apply()
        for name, value in {"braze-key": "key", "whsec": SECRET}.items():
            aws.client("secretsmanager").put_secret_value(SecretId=name, SecretString=value)
        yield Round(aws, terraform, braze, slack, bigquery)


def given_back(made: Invoked) -> bool:
    """Whether the function left a message in its queue."""
    return isinstance(made.result.payload, dict) and bool(made.result.payload.get("batchItemFailures"))


def package(pipelines: Path, out: Path) -> None:
    """What `make package` does, for this interpreter's version."""
    command = [
        sys.executable,
        str(INFRA / "package.py"),
        "--cloud",
        "aws",
        "--out",
        str(out),
        "--config",
        str(pipelines),
        "--python",
        PYTHON,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "1"})
    assert done.returncode == 0, done.stderr


def test_a_second_plan_finds_nothing_to_do(deployed: Round) -> None:
    """What was applied is what the code says, by the real provider's reading of the account."""
    assert deployed.terraform.is_settled()


def test_a_file_becomes_rows_at_the_vendor(deployed: Round) -> None:
    """File → queue → load_export → table; timer → start_sync → chunk → queue → deliver_chunk → Braze; receipts → finish_run."""
    body = "id,email\n" + "".join(f"{n},user{n}@example.com\n" for n in range(200))
    deployed.aws.client("s3").put_object(Bucket="acme-exports", Key="crm/customers-1 a.csv", Body=body.encode())
    deployed.until(lambda: any("loaded, 200 rows" in made.result.log for made in deployed.aws.calls))
    assert deployed.rows("SELECT COUNT(*) FROM crm.customers") == [(200,)]
    assert deployed.aws.fire("rowferry-sync-customers", "rowferry").payload == "open"
    deployed.until(lambda: objects(deployed, "main/runs/", "/closed.json"))
    assert deployed.rows("SELECT read_rows, delivered FROM rowferry.runs") == [(200, 200)]
    assert len(deployed.braze.profiles) == 200


def objects(deployed: Round, prefix: str, ending: str) -> list[str]:
    """Names of objects in the state bucket."""
    found = deployed.aws.client("s3").list_objects_v2(Bucket="acme-state", Prefix=prefix).get("Contents", [])
    return [item["Key"] for item in found if item["Key"].endswith(ending)]


def test_a_second_run_sends_nothing(deployed: Round) -> None:
    """The delivered state is in the warehouse: unchanged rows stay where they are."""
    requests = deployed.braze.requests
    assert deployed.aws.fire("rowferry-sync-customers", "rowferry").payload == "closed"
    assert deployed.braze.requests == requests


def test_a_webhook_reaches_slack_by_way_of_the_outbox(deployed: Round) -> None:
    """HTTP API → relay_webhook → outbox → queue → deliver_chunk → Slack; a forged one is 401 and goes nowhere."""
    made = call("stripe", "shop", {"id": "evt_1"}, datetime.now(UTC))
    assert deployed.aws.call("POST", made.path, made.body, {**made.headers, "stripe-signature": "t=1,v1=00"}).status == 401
    assert deployed.aws.call("POST", made.path, made.body, made.headers).status == 200
    deployed.until(lambda: any("evt_1 came" in json.dumps(message) for message in deployed.slack.messages))
    assert deployed.aws.call("POST", "/hooks/shop/more", b"").status == 404


def test_an_alert_and_the_sweep_run_from_their_zips(deployed: Round) -> None:
    """What the timers call works as deployed."""
    assert deployed.aws.fire("rowferry-alert-few", "rowferry").payload == "ok"
    assert "chunks" in deployed.aws.fire("rowferry-sweep", "rowferry").payload


def test_a_poison_event_ends_among_the_dead_letters(deployed: Round) -> None:
    """An event that fails each time is given up after its tries; it does not go round for ever, and holds nothing else up."""
    sqs, queue = deployed.aws.client("sqs"), deployed.terraform.outputs()["queues"]["load_export"]
    sqs.set_queue_attributes(QueueUrl=queue["queue"], Attributes={"VisibilityTimeout": "0"})
    sqs.send_message(QueueUrl=queue["queue"], MessageBody='{"this": "is no event"}')
    deployed.until(lambda: deployed.aws.left(queue["dead"]), may_fail=True)
    assert sum(given_back(made) for made in deployed.aws.calls) == 8


def test_everything_can_be_taken_down(deployed: Round) -> None:
    """Destroy leaves nothing in the state, nor a bucket or function in the account."""
    deployed.terraform.destroy()
    assert deployed.terraform.resources() == {}
    assert deployed.aws.client("lambda").list_functions()["Functions"] == []
    assert deployed.aws.client("s3").list_buckets()["Buckets"] == []
