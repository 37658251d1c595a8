"""infra/gcp by the real terraform: validated, planned, applied, found settled and destroyed, offline.

The google provider is a stand-in with the real one's schema (support/stub_provider.py). Where a real one
is installed, the HCL is validated against that too.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.needs import NEEDS, make_build, wanted_deployments, wanted_references
from support.pipelines import write_pipelines
from support.stub_provider import stub_plugins
from support.terraform import Resources, Terraform, need_plugins, of_type

READ = {"rowferry", "raw", "crm", "engagement", "pos", "finance"}
WRITTEN = {"rowferry", "raw", "crm", "engagement"}


def over(folder: Path, plugins: Path, *, extra: dict[str, Any] | None = None, **changes: Any) -> Terraform:
    """infra/gcp over the test settings."""
    variables = {
        "project": "acme-functions",
        "region": "europe-west1",
        "pipelines": str(write_pipelines(folder / "pipelines", "gs", **changes)),
        "build": str(make_build(folder / "build")),
        "environment": {"SLACK_URL": "https://slack.example", "UNUSED": "x"},
        "status_page_readers": ["group:data@acme.example"],
        "source_datasets": ["finance"],
        **(extra or {}),
    }
    return Terraform.over(folder, "gcp", plugins=plugins, variables=variables, environment={"TF_DISABLE_PLUGIN_TLS": "1"})


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    folder = tmp_path_factory.mktemp("gcp")
    terraform = over(folder, stub_plugins(folder / "plugins"))
    terraform.apply()
    return terraform


@pytest.fixture(scope="module")
def state(terraform: Terraform) -> Resources:
    return terraform.resources()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> tuple[Terraform, Resources]:
    """Another deployment: with many feeds, with things that exist already, with a transfer."""
    folder = tmp_path_factory.mktemp("other")
    feeds = {f"feed{n}": {"path": f"folder{n}/", "table": f"raw.t{n}"} for n in range(12)}
    extra = {
        "existing_buckets": ["acme-exports"],
        "existing_datasets": ["raw"],
        "existing_secrets": ["braze-key"],
        "transfers": {"plain": {"path": "plain/*.csv", "table": "raw.plain"}},
    }
    webhook = {"verify": {"scheme": "stripe", "secret": ["secret:whsec/versions/3", "secret:projects/vault/secrets/whsec"]}, "routes": []}
    terraform = over(folder, stub_plugins(folder / "plugins"), extra=extra, feeds=feeds, pulls=None, webhooks={"shop": webhook})
    terraform.apply()
    return terraform, terraform.resources()


def deployment(address: str) -> str:
    """The key of the module that a resource stands in."""
    return address.split('"')[1]


def account(state: Resources, name: str) -> str:
    """A deployment's service account, as IAM writes it."""
    return str(state[f'module.function["{name}"].google_service_account.this']["member"])


# ── The round ─────────────────────────────────────────────────────────────────────────────────


def test_an_applied_deployment_is_settled(terraform: Terraform) -> None:
    """A second plan finds nothing to do: nothing in the code changes from plan to plan."""
    assert terraform.is_settled()


def test_a_deployment_can_be_taken_down_and_leaves_nothing(other: tuple[Terraform, Resources]) -> None:
    """After destroy the state is empty."""
    terraform, _ = other
    terraform.destroy()
    assert terraform.resources() == {}


def test_the_stand_in_finds_what_does_not_fit_the_schema(tmp_path: Path) -> None:
    """A misspelt argument is refused, so that the tests above mean something."""
    terraform = over(tmp_path, stub_plugins(tmp_path / "plugins"))
    file = terraform.root / "main.tf"
    file.write_text(file.read_text().replace("uniform_bucket_level_access", "uniform_bucket_level_acces", 1))
    assert 'An argument named "uniform_bucket_level_acces" is not expected here' in terraform.refusal()


def test_validates_against_a_real_provider(tmp_path: Path) -> None:
    """Where this machine has Google's own provider, every argument fits that one's schema."""
    over(tmp_path, need_plugins("google")).validate()


# ── The walk: what Terraform grants is what the settings and the needs page ask for, exactly ──


def test_every_function_is_there_and_no_other(state: Resources) -> None:
    """One function and one service account for each deployment that the settings ask for."""
    assert {deployment(a) for a in of_type(state, "google_cloudfunctions2_function")} == set(wanted_deployments())
    accounts = {v["account_id"] for a, v in of_type(state, "google_service_account").items() if a.startswith("module.function")}
    assert len(accounts) == len(wanted_deployments())


