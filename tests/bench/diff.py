"""What `send: changed` costs the embedded warehouse: five million keys, one in a hundred changed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from bench.measure import Result, alternating, timed
from bench.shop import Shop, to_braze
from rowferry.app import App
from rowferry.settings.file import read_settings
from rowferry.syncs import start, tables
from rowferry.syncs.counts import Counts
from rowferry.syncs.outline import Outline
from rowferry.warehouse.port import Param
from rowferry.warehouse.statements import render, split

KEYS = 5_000_000
_OLD = f"""
CREATE SCHEMA crm; CREATE TABLE crm.old AS SELECT
  format('user-{{:08d}}', n) AS external_id, format('user.{{}}@shop.example', n) AS email, 'Ann' AS first_name,
  substr('CHDEFRINUS', 1 + 2 * (n % 5)::INTEGER, 2) AS country, 'silver' AS loyalty_tier, (n % 10000)::DECIMAL(38, 9) AS lifetime_value
FROM range({KEYS}) t(n)
"""
_NEW = """
CREATE OR REPLACE TABLE crm.users AS
SELECT * REPLACE (if(hash(external_id) % 100 = 0, 'gold', loyalty_tier) AS loyalty_tier) FROM crm.old
"""
# What anybody would write who has kept the old rows themselves.
_JOIN = """
CREATE OR REPLACE TABLE crm.changed AS SELECT new.* FROM crm.users AS new LEFT JOIN crm.old AS old USING (external_id)
WHERE old.external_id IS NULL OR new.email IS DISTINCT FROM old.email OR new.first_name IS DISTINCT FROM old.first_name
  OR new.country IS DISTINCT FROM old.country OR new.loyalty_tier IS DISTINCT FROM old.loyalty_tier
  OR new.lifetime_value IS DISTINCT FROM old.lifetime_value
"""


def results() -> Iterator[Result]:
    """The run's table against a join with the old rows, column by column."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Shop(folder, to_braze("http://127.0.0.1:9", 20))
        with App(read_settings(folder)) as app:
            _execute(folder, _OLD, "CREATE TABLE crm.users AS FROM crm.old")
            _remember(app)
            _execute(folder, _NEW)
            found = alternating({"ours": lambda: timed(lambda: _diff(app)), "join": lambda: timed(lambda: _execute(folder, _JOIN))})
    work = f"what changed of {KEYS:,} keys, 1 % did"
    yield Result(work, KEYS / found["ours"], "a join with the old rows, had they been kept", KEYS / found["join"], "keys/s")


def _execute(folder: Path, *statements: str) -> None:
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)


def _remember(app: App) -> None:
    """As if all rows had been delivered: the delivered state holds their prints."""
    outline, _ = _run(app)
    rejected = "rowferry.none_rejected"
    app.warehouse.load_rows(rejected, {"row_id": "STRING", "code": "STRING", "reason": "STRING"}, [], job="none")
    names = {"run_table": app.warehouse.quote(outline.run_table), "rejected": app.warehouse.quote(rejected)}
    state = app.warehouse.quote(str(outline.state_table))
    script = render("commit_delivered", state=state, state_columns=list(outline.state_columns), renews=False, member=None, **names)
    app.warehouse.apply(split(script), {"run": Param("STRING", "first"), "vendor": Param("STRING", outline.vendor)}, once="remember")
    app.warehouse.drop(outline.run_table)
    app.release()


def _diff(app: App) -> None:
    outline, counts = _run(app)
    assert 0.009 < counts.updates / KEYS < 0.011, counts
    assert counts.updates + counts.unchanged == KEYS, counts
    app.warehouse.drop(outline.run_table)
    app.release()


def _run(app: App) -> tuple[Outline, Counts]:
    """The outline and the run table of a run that starts now."""
    at = datetime.now(UTC)
    tables.make_common(app.warehouse)
    outline = app.resolver("users").outline(f"{at:%H%M%S%f}", at)
    return outline, start.make_run_table(app.warehouse, outline, expires_at=at + timedelta(days=1))
