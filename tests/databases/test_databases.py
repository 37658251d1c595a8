"""Reading models and queues from a real PostgreSQL, and the statements that other databases would get."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, DateTime, Integer, MetaData, Table
from sqlalchemy.dialects import mssql, mysql, postgresql, sqlite

from rowferry.app import App
from rowferry.databases.copying import copy_rows
from rowferry.databases.database import Database
from rowferry.databases.queue import counted_mark_statement, mark_statement, take, take_statement
from rowferry.databases.reader import read_rows
from rowferry.delivery.runs import RunResult
from rowferry.errors import SourceError, TryLater, UsageError
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.settings.sync import Model
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Call, Fault
from rowferry.warehouse.duckdb import DuckDbWarehouse
from support.postgres import execute, fetch, postgres
from support.shop import ENVIRONMENT, Shop, balances


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres() as found:
        yield found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    found = Database("shop", url, page_rows=10)
    yield found
    found.close()


@pytest.fixture
def twin() -> Iterator[BrazeTwin]:
    with BrazeTwin() as running:
        yield running


def run(shop: Shop, url: str) -> RunResult:
    with App(read_settings(shop.config), environment={**ENVIRONMENT, "SHOP_URL": url}) as app:
        found = Machine(app).sync("customers")
    assert balances(found.to_dict())
    return found


@pytest.mark.parametrize("key", [["id"], ["region", "id"], ["region"], []])
def test_every_row_is_read_once_whatever_the_key(url: str, database: Database, key: list[str]) -> None:
    """Pages by one column, by several, by one that many rows share, and a stream: each gives every row once."""
    execute(url, "DROP TABLE IF EXISTS pages", "CREATE TABLE pages (region TEXT, id INT)")
    execute(
        url,
        "INSERT INTO pages SELECT 'r' || mod(i, 3), i FROM generate_series(1, 95) i",
        "INSERT INTO pages VALUES (NULL, NULL), (NULL, 7)",
    )
    found = sorted((row["id"] or 0, row["region"] or "") for row in read_rows(database, Model(table="pages", database="shop"), key))
    assert len(found) == 97
    assert len({pair for pair in found if pair[1]}) == 95


def test_a_statement_and_a_procedure_are_models_too(url: str, database: Database) -> None:
    """A SELECT is read by pages like a table; a function is called with its parameters."""
    execute(url, "CREATE OR REPLACE FUNCTION numbers(most INT) RETURNS TABLE (n INT) AS 'SELECT generate_series(1, most)' LANGUAGE sql")
    sql = Model(sql="SELECT i AS id, 'at 12:30, 5% :off' AS note, i::text FROM generate_series(1, 25) i;", database="shop")
    assert len(list(read_rows(database, sql, ["id"]))) == 25
    called = Model(procedure="numbers", parameters={"most": 12}, database="shop")
    assert len(list(read_rows(database, called, []))) == 12


def test_values_keep_their_type_and_every_digit(url: str, database: Database, tmp_path: Path) -> None:
    """Money, long numbers, times, NULLs and JSON arrive in the warehouse as they were."""
    execute(
        url,
        "DROP TABLE IF EXISTS kinds",
        "CREATE TABLE kinds (id BIGINT, money NUMERIC(18, 2), at TIMESTAMPTZ, local TIMESTAMP, day DATE, yes BOOL, doc JSONB, code TEXT, none TEXT)",  # noqa: E501 (one table)
        "INSERT INTO kinds VALUES (9223372036854775807, 0.10, '2026-03-01 12:00+02', '2026-03-01 12:00', '2026-03-01', true, '{\"a\": [1]}', '007', NULL)",  # noqa: E501 (one row)
    )
    warehouse = DuckDbWarehouse(tmp_path / "w.duckdb")
    copy_rows(read_rows(database, Model(table="kinds", database="shop"), ["id"]), [], warehouse, "rowferry.kinds", job="j")
    (row,) = warehouse.query("SELECT * FROM `rowferry.kinds`")
    assert row["id"] == 9223372036854775807
    assert row["money"] == Decimal("0.10")
    assert row["at"] == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert row["local"] == datetime(2026, 3, 1, 12)  # noqa: DTZ001 (it has no zone)
    assert (row["yes"], row["doc"], row["code"], row["none"]) == (True, {"a": [1]}, "007", None)
    warehouse.release()


def queue_shop(folder: Path, twin: BrazeTwin, url: str, **sync: Any) -> Shop:
    execute(
        url,
        "DROP TABLE IF EXISTS outbox",
        "CREATE TABLE outbox (id INT PRIMARY KEY, customer TEXT, tier TEXT, sent_at TIMESTAMPTZ)",
        "INSERT INTO outbox SELECT i, 'u' || i, 'gold', NULL FROM generate_series(1, 200) i",
    )
    shop = Shop(folder, twin)
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL", "page_rows": 30}}
    shop.settings["syncs"]["customers"] = {
        "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at",
        "to": "braze", "action": "profile", "map": {"external_id": "customer", "tier": "tier"}, **sync,
    }  # fmt: skip
    shop.save()
    return shop


def test_a_queue_is_taken_sent_and_marked(tmp_path: Path, twin: BrazeTwin, url: str) -> None:
    """Every waiting row leaves once and is marked once it has its outcome; a second run finds nothing."""
    shop = queue_shop(tmp_path, twin, url)
    assert run(shop, url).delivered == 200
    assert fetch(url, "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL") == [(0,)]
    assert run(shop, url).read == 0
    assert len(shop.sent()) == 200


@pytest.mark.parametrize("unique", [True, False])
def test_a_row_that_comes_with_a_taken_key_is_not_taken_for_sent(tmp_path: Path, twin: BrazeTwin, url: str, unique: bool) -> None:
    """A key that the table does not keep unique: what came while the vendor was asked is not marked, and leaves next."""
    shop = queue_shop(tmp_path, twin, url)
    if not unique:
        execute(url, "ALTER TABLE outbox DROP CONSTRAINT outbox_pkey", "INSERT INTO outbox VALUES (8, 'u8b', 'gold', NULL)")

    def insert(_call: Call) -> bool:
        execute(url, f"INSERT INTO outbox VALUES ({201 if unique else 7}, 'late', 'gold', NULL)")
        return True

    twin.faults.append(Fault(when=insert))
    first = 200 if unique else 201
    assert run(shop, url).delivered == first
    waiting = {customer for (customer,) in fetch(url, "SELECT customer FROM outbox WHERE sent_at IS NULL")}
    assert waiting == ({"late"} if unique else {"late", "u7"})
    assert run(shop, url).delivered == len(waiting)
    assert {item["external_id"] for item in shop.sent()} >= {"late", "u7", "u8"}
    assert fetch(url, "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL") == [(0,)]


@pytest.mark.parametrize("dialect", [postgresql.dialect(), mssql.dialect(), mysql.dialect(), sqlite.dialect()])
def test_every_database_is_asked_to_count_before_it_marks(dialect: Any) -> None:
    """The count stands in a table of its own within the statement, since MySQL takes it nowhere else."""
    text = " ".join(str(counted_mark_statement(TABLE, ["id", "part"], "sent_at").compile(dialect=dialect)).split())
    assert "FROM (SELECT count(*) AS rows_waiting FROM shop.outbox AS waiting WHERE waiting.id = " in text.replace("`", "")
    assert text.count("sent_at IS NULL") == 2


def test_no_row_is_marked_ahead_of_the_vendors_answer(tmp_path: Path, twin: BrazeTwin, url: str) -> None:
    """While the vendor is asked, every row of the run is still unmarked."""
    shop = queue_shop(tmp_path, twin, url)
    waiting: list[object] = []

    def look(_call: Call) -> bool:
        waiting.extend(fetch(url, "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL"))
        return False

    twin.faults.append(Fault(when=look))
    run(shop, url)
    assert set(waiting) == {(200,)}


def test_two_workers_never_take_one_row(tmp_path: Path, twin: BrazeTwin, url: str) -> None:
    """Two workers at once on one queue: the second waits for the first, and no row leaves twice."""
    shop = queue_shop(tmp_path, twin, url)
    twin.latency_seconds = 0.05
    threads = [threading.Thread(target=run, args=(shop, url)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(item["external_id"] for item in shop.sent()) == sorted(f"u{i}" for i in range(1, 201))


def test_rows_that_a_producer_holds_locked_wait_for_the_next_run(url: str, database: Database, tmp_path: Path, twin: BrazeTwin) -> None:
    """A row in somebody's open transaction is passed over, not waited for."""
    queue_shop(tmp_path, twin, url)
    other = Database("other", url)
    with other.connection() as connection:
        connection.exec_driver_sql("SELECT * FROM outbox WHERE id = 5 FOR UPDATE")
        taken = {row["id"] for row in take(database, "outbox", ["id"], "sent_at")}
    other.close()
    assert taken == set(range(1, 201)) - {5}


