"""Rules that hold the house together, kept by tests because nobody remembers rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "shared" / "rowferry"

# Who may be imported by whom: a package on the left imports none of those on the right.
FORBIDDEN = {
    "destinations": (
        "app",
        "parts",
        "machine",
        "edge",
        "cli",
        "console",
        "delivery",
        "syncs",
        "loads",
        "stores",
        "warehouse",
        "http",
        "clock",
    ),
    "mapping": ("app", "parts", "machine", "delivery", "syncs", "loads", "stores", "warehouse", "destinations", "http", "clock"),
    "stores": ("app", "parts", "machine", "delivery", "syncs", "loads", "warehouse", "destinations", "http"),
    "warehouse": ("app", "parts", "machine", "delivery", "syncs", "loads", "destinations", "http"),
    "delivery": ("app", "parts", "machine", "syncs", "loads", "feeds", "warehouse", "webhooks", "pulls", "console"),
    "feeds": ("app", "parts", "machine", "delivery", "syncs", "loads", "stores", "http"),
    "loads": ("app", "parts", "machine", "delivery", "syncs", "destinations", "http"),
    "syncs": ("app", "parts", "machine", "loads", "console", "webhooks", "http"),
    "webhooks": ("app", "parts", "machine", "syncs", "loads", "warehouse", "http", "console"),
    "settings": ("app", "parts", "machine", "delivery", "syncs", "loads", "stores", "warehouse", "http"),
}
SDKS = ("google", "boto3", "botocore")
ADAPTERS = ("stores/gcs.py", "stores/s3.py", "secrets_gcp.py", "secrets_aws.py", "queue_aws.py", "warehouse/bigquery")
IMPURE = ("httpx", "requests", "socket", "subprocess", "threading", "time", "os", "random")


def files(folder: str = "") -> Iterator[Path]:
    return (path for path in sorted((LIBRARY / folder).rglob("*.py")) if "__pycache__" not in path.parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, wherever the import stands, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_go_one_way(package: str) -> None:
    """No package imports what stands above it; the message says where it does."""
    banned = {f"rowferry.{name}" for name in FORBIDDEN[package]}
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}: hand it in from app.py instead"
        for path in files(package)
        for line, name in imports(path)
        if any(name == one or name.startswith(f"{one}.") for one in banned)
    ]
    assert found == []


def test_cloud_sdks_stay_in_their_adapters() -> None:
    """Only an adapter knows its cloud; everything else runs without any."""
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files()
        if not path.relative_to(LIBRARY).as_posix().startswith(ADAPTERS)
        for line, name in imports(path)
        if name.split(".")[0] in SDKS
    ]
    assert found == []


def test_destinations_do_nothing_by_themselves() -> None:
    """A vendor's file has no I/O, no clock, no thread, no dice and no environment."""
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}: destinations build and read values only"
        for path in files("destinations")
        if path.name != "__init__.py"
        for line, name in imports(path)
        if name.split(".")[0] in IMPURE
    ]
    assert found == []


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node


def test_what_is_public_says_what_it_promises() -> None:
    """Every module, public function and public class of the library has a docstring."""
    found = []
    for path in files():
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            found.append(f"{path.relative_to(ROOT)} has no docstring")
        found += [f"{path.relative_to(ROOT)}:{node.lineno} {node.name}" for node in public(tree) if not ast.get_docstring(node)]
    assert found == []


def test_every_test_says_what_it_proves() -> None:
    """Each test has a sentence, so that the list of tests reads as the specification."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert found == []


def test_edges_stay_thin() -> None:
    """An edge parses the event, builds the app, calls one step and answers: 40 lines at most."""
    found = [
        f"{path.relative_to(ROOT)} has {lines} lines"
        for path in (ROOT / "functions").glob("*/*.py")
        if (lines := len(path.read_text().splitlines())) > 40
    ]
    assert found == []
