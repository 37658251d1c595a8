"""The packages: the same bytes from the same source, only what is needed, and each function starts from its zip alone."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from support.lambda_runtime import LocalLambda
from support.needs import NEEDS
from support.pipelines import write_pipelines
from support.script import load_script
from support.terraform import INFRA

ROOT = INFRA.parent
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# The zip and the libraries its requirements.txt names, not the repository: what the build of Cloud Run functions gives.
START = """
import sys
sys.path[:0] = sys.argv[2:]
from functions_framework import create_app
create_app(sys.argv[1], sys.argv[1] + ".py")
import rowferry
print(rowferry.__file__)
"""


package = load_script("package")


@pytest.fixture(scope="module")
def gcp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages for Google Cloud, as `make package` builds them."""
    folder = tmp_path_factory.mktemp("gcp")
    pipelines = write_pipelines(folder / "pipelines", "gs")
    assert package.main(["--cloud", "gcp", "--out", str(folder), "--config", str(pipelines), "--python", PYTHON]) == 0
    return folder / "gcp"


# ── What goes in ──────────────────────────────────────────────────────────────────────────────


def test_every_function_has_an_entry_and_an_edge_for_each_cloud() -> None:
    """functions/ and needs.yaml name the same functions, and each can run on both clouds."""
    folders = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(NEEDS)
    missing = [
        f"{name}/{cloud}.py" for name in NEEDS for cloud in ("aws", "gcp") if not (ROOT / "functions" / name / f"{cloud}.py").is_file()
    ]
    assert missing == []


def test_every_function_is_in_exactly_one_package() -> None:
    """No function is forgotten, none is built twice."""
    functions = [function for found in package.packages("aws", databases=True) for function in found.functions]
    assert sorted(functions) == sorted(NEEDS)


def test_a_package_has_the_libraries_that_its_functions_need() -> None:
    """The light one has nothing of the warehouse; SQL drivers come in only where the settings have databases."""
    light, warehouse = package.packages("aws", databases=False)
    assert (light.name, warehouse.name) == ("light", "warehouse")
    assert "google-cloud-bigquery" in light.left_out
    assert warehouse.extras == ("aws",)
    assert package.packages("aws", databases=True)[1].extras == ("aws", "sql")


def test_requirements_are_those_of_the_lock_file(gcp: Path) -> None:
    """Every library is pinned, at the version that everything else here is tested with; none is for development alone."""
    locked = {line.split(" ;")[0].strip() for line in (ROOT / "requirements.lock").read_text().splitlines()}
    with zipfile.ZipFile(gcp / "warehouse.zip") as archive:
        wanted = archive.read("requirements.txt").decode().split()
    assert set(wanted) <= locked
    assert wanted == sorted(wanted)
    assert not [line for line in wanted if re.match(r"(pytest|mypy|moto|duckdb|boto3|awslambdaric)==", line)]