def test_new_rows_are_read_from_the_cursor_on(tmp_path: Path, twin: BrazeTwin, url: str) -> None:
    """`send: new` asks the database only for rows that can be new, and sends each once."""
    execute(
        url,
        "DROP TABLE IF EXISTS sales",
        "CREATE TABLE sales (receipt INT, customer TEXT, total NUMERIC(10, 2), sold_at TIMESTAMPTZ, added_at TIMESTAMPTZ)",
        "INSERT INTO sales SELECT i, 'u1', 9.90, '2026-01-01', '2026-01-02'::timestamptz + i * interval '1 minute' FROM generate_series(1, 60) i",  # noqa: E501 (one table)
    )
    shop = Shop(tmp_path, twin)
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL"}}
    shop.settings["syncs"]["customers"] = {
        "model": {"database": "shop", "table": "sales"}, "key": "receipt", "send": "new", "cursor": "added_at", "lag": "10m",
        "to": "braze", "map": {"external_id": "customer", "name": {"value": "Sale"}, "time": "sold_at"}, "rest": "properties",
    }  # fmt: skip
    shop.save()
    assert run(shop, url).delivered == 60
    execute(
        url,
        "INSERT INTO sales VALUES (100, 'u1', 1, '2026-01-01', '2026-01-02 00:55+00'), (101, 'u1', 1, '2026-01-01', '2026-01-02 02:00+00')",
    )
    again = run(shop, url)
    assert (again.read, again.delivered) == (2, 2)
    assert len(twin.events) == 62


