"""Build the zips that the clouds run: `python infra/package.py --cloud aws --out build`.

One zip for each package of needs.yaml, in `build/<cloud>/`, with `build.json` beside them, which
Terraform reads. In a zip: the functions' edges under their own names (`load_export.py`), the library,
the settings, and the libraries of just the extras it needs, at the versions of requirements.lock:
installed for Lambda, listed in `requirements.txt` for Cloud Run functions, whose build installs them.

Unchanged source gives the same bytes: names are sorted, times and modes are fixed, and nothing that an
installer notes about itself is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"  # what the functions run on; both clouds have it, and AWS keeps it until 2029
# Lambda's python3.12 and later run on Amazon Linux 2023, glibc 2.34 (docs.aws.amazon.com/lambda/latest/dg/lambda-python.html, 2026-11).
PLATFORM = "x86_64-manylinux_2_28"
# docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (2026-11): 250 MB unzipped. We stay far below.
LARGEST_UNZIPPED_BYTES = 200_000_000
_WAREHOUSE = ("backports-zstd", "cramjam", "fastavro", "google-cloud-bigquery", "google-cloud-bigquery-storage")
_LEFT_OUT = ("bin", "INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json", ".lock")
# botocore describes every service of AWS in 30 MB; the functions call these.
_AWS_SERVICES = ("s3", "secretsmanager", "sqs", "sts")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold


class CannotBuild(Exception):
    """The package can't be built; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """One zip: whose functions, with which extras of pyproject.toml, without which of their libraries."""

    name: str
    functions: tuple[str, ...]
    extras: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """A finished zip."""

    package: str
    bytes: int
    unzipped_bytes: int
    sha256: str


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Prints a line for each zip; 1 when one can't be built."""
    parser = argparse.ArgumentParser(description="Build the zips that the clouds run.")
    parser.add_argument("--cloud", choices=("gcp", "aws"), required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="where the folder of the cloud is made")
    parser.add_argument("--config", type=Path, default=ROOT / "infra" / "pipelines", help="the folder of settings files to pack")
    parser.add_argument("--python", default=PYTHON, help="the version the functions will run on")
    given = parser.parse_args(arguments)
    try:
        built = build(given.cloud, given.out / given.cloud, given.config, given.python)
    except CannotBuild as error:
        sys.stderr.write(f"package: {error}\n")
        return 1
    for one in built:
        name = given.out / given.cloud / f"{one.package}.zip"
        sys.stdout.write(f"{name}  {one.bytes / 1e6:.1f} MB, unzipped {one.unzipped_bytes / 1e6:.1f} MB\n")
    return 0


def build(cloud: str, target: Path, config: Path, python: str = PYTHON) -> list[Built]:
    """Build every package of a cloud into `target`. Raises `CannotBuild`."""
    if not any(config.glob("*.yaml")):
        raise CannotBuild(f"there are no settings files (*.yaml) in {config}")
    target.mkdir(parents=True, exist_ok=True)
    built = []
    for package in packages(cloud, has_databases(config)):
        with tempfile.TemporaryDirectory(prefix="rowferry-package-") as folder:
            stage = Path(folder) / "stage"
            fill(stage, package, cloud, config, python)
            built.append(write_zip(stage, target / f"{package.name}.zip", package.name))
    (target / "build.json").write_text(
        json.dumps({"python": python, "packages": {one.package: one.sha256 for one in built}}, indent=2) + "\n"
    )
    return built


def packages(cloud: str, databases: bool) -> list[Package]:
    """What needs.yaml puts together. SQL drivers are packed only where the settings have `databases`."""
    needs = yaml.safe_load((ROOT / "infra" / "needs.yaml").read_text())
    names = sorted({need["package"] for need in needs.values()})
    found = []
    for name in names:
        functions = tuple(sorted(function for function, need in needs.items() if need["package"] == name))
        reads_databases = any({"databases", "queues"} & set(needs[function].get("secrets", ())) for function in functions)
        has_warehouse = any("warehouse" in needs[function] for function in functions)
        extras = (cloud, "sql") if databases and reads_databases else (cloud,)
        found.append(Package(name, functions, extras, () if has_warehouse else _WAREHOUSE))
    return found


def has_databases(config: Path) -> bool:
    """Whether some settings file has an entry under `databases`."""
    return any((yaml.safe_load(path.read_text()) or {}).get("databases") for path in config.glob("*.yaml"))