@pytest.mark.parametrize(("name", "function", "destination"), [(name, *parts) for name, parts in wanted_deployments().items()])
def test_an_account_may_do_what_its_function_needs_and_nothing_else(state: Resources, name: str, function: str, destination: str) -> None:
    """All that any binding grants to the account equals what is worked out from needs and settings."""
    need = NEEDS[function]
    objects = {"read": "roles/storage.objectViewer", "add": "roles/storage.objectUser", "change": "roles/storage.objectUser"}
    wanted = {(objects[access], f"acme-state/main/{folder}/") for folder, access in need.get("state", {}).items()}
    wanted |= {(objects[need["exports"]], "acme-exports/")} if "exports" in need else set()
    wanted |= {("roles/secretmanager.secretAccessor", secret) for secret in wanted_references(function, destination, "secret")}
    if access := need.get("warehouse"):
        wanted |= {("roles/bigquery.jobUser", "acme-data"), ("roles/bigquery.readSessionUser", "acme-data")}
        for dataset in READ:
            writes = access == "change" and dataset in WRITTEN
            wanted.add(("roles/bigquery.dataEditor" if writes else "roles/bigquery.dataViewer", dataset))
    assert granted(state, account(state, name)) == wanted


def granted(state: Resources, member: str) -> set[tuple[str, str]]:
    """(role, where) of every binding of one member; a bucket's folders one by one, from its condition."""
    found: set[tuple[str, str]] = set()
    for address, values in state.items():
        if values.get("member") == member and "_iam_member" in address:
            found |= {(values["role"], place) for place in places(values)}
    return found


def places(values: dict[str, Any]) -> set[str]:
    """What a binding holds for. A condition must say the same of objects and of listings."""
    if "bucket" not in values:
        return {values.get("secret_id") or values.get("dataset_id") or values.get("subscription") or values["project"]}
    if not values["condition"]:
        return {f"{values['bucket']}/"}
    expression = values["condition"][0]["expression"]
    objects = set(re.findall(rf'resource\.name\.startsWith\("projects/_/buckets/{values["bucket"]}/objects/([^"]+)"\)', expression))
    listed = set(re.findall(r'api\.getAttribute\("storage\.googleapis\.com/objectListPrefix", ""\)\.startsWith\("([^"]+)"\)', expression))
    assert objects == listed
    assert expression.count("||") == 2 * len(objects) - 1 <= 12, "IAM takes twelve logical operators in a condition"
    return {f"{values['bucket']}/{folder}" for folder in objects}


def test_the_public_may_call_the_webhooks_alone(state: Resources) -> None:
    """The webhook function checks signatures; all others take calls from our own caller or from named readers."""
    callers = {
        (deployment(address), values["member"]) for address, values in of_type(state, "google_cloud_run_v2_service_iam_member").items()
    }
    caller = "serviceAccount:rowferry-caller@acme-functions.iam.gserviceaccount.com"
    wanted = {(name, caller) for name, (function, _) in wanted_deployments().items() if NEEDS[function]["trigger"] != "https"}
    assert callers == wanted | {("relay_webhook", "allUsers"), ("status_page", "group:data@acme.example")}


def test_a_function_has_the_variables_it_needs(state: Resources) -> None:
    """Settings' folder, life and project for all, `env:` for who resolves it, and its own file to build."""
    for address, values in of_type(state, "google_cloudfunctions2_function").items():
        function, destination = wanted_deployments()[deployment(address)]
        wanted = {"ROWFERRY_CONFIG", "ROWFERRY_TIMEOUT_SECONDS", "GOOGLE_CLOUD_PROJECT"} | wanted_references(function, destination, "env")
        wanted |= {"THREADS"} if "at_once" in NEEDS[function] else set()
        assert set(values["service_config"][0]["environment_variables"]) == wanted
        assert values["build_config"][0]["entry_point"] == function
        assert values["build_config"][0]["environment_variables"] == {"GOOGLE_FUNCTION_SOURCE": f"{function}.py"}


def test_secrets_are_made_empty_and_none_is_left_over(state: Resources) -> None:
    """A container for each secret that some function reads; no value anywhere in the state."""
    wanted = {
        name for function, destination in wanted_deployments().values() for name in wanted_references(function, destination, "secret")
    }
    assert {values["secret_id"] for values in of_type(state, "google_secret_manager_secret").values()} == wanted
    assert not of_type(state, "google_secret_manager_secret_version")


# ── Events and timers ─────────────────────────────────────────────────────────────────────────


