"""Reading a model by pages where the database has ideas of its own about what is the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowferry.databases.database import Database
from rowferry.databases.reader import read_rows
from rowferry.settings.sync import Model


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE people (id TEXT COLLATE NOCASE, part INT)")
        people = [(spelled, part) for name in "abcdefg" for spelled in (name, name.upper(), name) for part in range(3)]
        connection.executemany("INSERT INTO people VALUES (?, ?)", people)
    found = Database("shop", f"sqlite:///{tmp_path}/shop.db", page_rows=10)
    yield found
    found.close()


@pytest.mark.parametrize("page_rows", [1, 2, 4, 7, 9, 10, 62, 63, 64])
@pytest.mark.parametrize("key", [["id"], ["part", "id"]])
def test_keys_that_the_database_takes_for_one_are_read_once_each(database: Database, page_rows: int, key: list[str]) -> None:
    """SQL Server and MySQL compare without case unless told otherwise: no spelling is skipped at a page's end, none read twice."""
    database.page_rows = page_rows
    found = sorted((row["id"], row["part"]) for row in read_rows(database, Model(table="people", database="shop"), key))
    assert found == sorted((spelled, part) for name in "abcdefg" for spelled in (name, name.upper(), name) for part in range(3))


def test_a_comment_may_stand_last_in_a_statement(database: Database) -> None:
    """What we write behind it is no part of the comment."""
    model = Model(sql="SELECT * FROM people -- all of them", database="shop")
    assert len(list(read_rows(database, model, ["id"]))) == 63


@pytest.mark.parametrize("model", [Model(table="people", database="shop"), Model(sql="SELECT * FROM people", database="shop")])
def test_a_key_may_be_spelled_otherwise_than_its_column(database: Database, model: Model) -> None:
    """The settings' names have no case, also where it takes several pages and a cursor."""
    found = list(read_rows(database, model, ["ID", "Part"], cursor="PART", above=1, upto=1))
    assert len(found) == 21
    assert len(list(read_rows(database, model, ["ID"]))) == 63