def test_a_zip_holds_edges_library_and_settings(gcp: Path) -> None:
    """Edges bear their functions' names at the top, settings are below pipelines/, nothing compiled or of an editor comes along."""
    with zipfile.ZipFile(gcp / "light.zip") as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"rowferry", "pipelines", "requirements.txt"} | {
        f"{name}.py" for name, need in NEEDS.items() if need["package"] == "light"
    }
    assert {name for name in names if name.startswith("pipelines/")} == {"pipelines/rowferry.yaml", "pipelines/syncs.yaml"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_settings_that_are_not_there_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong --config is a sentence and exit code 1."""
    assert package.main(["--cloud", "gcp", "--out", str(tmp_path), "--config", str(tmp_path)]) == 1
    assert "no settings files (*.yaml)" in capsys.readouterr().err


def test_the_aws_services_that_are_packed_are_those_that_are_called() -> None:
    """Whoever calls another service finds it missing here, not in the cloud. (sts is what a role signs in with.)"""
    sources = [*(ROOT / "shared").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
    called = {name for path in sources for name in re.findall(r'boto3\.client\(\s*"([a-z0-9-]+)"', path.read_text())}
    assert called | {"sts"} == set(package._AWS_SERVICES)


# ── The same bytes ────────────────────────────────────────────────────────────────────────────


def make_stage(folder: Path, seed: int) -> Path:
    """The same files, made in another order, at another time, with other modes."""
    files = {
        "b/two.py": "2",
        "a.py": "1",
        "b/one.py": "1",
        "c.dist-info/METADATA": "m",
        "c.dist-info/RECORD": f"{seed}",
        "bin/tool": f"{seed}",
    }
    for name in random.Random(seed).sample(sorted(files), len(files)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name])
        path.chmod(0o600 + 0o100 * (seed % 2))
        os.utime(path, (1_600_000_000 + seed, 1_600_000_000 + seed))
    return folder


def test_a_zip_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    """Order, times, modes and what installers note about themselves do not show."""
    one, two = (package.write_zip(make_stage(tmp_path / str(seed), seed), tmp_path / f"{seed}.zip", "x") for seed in (1, 2))
    assert one == two
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_another_content_is_another_zip(tmp_path: Path) -> None:
    """The hash that Terraform deploys by changes with any file."""
    stage = make_stage(tmp_path / "stage", 1)
    before = package.write_zip(stage, tmp_path / "x.zip", "x").sha256
    (stage / "a.py").write_text("another")
    assert package.write_zip(stage, tmp_path / "x.zip", "x").sha256 != before


def test_a_package_beyond_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Better now than at the deploy: the sentence names both limits."""
    monkeypatch.setattr(package, "LARGEST_UNZIPPED_BYTES", 3)
    with pytest.raises(package.CannotBuild, match="250 MB is Lambda's"):
        package.write_zip(make_stage(tmp_path / "stage", 1), tmp_path / "x.zip", "x")


# ── Each function from its zip alone ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("function", sorted(NEEDS))
def test_a_function_starts_on_google_cloud_from_its_zip(gcp: Path, tmp_path: Path, function: str) -> None:
    """Loaded by the real functions-framework in an isolated interpreter; the library is the zip's, not this repository's."""
    with zipfile.ZipFile(gcp / f"{NEEDS[function]['package']}.zip") as archive:
        archive.extractall(tmp_path)
    command = [sys.executable, "-I", "-S", "-c", START, function, str(tmp_path), sysconfig.get_path("purelib")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages for AWS, for this interpreter's version, and what is in them."""
    folder = tmp_path_factory.mktemp("aws")
    pipelines = write_pipelines(folder / "pipelines", "s3")
    assert package.main(["--cloud", "aws", "--out", str(folder), "--config", str(pipelines), "--python", PYTHON]) == 0
    for path in (folder / "aws").glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder / path.stem)
    return folder


@pytest.mark.slow
def test_two_builds_for_aws_are_the_same_bytes(aws: Path, tmp_path: Path) -> None:
    """Libraries, library, edges, settings, compiled files: put together anew in another place, the same SHA-256."""
    light = next(found for found in package.packages("aws", databases=True) if found.name == "light")
    package.fill(tmp_path / "stage", light, "aws", aws / "pipelines", PYTHON)
    again = package.write_zip(tmp_path / "stage", tmp_path / "light.zip", "light")
    assert again.sha256 == json.loads((aws / "aws" / "build.json").read_text())["packages"]["light"]


@pytest.mark.slow
def test_what_runs_on_lambda_is_compiled(aws: Path) -> None:
    """Each source has its compiled file, made for the place it will lie in: a cold start compiles nothing."""
    compiled = aws / "warehouse" / "rowferry" / "__pycache__" / f"app.cpython-{PYTHON.replace('.', '')}.pyc"
    assert b"/var/task/rowferry/app.py" in compiled.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("function", sorted(NEEDS))
def test_a_function_starts_on_lambda_from_its_zip(aws: Path, function: str) -> None:
    """The real runtime client imports it with nothing but the zip and the standard library beside it."""
    environment = {"ROWFERRY_CONFIG": "pipelines"}
    with LocalLambda(f"{function}.handler", aws / NEEDS[function]["package"], environment=environment, isolated=True) as started:
        result = started.invoke({"Records": []})
    kind = (result.error or {}).get("errorType", "")
    assert kind not in ("Runtime.ImportModuleError", "Runtime.UserCodeSyntaxError", "Runtime.HandlerNotFound", "Runtime.ExitError"), result