def test_each_queue_takes_its_own_prefix_and_tries_again(state: Resources) -> None:
    """Own subscription for each destination; retried with growing pauses, kept a week, never expired, given up into a topic that keeps."""
    queues = {v["name"]: v for a, v in of_type(state, "google_pubsub_subscription").items() if a.endswith(".this")}
    assert {name: values["filter"] for name, values in queues.items()} == {
        "rowferry-load-export": None,
        "rowferry-finish-run": None,
        "rowferry-deliver-chunk-braze-main": 'hasPrefix(attributes.objectId, "main/outbox/braze_main/")',
        "rowferry-deliver-chunk-clevertap": 'hasPrefix(attributes.objectId, "main/outbox/clevertap/")',
        "rowferry-deliver-chunk-ops": 'hasPrefix(attributes.objectId, "main/outbox/ops/")',
    }
    functions = {v["name"]: v["service_config"][0] for v in of_type(state, "google_cloudfunctions2_function").values()}
    for name, values in queues.items():
        assert functions[name]["timeout_seconds"] < values["ack_deadline_seconds"] == 600
        assert 5 <= values["dead_letter_policy"][0]["max_delivery_attempts"] <= 100
        assert values["expiration_policy"][0]["ttl"] == ""
        assert values["push_config"][0]["oidc_token"][0]["audience"] == values["push_config"][0]["push_endpoint"]
        assert values["filter"] is None or len(values["filter"]) <= 256


def test_every_dead_letter_topic_keeps_and_may_be_written_to(state: Resources) -> None:
    """A subscription of 31 days on each, and Pub/Sub's own account may publish to it and take from the source."""
    agent = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    dead = [v for a, v in of_type(state, "google_pubsub_subscription").items() if a.endswith(".dead")]
    assert len(dead) == 5
    assert {values["message_retention_duration"] for values in dead} == {"2678400s"}
    publishers = [v for a, v in of_type(state, "google_pubsub_topic_iam_member").items() if a.endswith(".dead")]
    takers = of_type(state, "google_pubsub_subscription_iam_member").values()
    assert [(v["role"], v["member"]) for v in publishers] == [("roles/pubsub.publisher", agent)] * 5
    assert [(v["role"], v["member"]) for v in takers] == [("roles/pubsub.subscriber", agent)] * 5


def test_buckets_tell_of_what_is_watched(state: Resources) -> None:
    """One notification for each start of an export file's name, one for the outbox, one for receipts; claims make no events."""
    found = {(v["bucket"], v["object_name_prefix"]) for v in of_type(state, "google_storage_notification").values()}
    assert found == {
        ("acme-exports", "clevertap/"),
        ("acme-exports", "crm/customers-"),
        ("acme-exports", "ct_charged/"),
        ("acme-exports", "currents/"),
        ("acme-state", "main/outbox/"),
        ("acme-state", "main/receipts/"),
    }


def test_many_feeds_share_one_notification(other: tuple[Terraform, Resources]) -> None:
    """A bucket takes ten notifications of a kind: with more feeds than that it tells of all its objects."""
    notifications = of_type(other[1], "google_storage_notification").values()
    assert [v["object_name_prefix"] for v in notifications if v["bucket"] == "acme-exports"] == [None]


def test_timers_call_their_functions_as_the_caller(state: Resources) -> None:
    """Schedule, zone, input and identity of each timer; the deadline is the function's own and within Scheduler's 30 minutes."""
    jobs = {values["name"]: values for values in of_type(state, "google_cloud_scheduler_job").values()}
    assert {name: (v["schedule"], v["time_zone"], body(v)) for name, v in jobs.items()} == {
        "rowferry-sync-customers-to-braze": ("*/15 * * * *", "UTC", {"sync": "customers_to_braze"}),
        "rowferry-sync-outbox": ("*/10 6-22 * * 1-5", "UTC", {"sync": "outbox"}),
        "rowferry-pull-ct-charged": ("15 2 * * *", "Asia/Kolkata", {"pull": "ct_charged"}),
        "rowferry-alert-orders-dropped": ("0 * * * *", "UTC", {"alert": "orders_dropped"}),
        "rowferry-sweep": ("*/10 * * * *", "UTC", {}),
    }
    for values in jobs.values():
        target = values["http_target"][0]
        assert target["oidc_token"][0]["audience"] == target["uri"]
        assert int(values["attempt_deadline"].rstrip("s")) <= 1800


def body(job: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(job["http_target"][0]["body"]))


def test_every_way_to_fail_rings_an_alarm(state: Resources) -> None:
    """Events that were given up, errors of functions, and timers, which leave no trace in the log of what they can't call."""
    policies = of_type(state, "google_monitoring_alert_policy").values()
    conditions = [values["conditions"][0] for values in policies]
    filters = [(found["condition_threshold"] or found["condition_matched_log"])[0]["filter"] for found in conditions]
    assert [re.search(r'resource.type ?= ?"(\w+)"', text)[1] for text in sorted(filters)] == [  # type: ignore[index]  # all have one
        "cloud_run_revision", "pubsub_subscription", "cloud_scheduler_job",
    ]  # fmt: skip
    assert all("rowferry-" in text for text in filters)


