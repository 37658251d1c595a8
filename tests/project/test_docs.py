"""What the pages tell people to type, open and write is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer import Context
from typer.main import get_command

from rowferry.cli import cli
from rowferry.settings.check import check
from rowferry.settings.file import read_settings
from support.terraform import need_terraform

ROOT = Path(__file__).parents[2]
PAGES = [page.relative_to(ROOT).as_posix() for page in (*ROOT.glob("*.md"), *ROOT.glob("*/*.md"))]
by_page = pytest.mark.parametrize("page", PAGES)
_COMMAND = re.compile(r"`rowferry ((?:[a-z]+)(?: [^`]*)?)`")
_OWN = {"FILE…", "[FILE…]", "SYNC|FEED"}


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


@by_page
def test_links_lead_somewhere(page: str) -> None:
    """Each link to a file of ours, from where the page lies."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(page))
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


@by_page
def test_make_targets_are_there(page: str) -> None:
    """What stands after `make` in code."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    code = [*re.findall(r"`([^`\n]+)`", text(page)), *re.findall(r"^(make .*)$", text(page), re.MULTILINE)]
    named = {word for words in code if words.startswith(("make ", "ONCE=1 make ")) for word in _targets(words)}
    assert named - targets == set()


def _targets(line: str) -> Iterator[str]:
    for word in line.partition("make ")[2].split("  ")[0].split():
        if "=" not in word:
            yield word


@by_page
def test_commands_take_what_they_are_given(page: str) -> None:
    """Every `rowferry …` in code is a command with options that it knows."""
    group = get_command(cli)
    for line in _COMMAND.findall(text(page)):
        name, *arguments = shlex.split(line.replace("[", "").replace("]", ""))
        command = group.get_command(Context(group), name)  # type: ignore[attr-defined]  # a group, for there are several
        assert command is not None, line
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in arguments if word.startswith("--")} <= known, line


def test_the_readmes_commands_are_all_commands() -> None:
    """The table has every command of the program and each of its options, but for those that all have."""
    rows = dict(re.findall(r"^\| `([a-z]+)([^|]*\|.*)$", text("README.md"), re.MULTILINE))
    commands = get_command(cli).commands  # type: ignore[attr-defined]  # as above
    assert set(rows) == set(commands)
    for name, command in commands.items():
        options = [{*parameter.opts, *parameter.secondary_opts} for parameter in command.params if parameter.opts[0].startswith("--")]
        told = {"--config", "--json", "--help", *re.findall(r"--[a-z-]+", rows[name])}
        assert [names for names in options if not names & told] == [], name


def test_the_readmes_settings_are_good(tmp_path: Path) -> None:
    """Its YAML, all of it in one folder, is without a problem."""
    for number, block in enumerate(re.findall(r"^( *)```yaml\n(.*?)\n *```", text("README.md"), re.MULTILINE | re.DOTALL)):
        lines = [line[len(block[0]) :] for line in block[1].splitlines()]
        (tmp_path / f"{number}.yaml").write_text("\n".join(lines), "utf-8")
        assert yaml.safe_load((tmp_path / f"{number}.yaml").read_text("utf-8"))
    assert check(read_settings(tmp_path, {}), {}) == []


def test_the_pages_terraform_can_be_pasted() -> None:
    """Each block of it parses, and stands as terraform itself would write it."""
    blocks = [block for page in PAGES for block in re.findall(r"^ *```hcl\n(.*?)\n *```", text(page), re.MULTILINE | re.DOTALL)]
    pasted = [textwrap.dedent(block) + "\n" for block in blocks]
    done = [subprocess.run([need_terraform(), "fmt", "-"], input=lines, capture_output=True, text=True, check=False) for lines in pasted]
    assert [found.stdout for found in done] == pasted != []


@pytest.mark.parametrize("example", sorted((ROOT / "infra" / "pipelines").glob("**/*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_good(example: Path) -> None:
    """Each by itself, without a problem and without advice."""
    assert check(read_settings(example, {}), {}) == []
