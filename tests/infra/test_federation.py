"""infra/federation: the Google half of a deployment on AWS, applied by the real terraform with the stand-in provider."""

from __future__ import annotations

import pytest

from support.needs import NEEDS, wanted_deployments
from support.pipelines import write_pipelines
from support.stub_provider import stub_plugins
from support.terraform import Resources, Terraform, of_type

SUBJECT = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/rowferry-aws/subject/"


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    folder = tmp_path_factory.mktemp("federation")
    variables = {
        "project": "acme-data",
        "aws_account": "210987654321",
        "pipelines": str(write_pipelines(folder / "pipelines", "s3")),
        "source_datasets": ["finance"],
    }
    plugins = stub_plugins(folder / "plugins")
    terraform = Terraform.over(folder, "federation", plugins=plugins, variables=variables, environment={"TF_DISABLE_PLUGIN_TLS": "1"})
    terraform.apply()
    return terraform


@pytest.fixture(scope="module")
def state(terraform: Terraform) -> Resources:
    return terraform.resources()


def test_an_applied_federation_is_settled(terraform: Terraform) -> None:
    """A second plan finds nothing to do."""
    assert terraform.is_settled()


def test_only_our_roles_of_our_account_come_in(state: Resources) -> None:
    """The condition names the account and each role that works in the warehouse; a subject is short enough for Google."""
    (provider,) = of_type(state, "google_iam_workload_identity_pool_provider").values()
    roles = warehouse_roles()
    condition = provider["attribute_condition"]
    assert condition.startswith("assertion.account == '210987654321' && google.subject in [")
    assert {part.strip(" '") for part in condition.split("[")[1].rstrip("]").split(",")} == set(roles.values())
    assert all(len(role.encode()) <= 127 for role in roles.values())


def test_each_role_may_do_in_bigquery_what_its_function_needs(state: Resources) -> None:
    """Datasets are changed by what changes the warehouse, read by what reads it; the others have no way in."""
    found = {(v["member"], v["dataset_id"], v["role"]) for v in of_type(state, "google_bigquery_dataset_iam_member").values()}
    wanted = set()
    for deployment, role in warehouse_roles().items():
        changes = NEEDS[wanted_deployments()[deployment][0]]["warehouse"] == "change"
        written = "roles/bigquery.dataEditor" if changes else "roles/bigquery.dataViewer"
        wanted |= {(SUBJECT + role, dataset, written) for dataset in ("rowferry", "raw", "crm", "engagement")}
        wanted |= {(SUBJECT + role, dataset, "roles/bigquery.dataViewer") for dataset in ("pos", "finance")}
    assert found == wanted
    jobs = {(v["member"], v["role"]) for v in of_type(state, "google_project_iam_member").values()}
    right = ("roles/bigquery.jobUser", "roles/bigquery.readSessionUser")
    assert jobs == {(SUBJECT + role, name) for role in warehouse_roles().values() for name in right}


def warehouse_roles() -> dict[str, str]:
    """The AWS role of each deployment that works in the warehouse."""
    return {
        name: f"rowferry-{name.replace('_', '-')}" for name, (function, _) in wanted_deployments().items() if "warehouse" in NEEDS[function]
    }
