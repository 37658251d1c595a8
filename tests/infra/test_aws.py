"""infra/aws by the real terraform and the real provider's schema, with the provider itself mocked: seconds, no cloud.

The whole round against an emulator is in test_aws_round.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rowferry.warehouse.bigquery_credentials import federated_credentials
from support.needs import NEEDS, make_build, wanted_deployments, wanted_references
from support.pipelines import write_pipelines
from support.terraform import Resources, Terraform, need_plugins, of_type

ACCOUNT, REGION = "123456789012", "eu-west-1"
STATE, EXPORTS = "arn:aws:s3:::acme-state", "arn:aws:s3:::acme-exports"

MOCKS = """
mock_provider "aws" {
  mock_resource "aws_iam_role" { defaults = { arn = "arn:aws:iam::123456789012:role/mock" } }
  mock_resource "aws_s3_bucket" { defaults = { arn = "arn:aws:s3:::mock" } }
  mock_resource "aws_sqs_queue" { defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:mock" } }
  mock_resource "aws_lambda_function" { defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:mock" } }
  mock_resource "aws_cloudwatch_log_group" { defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:mock" } }
  mock_resource "aws_apigatewayv2_api" {
    defaults = { api_endpoint = "https://mock.example", execution_arn = "arn:aws:execute-api:eu-west-1:123456789012:mock" }
  }
  mock_data "aws_caller_identity" { defaults = { account_id = "123456789012" } }
  mock_data "aws_partition" { defaults = { partition = "aws" } }
}
run "everything" {}
"""


def over(folder: Path, **changes: Any) -> Terraform:
    """infra/aws over the test settings."""
    variables = {
        "region": REGION,
        "google_project_number": "12345",
        "pipelines": str(write_pipelines(folder / "pipelines", "s3", **changes)),
        "build": str(make_build(folder / "build")),
        "environment": {"SLACK_URL": "https://slack.example", "UNUSED": "x"},
    }
    return Terraform.over(folder, "aws", plugins=need_plugins("aws"), variables=variables)


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return over(tmp_path_factory.mktemp("aws"))


@pytest.fixture(scope="module")
def state(terraform: Terraform) -> Resources:
    """Everything as it would stand after an apply; each secret has an ARN of its own."""
    secrets = ("braze-key", "ct-passcode", "slack-ops", "shop-url", "ledger-url", "stripe-whsec", "stripe-whsec-old")
    overrides = "".join(
        f'override_resource {{\n  target = aws_secretsmanager_secret.this["{name}"]\n  values = {{ arn = "{secret_arn(name)}" }}\n}}\n'
        for name in secrets
    )
    (terraform.root / "walk.tftest.hcl").write_text(MOCKS + overrides)
    return terraform.test()


def secret_arn(name: str) -> str:
    return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf"


def policies(state: Resources) -> dict[str, list[dict[str, Any]]]:
    """Each function's policy statements, by the deployment's name."""
    return {
        address.split('"')[1]: json.loads(values["policy"])["Statement"]
        for address, values in of_type(state, "aws_iam_role_policy").items()
        if address.startswith("module.function")
    }


def test_validates(terraform: Terraform) -> None:
    """Every argument, block and reference fits the real provider's schema."""
    terraform.validate()


# ── The walk: what Terraform grants is what the settings and the needs page ask for, exactly ──


def test_every_function_is_there_and_no_other(state: Resources) -> None:
    """One Lambda function for each deployment that the settings ask for."""
    assert set(policies(state)) == set(wanted_deployments())


@pytest.mark.parametrize(("deployment", "function", "destination"), [(name, *parts) for name, parts in wanted_deployments().items()])
def test_a_function_may_do_what_it_needs_and_nothing_else(state: Resources, deployment: str, function: str, destination: str) -> None:
    """Objects, listings, secrets and queues of each role, taken from its policy, equal those worked out from needs and settings."""
    need = NEEDS[function]
    add = {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"}
    actions = {"read": {"s3:GetObject"}, "add": add, "change": add | {"s3:DeleteObject"}}
    wanted: set[tuple[str, str]] = set()
    for folder, access in need.get("state", {}).items():
        wanted |= {(action, f"{STATE}/main/{folder}/*") for action in actions[access]}
        wanted.add((f"s3:ListBucket main/{folder}/*", STATE))
    if "exports" in need:
        wanted |= {(action, f"{EXPORTS}/*") for action in actions[need["exports"]]} | {("s3:ListBucket *", EXPORTS)}
    wanted |= {("secretsmanager:GetSecretValue", secret_arn(name)) for name in wanted_references(function, destination, "secret")}
    if need["trigger"] in ("exports", "destination", "receipts"):
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:rowferry-{deployment.replace('_', '-')}"
        own = ("ChangeMessageVisibility",) if need.get("pauses") else ()
        wanted |= {(f"sqs:{action}", queue) for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes", *own)}
    wanted |= {(f"logs:{action}", "arn:aws:logs:eu-west-1:123456789012:log-group:mock:*") for action in ("CreateLogStream", "PutLogEvents")}
    assert granted(policies(state)[deployment]) == wanted


def granted(statements: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """(action, resource) of each statement; a listing's prefixes stand beside the action."""
    found: set[tuple[str, str]] = set()
    for statement in statements:
        prefixes = statement.get("Condition", {}).get("StringLikeIfExists", {}).get("s3:prefix", [""])
        for action in statement["Action"]:
            found |= {(f"{action} {prefix}".strip(), resource) for prefix in prefixes for resource in statement["Resource"]}
    return found


def test_no_permission_has_a_wildcard(state: Resources) -> None:
    """No action with a star in it is allowed to anything; the only one there is denies (plain http to a bucket)."""
    texts = {address: values["policy"] for address, values in state.items() if "policy" in values and "_policy." in address}
    texts |= {address: values["assume_role_policy"] for address, values in of_type(state, "aws_iam_role").items()}
    for address, text in texts.items():
        for statement in json.loads(text)["Statement"]:
            if statement["Effect"] == "Allow":
                assert "*" not in json.dumps(statement["Action"]), address
                assert statement.get("Resource") != "*", address
                assert statement.get("Principal") != "*", address


def test_a_function_has_the_variables_it_needs(state: Resources) -> None:
    """Settings' folder for all, Google's address for what reads the warehouse, `env:` for who resolves it."""
    for address, values in of_type(state, "aws_lambda_function").items():
        deployment = address.split('"')[1]
        function, destination = wanted_deployments()[deployment]
        wanted = {"ROWFERRY_CONFIG"}
        wanted |= {"ROWFERRY_GOOGLE_CREDENTIALS"} if "warehouse" in NEEDS[function] else set()
        wanted |= wanted_references(function, destination, "env")
        variables = values["environment"][0]["variables"]
        assert set(variables) == wanted, deployment
        assert len(json.dumps(variables)) < 4096, "Lambda takes 4 KB of variables"
        assert (federated_credentials(variables) is None) == ("warehouse" not in NEEDS[function])


def test_a_function_that_unpacks_files_has_room_for_them(state: Resources) -> None:
    """Lambda's own 512 MB under /tmp would end the load of a larger file, and each try of it."""
    found = {
        address.split('"')[1]: values["ephemeral_storage"][0]["size"] for address, values in of_type(state, "aws_lambda_function").items()
    }
    assert {name for name, size in found.items() if size == 10240} == {"load_export", "start_sync", "pull_reports", "sweep"}
    assert set(found.values()) == {512, 10240}


def test_secrets_are_made_empty_and_none_is_left_over(state: Resources) -> None:
    """A container for each secret that some function reads; no value anywhere in the state."""
    wanted = {
        name for function, destination in wanted_deployments().values() for name in wanted_references(function, destination, "secret")
    }
    made = {values["name"] for values in of_type(state, "aws_secretsmanager_secret").values()}
    assert made == wanted
    assert not of_type(state, "aws_secretsmanager_secret_version")


# ── Events and timers ─────────────────────────────────────────────────────────────────────────


def test_each_queue_gives_its_function_time_and_the_dead_a_place(state: Resources) -> None:
    """Visibility is six times the function's own time, 14 days are kept, what fails often goes to a queue of its own that is watched."""
    timeouts = {values["function_name"]: values["timeout"] for values in of_type(state, "aws_lambda_function").values()}
    queues = {values["name"]: values for values in of_type(state, "aws_sqs_queue").values()}
    alarms = {values["dimensions"].get("QueueName") for values in of_type(state, "aws_cloudwatch_metric_alarm").values()}
    for name, function in timeouts.items():
        if name in queues:
            assert queues[name]["visibility_timeout_seconds"] >= 6 * function
            assert json.loads(queues[name]["redrive_policy"])["maxReceiveCount"] >= 5
            assert queues[f"{name}-dead"]["message_retention_seconds"] == 1209600
            assert f"{name}-dead" in alarms
    assert len(of_type(state, "aws_lambda_event_source_mapping")) == sum(name in queues for name in timeouts) == 5


def test_a_mapping_reports_single_failures_and_is_held_to_the_instances(state: Resources) -> None:
    """One bad event doesn't send the others round again; a destination's limit is its instances, one by reservation."""
    mappings = of_type(state, "aws_lambda_event_source_mapping")
    for values in mappings.values():
        assert values["function_response_types"] == ["ReportBatchItemFailures"]
    limit = {address.split('"')[1]: values["scaling_config"][0]["maximum_concurrency"] for address, values in mappings.items()}
    assert (limit["deliver_chunk_braze_main"], limit["deliver_chunk_clevertap"]) == (4, 2)
    reserved = {address.split('"')[1]: v["reserved_concurrent_executions"] for address, v in of_type(state, "aws_lambda_function").items()}
    assert (reserved["deliver_chunk_braze_main"], reserved["deliver_chunk_clevertap"], reserved["sweep"]) == (-1, 1, -1)


def test_every_watched_prefix_reaches_its_queue_in_one_notification_a_bucket(state: Resources) -> None:
    """A second notification resource would overwrite the first at AWS, so each bucket has exactly one."""
    found = of_type(state, "aws_s3_bucket_notification")
    prefixes = {
        (address.split('"')[1], queue["id"].split(":")[0], queue["filter_prefix"]) for address, v in found.items() for queue in v["queue"]
    }
    assert len(found) == 2
    assert prefixes == {
        ("acme-exports", "load_export", "clevertap/"),
        ("acme-exports", "load_export", "crm/customers-"),
        ("acme-exports", "load_export", "ct_charged/"),
        ("acme-exports", "load_export", "currents/"),
        ("acme-state", "deliver_chunk_braze_main", "main/outbox/braze_main/"),
        ("acme-state", "deliver_chunk_clevertap", "main/outbox/clevertap/"),
        ("acme-state", "deliver_chunk_ops", "main/outbox/ops/"),
        ("acme-state", "finish_run", "main/receipts/"),
    }


def test_timers_call_their_functions(state: Resources) -> None:
    """One schedule for each `every` and `cron` and one for the sweep; what they can't call is kept, and told."""
    schedules = {values["name"]: values for values in of_type(state, "aws_scheduler_schedule").values()}
    assert {
        name: (v["schedule_expression"], v["schedule_expression_timezone"], v["target"][0]["input"]) for name, v in schedules.items()
    } == {
        "rowferry-sync-customers-to-braze": ("rate(15 minutes)", "UTC", '{"sync":"customers_to_braze"}'),
        "rowferry-sync-outbox": ("cron(0/10 6-22 ? * MON-FRI *)", "UTC", '{"sync":"outbox"}'),
        "rowferry-pull-ct-charged": ("cron(15 2 * * ? *)", "Asia/Kolkata", '{"pull":"ct_charged"}'),
        "rowferry-alert-orders-dropped": ("rate(60 minutes)", "UTC", '{"alert":"orders_dropped"}'),
        "rowferry-sweep": ("rate(10 minutes)", "UTC", "{}"),
    }
    assert all(values["target"][0]["dead_letter_config"] for values in schedules.values())


def test_the_public_address_has_webhooks_and_a_signed_status_page(state: Resources) -> None:
    """Webhooks come in unsigned (their sender signs the body), the status page takes IAM's signature alone; both have a rate limit."""
    routes = {values["route_key"]: values["authorization_type"] for values in of_type(state, "aws_apigatewayv2_route").values()}
    assert routes == {"ANY /hooks/{name}": "NONE", "GET /": "AWS_IAM", "GET /status.json": "AWS_IAM"}
    (stage,) = of_type(state, "aws_apigatewayv2_stage").values()
    assert stage["default_route_settings"][0]["throttling_rate_limit"] == 200
    assert "query" not in stage["access_log_settings"][0]["format"].lower()


def test_nothing_of_the_runs_that_is_needed_later_expires(state: Resources) -> None:
    """What is only needed while a run is open goes after a while; cursors, runs and notices stay."""
    rules = next(v["rule"] for a, v in of_type(state, "aws_s3_bucket_lifecycle_configuration").items() if "acme-state" in a)
    expiring = {rule["filter"][0]["prefix"]: rule["expiration"][0]["days"] for rule in rules if rule["expiration"]}
    assert expiring == {
        "main/outbox/": 45, "main/receipts/": 45, "main/claims/": 45, "main/journal/": 45, "main/webhooks/": 45, "main/quarantine/": 180,
    }  # fmt: skip


def test_names_too_long_for_aws_are_shortened_and_stay_apart(tmp_path: Path) -> None:
    """Two destinations whose long names begin alike still get two functions, of 64 characters at most."""
    long = "a_destination_with_a_name_that_goes_on_for_quite_a_while_"
    destination = {"vendor": "slack", "webhook_url": "secret:hook"}
    terraform = over(tmp_path, destinations={f"{long}1": destination, f"{long}2": destination}, pulls=None)
    (terraform.root / "walk.tftest.hcl").write_text(MOCKS)
    names = {values["function_name"] for values in of_type(terraform.test(), "aws_lambda_function").values()}
    assert sum("a-destination" in name for name in names) == 2
    assert max(map(len, names)) <= 64