def odd_shop(folder: Path, twin: BrazeTwin, url: str, **sync: Any) -> Shop:
    """Customers in a table with columns that a warehouse can't have, or Python can't hold."""
    execute(
        url,
        "DROP TABLE IF EXISTS customers",
        'CREATE TABLE customers ("ID" TEXT, tier TEXT, "Price ($)" INT, paid_until TIMESTAMPTZ)',
        "INSERT INTO customers VALUES ('u1', 'gold', 1, 'infinity'), ('u2', 'iron', 2, '2026-01-01')",
    )
    shop = Shop(folder, twin)
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL"}}
    shop.settings["syncs"]["customers"] = {
        "model": {"database": "shop", "table": "customers"}, "key": "id", "send": "changed", "to": "braze",
        "map": {"external_id": "id", "tier": "tier"}, **sync,
    }  # fmt: skip
    shop.save()
    return shop


def test_columns_that_a_sync_does_not_read_are_no_obstacle(tmp_path: Path, twin: BrazeTwin, url: str) -> None:
    """Only what key, map and cursor name is asked of the database: neither a name nor a value elsewhere stops the run."""
    shop = odd_shop(tmp_path, twin, url)
    assert run(shop, url).delivered == 2
    assert run(shop, url).unchanged == 2
    shop.settings["syncs"]["customers"]["map"]["tier"] = "teir"
    shop.save()
    assert "no column 'teir'" in (failed := run(shop, url)).reason
    assert failed.status == "failed"


def test_columns_that_a_queue_does_not_read_are_no_obstacle(tmp_path: Path, twin: BrazeTwin, url: str) -> None:
    """The same of an outbox table, whose rows are taken in another way, also of what is replayed."""
    shop = odd_shop(tmp_path, twin, url, key="ID", send="queue", mark="sent_at", action="profile")
    execute(url, "ALTER TABLE customers ADD COLUMN sent_at TIMESTAMPTZ")
    assert run(shop, url).delivered == 2
    with App(read_settings(shop.config), environment={**ENVIRONMENT, "SHOP_URL": url}) as app:
        assert Machine(app).replay("customers").status == "closed"


def test_of_columns_that_differ_in_case_alone_the_one_that_is_named_is_read(tmp_path: Path, twin: BrazeTwin, url: str) -> None:
    """PostgreSQL tells `tier` from `"TIER"`; the other one is somebody else's."""
    shop = odd_shop(tmp_path, twin, url)
    execute(url, 'ALTER TABLE customers ADD COLUMN "TIER" TEXT', "UPDATE customers SET \"TIER\" = 'of another system'")
    assert run(shop, url).delivered == 2
    assert {profile["tier"] for profile in twin.profiles.values()} == {"gold", "iron"}