def test_instances_and_calls_at_once_follow_the_settings(state: Resources) -> None:
    """A destination's instances are its limit, one call at a time in each; the webhooks take many at once."""
    config = {deployment(a): v["service_config"][0] for a, v in of_type(state, "google_cloudfunctions2_function").items()}
    limits = {name: (c["max_instance_count"], c["max_instance_request_concurrency"]) for name, c in config.items()}
    assert limits["deliver_chunk_braze_main"] == (4, 1)
    assert limits["deliver_chunk_ops"] == (1, 1)
    assert limits["relay_webhook"] == (20, 40)
    threads = {name: c["environment_variables"].get("THREADS") for name, c in config.items()}
    assert (threads["relay_webhook"], threads["deliver_chunk_ops"]) == ("40", None)  # the framework's own are 4


def test_nothing_of_the_runs_that_is_needed_later_expires(state: Resources) -> None:
    """What is only needed while a run is open goes after a while; cursors, runs and notices stay."""
    bucket = next(v for v in of_type(state, "google_storage_bucket").values() if v["name"] == "acme-state")
    expiring = {
        rule["condition"][0]["matches_prefix"][0]: rule["condition"][0]["age"]
        for rule in bucket["lifecycle_rule"]
        if rule["action"][0]["type"] == "Delete"
    }
    assert expiring == {
        "main/outbox/": 45, "main/exported/": 45, "main/receipts/": 45, "main/claims/": 45, "main/journal/": 45,
        "main/webhooks/": 45, "main/quarantine/": 180,
    }  # fmt: skip


def test_what_exists_already_is_used_and_not_made(other: tuple[Terraform, Resources]) -> None:
    """Buckets, datasets and secrets named as existing are granted and watched, and no resource of ours."""
    _, state = other
    assert "acme-exports" not in {v["name"] for v in of_type(state, "google_storage_bucket").values()}
    assert "raw" not in {v["dataset_id"] for v in of_type(state, "google_bigquery_dataset").values()}
    assert "braze-key" not in {v["secret_id"] for v in of_type(state, "google_secret_manager_secret").values()}
    assert ("roles/secretmanager.secretAccessor", "braze-key") in granted(state, account(state, "deliver_chunk_braze_main"))
    assert ("roles/storage.objectViewer", "acme-exports/") in granted(state, account(state, "load_export"))


def test_a_pinned_secret_and_another_projects_are_granted_as_what_they_are(other: tuple[Terraform, Resources]) -> None:
    """`NAME/versions/3` makes and grants NAME; a secret of another project is granted there and not made."""
    _, state = other
    secrets = {secret for role, secret in granted(state, account(state, "relay_webhook")) if "secretAccessor" in role}
    assert secrets == {"whsec", "projects/vault/secrets/whsec"}
    assert {"whsec"} == {v["secret_id"] for v in of_type(state, "google_secret_manager_secret").values() if "whsec" in v["secret_id"]}


def test_a_transfer_instead_of_code(other: tuple[Terraform, Resources]) -> None:
    """Who wants no code for a feed gets BigQuery's own transfer: wildcard path, append, nothing dropped."""
    (transfer,) = of_type(other[1], "google_bigquery_data_transfer_config").values()
    assert transfer["data_source_id"] == "google_cloud_storage"
    assert transfer["params"] == {
        "data_path_template": "gs://acme-exports/plain/*.csv",
        "destination_table_name_template": "plain",
        "file_format": "CSV",
        "skip_leading_rows": "1",
        "write_disposition": "APPEND",
        "max_bad_records": "0",
    }


def test_accounts_have_names_that_google_takes(state: Resources) -> None:
    """6 to 30 characters, each its own, also where the destination's name is long."""
    names = [values["account_id"] for values in of_type(state, "google_service_account").values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", name) for name in names)


def test_a_secret_that_google_can_not_name_is_refused(tmp_path: Path) -> None:
    """`secret:a/b` is fine at AWS; Secret Manager has no slash in its names, and the plan says so."""
    destinations = {"ops": {"vendor": "slack", "webhook_url": "secret:slack/ops"}}
    terraform = over(tmp_path, stub_plugins(tmp_path / "plugins"), destinations=destinations, pulls=None)
    assert "rename the secret slack/ops in the settings" in terraform.refusal()


def test_outputs_say_what_to_click(terraform: Terraform) -> None:
    """Webhook addresses, the commands that put secrets in, and where each vendor's exports are set up."""
    outputs = terraform.outputs()
    assert outputs["webhook_urls"]["stripe"].endswith("/hooks/stripe")
    assert "gcloud secrets versions add braze-key --project acme-functions --data-file=-" in outputs["secret_commands"]
    assert "Currents" in outputs["exports_setup"]["currents"]
    assert "bucket acme-exports, prefix currents/" in outputs["exports_setup"]["currents"]
