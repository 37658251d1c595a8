"""What Terraform reads out of the settings: functions, timers, watched prefixes, secrets, datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.pipelines import write_pipelines
from support.terraform import INFRA, Terraform

Read = Callable[..., Terraform]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The settings module over the test settings, with sections changed at will."""

    def over(scheme: str = "s3", **changes: Any) -> Terraform:
        pipelines = write_pipelines(tmp_path / "pipelines", scheme, **changes)
        variables = {"pipelines": str(pipelines), "needs": str(INFRA / "needs.yaml"), "scheme": scheme, "name": "rowferry"}
        return Terraform.over(tmp_path, "modules/settings", variables=variables)

    return over


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("settings")
    variables = {
        "pipelines": str(write_pipelines(folder / "pipelines", "s3")),
        "needs": str(INFRA / "needs.yaml"),
        "scheme": "s3",
        "name": "rowferry",
    }
    terraform = Terraform.over(folder, "modules/settings", variables=variables)
    terraform.apply()
    return terraform.outputs()


def test_each_destination_has_its_own_delivery(outputs: dict[str, Any]) -> None:
    """One deployment of deliver_chunk for each destination, with its instance limit and its secrets alone."""
    deliveries = {name: found for name, found in outputs["deployments"].items() if found["function"] == "deliver_chunk"}
    assert {found["destination"]: found["instances"] for found in deliveries.values()} == {"braze_main": 4, "clevertap": 1, "ops": 1}
    assert deliveries["deliver_chunk_braze_main"]["secrets"] == ["braze-key"]
    assert deliveries["deliver_chunk_ops"]["secrets"] == ["slack-ops"]
    assert deliveries["deliver_chunk_ops"]["environment"] == ["SLACK_URL"]


def test_a_function_reads_the_secrets_of_its_own_part_of_the_settings(outputs: dict[str, Any]) -> None:
    """Database URLs go to what reads databases, a queue's to what marks it, webhook secrets to the webhooks."""
    secrets = {name: found["secrets"] for name, found in outputs["deployments"].items()}
    assert secrets["start_sync"] == ["ledger-url", "shop-url"]
    assert secrets["load_export"] == secrets["sweep"] == secrets["start_sync"]
    assert secrets["finish_run"] == ["shop-url"]
    assert secrets["pull_reports"] == ["ct-passcode"]
    assert secrets["relay_webhook"] == ["stripe-whsec", "stripe-whsec-old"]
    assert all(secrets[name] == [] for name in ("check_alerts", "status_page"))


def test_every_need_is_deployed_when_the_settings_use_it(outputs: dict[str, Any]) -> None:
    """Every function of the needs page has a deployment here: the test settings use them all."""
    needs = yaml.safe_load((INFRA / "needs.yaml").read_text())
    assert {found["function"] for found in outputs["deployments"].values()} == set(needs)


def test_what_the_settings_do_not_use_is_not_deployed(read: Read) -> None:
    """Without webhooks, pulls and alerts their functions and secrets are left out; an empty section is none."""
    terraform = read(webhooks=None, pulls={}, alerts=None)
    terraform.apply()
    deployed = {found["function"] for found in terraform.outputs()["deployments"].values()}
    assert deployed == {"load_export", "start_sync", "deliver_chunk", "finish_run", "sweep", "status_page"}
    assert "stripe-whsec" not in terraform.outputs()["secrets"]


def test_watched_prefixes_reach_up_to_the_first_placeholder_and_never_overlap(outputs: dict[str, Any]) -> None:
    """S3 refuses overlapping rules, so `clevertap/*-Charged-*` is left to `clevertap/`; a pull's folder is watched too."""
    assert outputs["watched"] == ["clevertap/", "crm/customers-", "ct_charged/", "currents/"]


def test_the_stores_folder_is_kept_apart_from_its_bucket(outputs: dict[str, Any]) -> None:
    """An address with a folder gives bucket and folder; one without gives no folder."""
    assert outputs["state"] == {"bucket": "acme-state", "folder": "main/"}
    assert outputs["exports"] == {"bucket": "acme-exports", "folder": ""}


