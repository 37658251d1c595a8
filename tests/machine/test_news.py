"""What is news about a run is told once, whatever is killed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import duckdb
import pytest

from rowferry.app import App
from rowferry.clock import ManualClock
from rowferry.delivery.claim import LIFE_SECONDS
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.stores.port import Store
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.slack import SlackTwin
from support.killing import Killed, MortalStore

SETTINGS = """
rowferry: 1
warehouse: {{engine: duckdb, path: warehouse.duckdb}}
state: ./state
destinations:
  braze: {{vendor: braze, base_url: "{braze}", api_key: "env:KEY", in_flight: 1}}
  ops: {{vendor: slack, webhook_url: "env:SLACK", per_second: 1000}}
syncs:
  customers: {{model: {{table: crm.customers}}, key: id, send: changed, to: braze, map: {{external_id: id, email: email}}, notify: ops}}
"""


def app_in(folder: Path, braze: BrazeTwin, slack: SlackTwin, clock: ManualClock) -> App:
    """The app, as after a restart."""
    environment = {"KEY": "braze-key", "SLACK": slack.webhook_url}
    if not folder.exists():
        folder.mkdir()
        (folder / "rowferry.yaml").write_text(SETTINGS.format(braze=braze.url))
        with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
            connection.execute("CREATE SCHEMA crm; CREATE TABLE crm.customers (id VARCHAR, email VARCHAR)")
            connection.execute("INSERT INTO crm.customers VALUES ('1', 'a@example.com'), (NULL, 'b@example.com')")
    return App(read_settings(folder / "rowferry.yaml", environment), environment=environment, clock=clock)


class TellerDies(MortalStore):
    """A store whose writer is killed when it is about to write down that there is news on a topic."""

    def __init__(self, store: Store, topic: str) -> None:
        super().__init__(store)
        self._topic = f"notices/topics/{topic}-"

    def create(self, key: str, data: bytes | IO[bytes]) -> str:
        if key.startswith(self._topic):
            raise Killed
        return super().create(key, data)


@pytest.mark.parametrize("topic", ["sync-customers-first", "sync-customers-rejected"])
def test_a_run_whose_teller_was_killed_is_told(tmp_path: Path, topic: str) -> None:
    """A first run with a rejected row is closed, and whoever closed it killed before it could tell: the next run tells both, once."""
    clock = ManualClock(datetime.now(UTC))  # tables of runs expire by the clock of the machine
    with BrazeTwin(api_key="braze-key") as braze, SlackTwin(per_second=1000) as slack:
        with app_in(tmp_path / "home", braze, slack, clock) as app:
            app.state = TellerDies(app.state, topic)
            with pytest.raises(Killed):
                Machine(app).sync("customers")
        clock.sleep(LIFE_SECONDS + 1)
        with app_in(tmp_path / "home", braze, slack, clock) as app:
            for _ in range(2):
                assert Machine(app).sync("customers").status == "closed"
        told = "\n".join(str(message["text"]) for message in slack.messages)
    assert (told.count("first time"), told.count("was rejected")) == (1, 1)