@pytest.mark.parametrize(
    ("sync", "said"),
    [
        ({"rest": "attributes"}, "the warehouse takes no column 'Price ($)' of the model in databases.shop: rename it there"),
        ({"map": {"external_id": "id", "until": "paid_until"}}, "timestamp too large (after year 10K): a value; cast it"),
    ],
)
def test_columns_that_can_not_be_read_say_what_to_do(tmp_path: Path, twin: BrazeTwin, url: str, sync: dict[str, Any], said: str) -> None:
    """A name that no warehouse has and a value that Python can't hold fail the run with a sentence, without the value."""
    found = run(odd_shop(tmp_path, twin, url, **sync), url)
    assert found.status == "failed"
    assert said in found.reason
    assert "infinity" not in found.reason


TABLE = Table("outbox", MetaData(schema="shop"), Column("id", Integer), Column("part", Integer), Column("sent_at", DateTime))


def test_sql_server_is_asked_with_its_hints() -> None:
    """SQL Server has no FOR UPDATE SKIP LOCKED: UPDLOCK and READPAST say it."""
    text = " ".join(str(take_statement(TABLE, ["id"], "sent_at", 50).compile(dialect=mssql.dialect())).split())
    assert "FROM shop.outbox WITH (UPDLOCK, READPAST) WHERE shop.outbox.sent_at IS NULL ORDER BY shop.outbox.id" in text
    assert text.startswith("SELECT TOP")
    assert "FOR UPDATE" not in text
    marked = " ".join(str(mark_statement(TABLE, ["id", "part"], "sent_at").compile(dialect=mssql.dialect())).split())
    assert "AND shop.outbox.part = " in marked
    assert marked.endswith("AND shop.outbox.sent_at IS NULL")


def test_postgres_is_asked_to_skip_locked_rows() -> None:
    """PostgreSQL's words for the same, and no hint of another database."""
    text = " ".join(str(take_statement(TABLE, ["id"], "sent_at", 50).compile(dialect=postgresql.dialect())).split())
    assert text.endswith("FOR UPDATE SKIP LOCKED")
    assert "UPDLOCK" not in text


@pytest.mark.parametrize("address", ["no url", "postgresql+nodriver://x/y"])
def test_an_address_that_is_none_is_a_usage_error(address: str) -> None:
    """A wrong URL is said in a sentence that does not hold it: it may have a password in it."""
    with pytest.raises(UsageError) as caught:
        Database("shop", address)
    assert address not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "dialect", "driver"),
    [
        ("postgresql://h/shop", "postgresql", "psycopg"),
        ("postgres://h/shop", "postgresql", "psycopg"),
        ("postgresql+psycopg://h/shop", "postgresql", "psycopg"),
        ("mysql://h/shop", "mysql", "pymysql"),
        ("mssql://h/shop", "mssql", "pymssql"),
    ],
)
def test_an_address_without_a_driver_takes_the_one_that_we_bring(address: str, dialect: str, driver: str) -> None:
    """As people and hosting companies write it."""
    found = Database("shop", address)
    assert (found.dialect.name, found.dialect.driver) == (dialect, driver)


def test_a_driver_that_is_not_installed_is_named() -> None:
    """With those that our extra brings."""
    with pytest.raises(UsageError, match="the driver oracledb, which is not installed"):
        Database("shop", "oracle+oracledb://h/shop")


def test_what_is_wrong_with_a_database_is_told_apart(url: str, database: Database) -> None:
    """Out of reach is tried again later; a table that is not there is the settings' fault; no password shows."""
    unreachable = Database("gone", "postgresql+psycopg://user:hunter2@127.0.0.1:1/shop", timeout_seconds=1)
    with pytest.raises(TryLater) as later, unreachable.connection():
        pass
    assert "hunter2" not in str(later.value)
    with pytest.raises(SourceError):
        list(read_rows(database, Model(table="nothing_here", database="shop"), ["id"]))
    with pytest.raises(SourceError):
        list(read_rows(database, Model(sql="SELECT no_column FROM pg_class", database="shop"), []))