def test_datasets_are_those_written_and_those_only_read(outputs: dict[str, Any]) -> None:
    """Our own, those of feeds and pulls are written; that of a model alone is read."""
    assert outputs["warehouse"]["datasets"] == ["crm", "engagement", "raw", "rowferry"]
    assert outputs["warehouse"]["read"] == ["pos"]


def test_each_timer_is_said_in_both_schedulers_words(outputs: dict[str, Any]) -> None:
    """`every` and `cron` become EventBridge's and Cloud Scheduler's, with input and time zone."""
    schedules = outputs["schedules"]
    assert sorted(schedules) == ["alert_orders_dropped", "pull_ct_charged", "sweep", "sync_customers_to_braze", "sync_outbox"]
    assert schedules["sync_customers_to_braze"] == {
        "function": "start_sync",
        "input": '{"sync":"customers_to_braze"}',
        "timezone": "UTC",
        "eventbridge": "rate(15 minutes)",
        "cloud_scheduler": "*/15 * * * *",
    }
    assert schedules["pull_ct_charged"]["timezone"] == "Asia/Kolkata"
    assert schedules["pull_ct_charged"]["eventbridge"] == "cron(15 2 * * ? *)"
    assert schedules["sync_outbox"]["eventbridge"] == "cron(0/10 6-22 ? * MON-FRI *)"
    assert schedules["sync_outbox"]["cloud_scheduler"] == "*/10 6-22 * * 1-5"


@pytest.mark.parametrize(
    ("timer", "eventbridge", "cloud_scheduler"),
    [
        ({"every": "20s"}, "rate(1 minute)", "* * * * *"),
        ({"every": "1h"}, "rate(60 minutes)", "0 * * * *"),
        ({"every": "6h"}, "rate(360 minutes)", "0 */6 * * *"),
        ({"every": "1d"}, "rate(1440 minutes)", "0 0 * * *"),
        ({"cron": "5 */4 1,15 * *"}, "cron(5 0/4 1,15 * ? *)", "5 */4 1,15 * *"),
        ({"cron": "0 9 * 1-6 0,7"}, "cron(0 9 ? 1-6 SUN,SUN *)", "0 9 * 1-6 0,7"),
        ({"cron": "0  9 * * mon"}, "cron(0 9 ? * mon *)", "0  9 * * mon"),
    ],
)
def test_times(read: Read, timer: dict[str, str], eventbridge: str, cloud_scheduler: str) -> None:
    """Each kind of time in both schedulers' words; weekdays by name, since the two count them differently."""
    alert = {"sql": "SELECT 1 AS n", "fire_when": "n < 1", "notify": "ops"}
    terraform = read(alerts={"one": {**alert, **timer}})
    terraform.apply()
    found = terraform.outputs()["schedules"]["alert_one"]
    assert (found["eventbridge"], found["cloud_scheduler"]) == (eventbridge, cloud_scheduler)


@pytest.mark.parametrize(
    ("scheme", "changes", "sentence"),
    [
        ("gs", {"alerts": {"one": {"every": "45m"}}}, "Cloud Scheduler knows cron alone"),
        (
            "s3",
            {"alerts": {"one": {"cron": "0 0 1 * 1"}}},
            "EventBridge can't run a `cron` with both a day of the month and a day of the week",
        ),
        ("s3", {"alerts": {"one": {"cron": "0 0 1 *"}}}, "A `cron` has five fields"),
        ("s3", {"state": "gs://acme-state"}, "`state` must be an address that begins with s3://"),
        ("gs", {"exports": None}, "`exports` must be an address that begins with gs://"),
        ("s3", {"warehouse": {"engine": "duckdb", "path": "x.duckdb"}}, "`warehouse.engine` must be bigquery"),
        ("s3", {"warehouse": {"engine": "bigquery"}}, "`warehouse.project` is missing"),
        ("s3", {"pulls": {"one": {"from": "nobody"}}}, "A pull's `from` names a destination that is not in the settings"),
        ("s3", {"destinations": {"a_b": {}, "a-b": {}}, "pulls": None}, "clouds can't tell such names apart"),
    ],
)
def test_settings_that_can_not_be_deployed_are_refused_with_a_sentence(
    read: Read, scheme: str, changes: dict[str, Any], sentence: str
) -> None:
    """What a cloud can't do is said in the plan, before anything is made."""
    assert sentence in read(scheme, **changes).refusal()