def fill(stage: Path, package: Package, cloud: str, config: Path, python: str) -> None:
    """Put together what goes into the zip."""
    stage.mkdir()
    lines = locked(package, python)
    (stage / "requirements.txt").write_text("\n".join(lines) + "\n")
    if cloud == "aws":
        install(stage, python)
        (stage / "requirements.txt").unlink()
    shutil.copytree(ROOT / "shared" / "rowferry", stage / "rowferry", ignore=shutil.ignore_patterns("__pycache__"))
    for function in package.functions:
        edge = ROOT / "functions" / function / f"{cloud}.py"
        if not edge.is_file():
            raise CannotBuild(f"needs.yaml names {function}, and there is no {edge.relative_to(ROOT)}")
        shutil.copyfile(edge, stage / f"{function}.py")
    (stage / "pipelines").mkdir()
    for path in config.glob("*.yaml"):
        shutil.copyfile(path, stage / "pipelines" / path.name)
    if cloud == "aws":
        compile_all(stage, python)


def locked(package: Package, python: str) -> list[str]:
    """All libraries of a package, each at the version of requirements.lock, sorted."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in package.extras:
        wanted += [line for line in project["optional-dependencies"][extra] if not line.startswith(package.left_out or ("\0",))]
    found = uv(
        "pip", "compile", "-", "-c", str(ROOT / "requirements.lock"), *_for(python), "--no-header", "--no-annotate", given="\n".join(wanted)
    )
    return sorted(line for line in found.splitlines() if "==" in line)


def install(stage: Path, python: str) -> None:
    """Install the stage's requirements.txt into it, as wheels for Lambda's system."""
    place = ("--target", str(stage), "-r", str(stage / "requirements.txt"))
    uv("pip", "install", *place, *_for(python), "--no-deps", "--only-binary", ":all:", "--link-mode", "copy")
    for service in (stage / "botocore" / "data").glob("*/"):
        if service.name not in _AWS_SERVICES:
            shutil.rmtree(service)


def compile_all(stage: Path, python: str) -> None:
    """Put compiled files beside the sources: Lambda can't keep what it compiles, so each cold start would do
    it anew, three times as long as the start itself. Needs that Python here; without it says so and goes on.

    No times, no paths of this machine and no random order get into the files.
    """
    try:
        interpreter = uv("python", "find", python).strip()
    except CannotBuild:
        sys.stderr.write(f"package: there is no Python {python} here to compile with; cold starts will take longer\n")
        return
    options = ("-q", "-j", "1", "--invalidation-mode", "unchecked-hash", "-s", str(stage), "-p", "/var/task")
    # A file that can't be compiled (some libraries ship templates) is left as it is.
    subprocess.run([interpreter, "-m", "compileall", *options, str(stage)], env={"PYTHONHASHSEED": "0"}, capture_output=True, check=False)


def _for(python: str) -> tuple[str, ...]:
    return ("--python-version", python, "--python-platform", PLATFORM)


def uv(*arguments: str, given: str = "") -> str:
    """Run uv, pinned by the lock file like everything else. Raises `CannotBuild` with what it said."""
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuild(f"uv {' '.join(arguments[:2])} failed: {done.stderr.strip()[-1500:]}")
    return done.stdout


def write_zip(stage: Path, target: Path, name: str) -> Built:
    """The stage as a zip whose bytes depend on its files' names and contents alone. Raises `CannotBuild` when it is too large."""
    unzipped_bytes = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, inner in files(stage):
            entry = zipfile.ZipInfo(inner, _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            data = path.read_bytes()
            unzipped_bytes += len(data)
            archive.writestr(entry, data)
    if unzipped_bytes > LARGEST_UNZIPPED_BYTES:
        raise CannotBuild(
            f"{target} unzips to {unzipped_bytes / 1e6:.0f} MB; {LARGEST_UNZIPPED_BYTES / 1e6:.0f} MB is our bound, 250 MB is Lambda's"
        )
    data = target.read_bytes()
    return Built(name, len(data), unzipped_bytes, hashlib.sha256(data).hexdigest())


def files(stage: Path) -> Iterator[tuple[Path, str]]:
    """Every file that belongs into the zip and its name there, in the names' order."""
    for path in sorted(stage.rglob("*"), key=lambda path: path.relative_to(stage).as_posix()):
        inner = path.relative_to(stage)
        if path.is_file() and not set(_LEFT_OUT) & {inner.parts[0], inner.name, *inner.parts[1:]}:
            yield path, inner.as_posix()


if __name__ == "__main__":
    sys.exit(main())
