"""Every SQL file we ship is BigQuery's SQL, and runs in DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rowferry.warehouse import statements
from rowferry.warehouse.duckdb import DuckDbWarehouse
from rowferry.warehouse.port import WarehouseError
from support.judged import JudgedWarehouse, NotBigQuery
from warehouse.statements_examples import SCENARIOS

_rendered: set[str] = set()


@pytest.fixture(autouse=True)
def rendered(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The names of the files that have been rendered so far in this module."""
    environment = statements._environment()
    get = environment.get_template

    def get_template(name: str, *rest: Any, **named: Any) -> Any:
        _rendered.add(name)
        return get(name, *rest, **named)

    monkeypatch.setattr(environment, "get_template", get_template)
    yield _rendered


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_bigquery_would_take_every_statement(scenario: Callable[[Path], None], tmp_path: Path) -> None:
    """Google's analyzer accepts each statement of the scenario, with the tables as they are, and DuckDB runs it."""
    scenario(tmp_path)


def test_every_file_is_in_a_scenario(rendered: set[str]) -> None:
    """A file that no scenario renders has never been shown to the analyzer: add one to statements_examples.py."""
    assert {path.name for path in statements.SQL_FOLDER.glob("*.sql")} - rendered == set()


def test_the_judge_refuses_what_only_duckdb_takes(tmp_path: Path) -> None:
    """A word that BigQuery reserves, a function it has not, a clause it wants with another: DuckDB alone would not mind."""
    lax, strict = DuckDbWarehouse(tmp_path / "lax.duckdb"), JudgedWarehouse(tmp_path / "strict.duckdb")
    for sql in ("SELECT 1 AS at", "SELECT LIST_SUM([1]) AS x", "SELECT 1 AS x WHERE FALSE"):
        list(lax.query(sql))
        with pytest.raises(NotBigQuery):
            list(strict.query(sql))


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{{ name }}", "may not stand in a statement unchecked"),
        ("{{ bad | column }}", "can't be a column name"),
        ("{{ bad | table }}", "is no quoted table"),
        ("{{ bad | type }}", "is no column type"),
        ("{{ two | query }}", "expected one SELECT"),
        ("{{ missing | column }}", "'missing' is undefined"),
    ],
)
def test_nothing_goes_in_unchecked(template: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole that does not say what it is, or gets what it can't be, fails before a statement exists."""
    name = f"t{len(template)}{complaint[-4:]}"
    (tmp_path / f"{name}.sql").write_text(template)
    monkeypatch.setattr(statements._environment().loader, "searchpath", [str(tmp_path)])
    with pytest.raises(WarehouseError, match=complaint):
        statements.render(name, name="x", bad="a`; DROP TABLE x", two="SELECT 1; SELECT 2")


def test_a_model_cannot_comment_out_what_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SELECT of the settings that ends in a comment stays in its brackets."""
    (tmp_path / "u.sql").write_text(
        "SELECT a FROM {{ model | query }} AS model WHERE {{ key | column }} = {{ '\\'' | text }} LIMIT {{ 3 | number }}"
    )
    monkeypatch.setattr(statements._environment().loader, "searchpath", [str(tmp_path)])
    sql = statements.render("u", model="SELECT 1 AS a, 2 AS b -- all of it;", key="b")
    assert sql == "SELECT a FROM (\nSELECT 1 AS a, 2 AS b -- all of it;\n) AS model WHERE `b` = '\\'' LIMIT 3"


def test_a_script_is_split_at_its_own_semicolons() -> None:
    """Semicolons in texts, quoted names and comments part nothing; empty statements vanish."""
    script = """SELECT ';', r"a;" -- one; two
    ; /* ; */ ;
    INSERT INTO `a;b` VALUES (\"\"\" ;" \"\"\"); # the end;
    """
    assert statements.split(script) == ["SELECT ';', r\"a;\" -- one; two", 'INSERT INTO `a;b` VALUES (""" ;" """)']
