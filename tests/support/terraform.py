"""The real terraform, offline, over a copy of `infra/` in a folder of its own.

Providers come from plugin folders of this machine, never from the network. What is not there is
not tested, and the test that needed it is skipped with a sentence that says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

INFRA = Path(__file__).resolve().parents[2] / "infra"
_PLUGIN_FOLDERS = (
    "~/.terraform.d/plugins",
    "~/.terraform.d/plugin-cache",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
)


Resources = dict[str, dict[str, Any]]  # by address: a resource's values, as the provider has them


class TerraformFailed(AssertionError):
    """A terraform command ended otherwise than expected; the text is what it printed."""


def plugin_folder(provider: str) -> Path | None:
    """The folder with `registry.terraform.io/hashicorp/<provider>` in it, or None where this machine has none."""
    for folder in _candidates():
        if any(folder.glob(f"registry.terraform.io/hashicorp/{provider}/*/*/terraform-provider-{provider}_*")):
            return folder
    return None


def _candidates() -> Iterator[Path]:
    for name in (os.environ.get("TF_PLUGIN_CACHE_DIR", ""), *_PLUGIN_FOLDERS):
        if name:
            yield Path(name).expanduser()
    yield from sorted(Path("/opt").glob("*/"))


def need_terraform() -> str:
    """The terraform program. Skips the test where there is none."""
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("there is no terraform on the PATH")
    return program


def need_plugins(provider: str) -> Path:
    """`plugin_folder`, or the test is skipped."""
    folder = plugin_folder(provider)
    if folder is None:
        pytest.skip(f"there is no {provider} provider in a plugin folder of this machine")
    return folder


@dataclass(frozen=True)
class Terraform:
    """One root module in its own copy of infra/. Every command runs without colour, questions or network."""

    program: str
    root: Path
    plugins: Path | None
    variables: Mapping[str, Any]
    environment: Mapping[str, str]

    @classmethod
    def over(
        cls,
        folder: Path,
        module: str,
        *,
        plugins: Path | None = None,
        variables: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Terraform:
        """Copy `infra/` into `folder` and initialise its module `module` (`aws`, `modules/settings`)."""
        program = need_terraform()
        shutil.copytree(INFRA, folder / "infra", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars"))
        config = folder / "terraform.rc"
        config.write_text("disable_checkpoint = true\n")
        base = {key: value for key, value in os.environ.items() if not key.startswith(("TF_", "AWS_", "GOOGLE_"))}
        own = {"TF_CLI_CONFIG_FILE": str(config), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        terraform = cls(program, folder / "infra" / module, plugins, variables or {}, {**base, **own, **(environment or {})})
        terraform.run("init", *([f"-plugin-dir={plugins}"] if plugins else []))
        return terraform

    def run(self, command: str, *arguments: str, expect: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
        """One terraform command. Raises `TerraformFailed` unless it ends with an expected code."""
        line = [self.program, f"-chdir={self.root}", *command.split(), "-no-color", *arguments]
        done = subprocess.run(line, env=dict(self.environment), capture_output=True, text=True, check=False)
        if done.returncode not in expect:
            raise TerraformFailed(f"terraform {command} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done

    def validate(self) -> None:
        """`terraform validate`: every argument, type and reference against the providers' schemas."""
        self.run("validate")

    def apply(self) -> None:
        """Make everything."""
        self.run("apply", "-auto-approve", "-input=false", *self._variables())

    def is_settled(self) -> bool:
        """Whether a plan would change nothing."""
        return self.run("plan", "-detailed-exitcode", "-input=false", *self._variables(), expect=(0, 2)).returncode == 0

    def destroy(self) -> None:
        """Take everything down."""
        self.run("destroy", "-auto-approve", "-input=false", *self._variables())

    def refusal(self) -> str:
        """What a plan that must fail says, on one line."""
        failed = self.run("plan", "-input=false", *self._variables(), expect=(1,))
        return " ".join(failed.stderr.replace("│", " ").split())

    def outputs(self) -> dict[str, Any]:
        """The root module's outputs."""
        found: dict[str, Any] = json.loads(self.run("output", "-json").stdout)
        return {name: output["value"] for name, output in found.items()}

    def resources(self) -> Resources:
        """What stands in the state."""
        shown = json.loads(self.run("show", "-json").stdout)
        return dict(_resources(shown.get("values", {}).get("root_module", {})))

    def test(self) -> Resources:
        """`terraform test`. Returns the state that its last run left, as `resources` does."""
        done = self.run("test", "-json", "-verbose", *self._variables(), expect=(0, 1))
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode:
            problems = [event["@message"] + " " + str(event.get("diagnostic", "")) for event in events if event.get("@level") == "error"]
            raise TerraformFailed("\n".join(problems) + done.stderr[-2000:])
        states = [event["test_state"] for event in events if event["type"] == "test_state"]
        return dict(_resources(states[-1]["root_module"] if states else {}))

    def _variables(self) -> list[str]:
        return [f"-var={name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in self.variables.items()]


def of_type(resources: Resources, kind: str) -> Resources:
    """The resources of one type, by address; not the data that was only read."""
    return {address: values for address, values in resources.items() if f"{kind}." in address and ".data." not in f".{address}"}


def _resources(module: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in module.get("resources", ()):
        yield resource["address"], resource["values"]
    for child in module.get("child_modules", ()):
        yield from _resources(child)
