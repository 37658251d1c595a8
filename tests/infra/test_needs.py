"""infra/needs.yaml against the code: each function does its work with what the page gives it, and uses all of it.

One shop's life on folders and DuckDB, each step taken by an app that may do no more than its function.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.errors import CredentialsError
from rowferry.settings.file import read_settings
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.clevertap import CleverTapTwin
from rowferry.twins.server import Fault
from rowferry.twins.slack import SlackTwin
from rowferry.wire import Response
from support.needs import NEEDS
from support.permitted import Ledger, NotPermitted, PermittedApp
from support.senders import SECRET, call

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
rowferry: 1
warehouse: {{engine: duckdb, path: warehouse.duckdb}}
state: state
exports: exports
destinations:
  braze: {{vendor: braze, base_url: "{braze}", api_key: "secret:braze-key", attempts: 1}}
  ops: {{vendor: slack, webhook_url: "secret:slack-ops"}}
  clevertap: {{vendor: clevertap, base_url: "{clevertap}", region: in1, account_id: ABC-123-4567, passcode: "secret:passcode"}}
pulls:
  charged: {{from: clevertap, report: events, event: Charged, every: 1d, notify: ops}}
  people: {{from: braze, report: users, model: {{table: crm.customers}}, fields: [email], every: 1d}}
feeds:
  crm:
    path: crm/
    table: crm.customers
    columns: {{id: STRING, email: STRING, n: INT64}}
    write: merge
    key: [id]
    notify: ops
    expect: daily by 03:00
syncs:
  followers:
    model: {{sql: "SELECT id FROM crm.customers WHERE n < 0"}}
    key: id
    send: changed
    to: braze
    map: {{external_id: id}}
    after: [crm]
  customers:
    model: {{table: crm.customers}}
    key: id
    send: changed
    to: braze
    map: {{external_id: id, email: email}}
    after: [crm]
    notify: ops
  broken: {{model: {{table: crm.nowhere}}, key: id, send: changed, to: braze, map: {{external_id: id}}, notify: ops}}
webhooks:
  shop: {{verify: {{scheme: stripe, secret: "secret:whsec"}}, routes: [{{notify: {{to: ops, text: "{{{{ id }}}}"}}}}]}}
  plain: {{verify: {{scheme: token, header: X-Token, secret: "secret:whsec"}}, routes: [{{notify: {{to: ops, text: x}}}}]}}
alerts:
  few: {{sql: "SELECT COUNT(*) AS n FROM crm.customers", fire_when: "n < 100", compare: previous, every: 1h, notify: ops}}
"""

OWN_SECRET = {"braze": "secret:braze-key", "ops": "secret:slack-ops"}


class Shop:
    """A folder with the settings, and an app for any function over it."""

    def __init__(self, folder: Path, twins: ExitStack) -> None:
        self.folder, self.clock = folder, ManualClock(datetime.now(UTC))
        self.braze = twins.enter_context(BrazeTwin(api_key="key"))
        self.clevertap = twins.enter_context(CleverTapTwin(account_id="ABC-123-4567", passcode="passcode"))
        self.slack = twins.enter_context(SlackTwin())
        (folder / "rowferry.yaml").write_text(SETTINGS.format(braze=self.braze.url, clevertap=self.clevertap.url))
        (folder / "exports" / "crm").mkdir(parents=True)
        self.settings = read_settings(folder / "rowferry.yaml", environment={})
        self.secrets = {
            "secret:braze-key": "key",
            "secret:slack-ops": self.slack.webhook_url,
            "secret:whsec": SECRET,
            "secret:passcode": "passcode",
        }

    def acting_as(self, function: str) -> PermittedApp:
        """The app as this function has it."""
        return PermittedApp(function, self.settings, self.secrets, self.clock)

    def drop(self, name: str, text: str) -> None:
        """What a vendor does."""
        (self.folder / "exports" / "crm" / name).write_text(text)

    def outbox(self, destination: str) -> list[str]:
        """Keys of a destination's chunks."""
        state = self.folder / "state"
        return sorted(str(path.relative_to(state)) for path in (state / "outbox" / destination).rglob("*.jsonl.gz"))

    def receipts(self) -> list[str]:
        """Keys of all receipts."""
        state = self.folder / "state"
        return sorted(str(path.relative_to(state)) for path in (state / "receipts").rglob("*.json"))


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ledger]:
    """What each function did in one shop's life, in which every function had all of its kinds of work to do."""
    PermittedApp.ledgers.clear()
    with ExitStack() as twins:
        live(Shop(tmp_path_factory.mktemp("shop"), twins))
    return dict(PermittedApp.ledgers)


def live(shop: Shop) -> None:
    """Files in, rows out, a webhook, an alert, a refusal, a crash and the sweep after it."""
    shop.drop("good.csv", "id,email,n\n1,a@example.com,1\n2,b@example.com,x\n")
    shop.drop("bad.csv", "nothing,of,this\n1,2,3\n")
    with shop.acting_as("load_export") as app:
        assert [app.load_export(f"crm/{name}.csv").status for name in ("good", "bad")] == ["loaded", "quarantined"]
        app.start_wanted()
    start(shop)
    deliver(shop, "braze")
    leave_behind(shop)
    finish(shop)
    start(shop)  # nothing has changed: the run is closed where it was started
    with shop.acting_as("start_sync") as app:
        assert app.start_sync("broken").status == "failed"
    with shop.acting_as("relay_webhook") as app:
        for later_seconds in (0, 1, 3600):  # a repeat at once, and the same words an hour later
            shop.clock.sleep(later_seconds)
            assert app.relay.answer(call("stripe", "shop", {"id": "evt_1"}, shop.clock.now())).status == 200
            assert app.relay.answer(call("token", "plain", {"word": 1}, shop.clock.now())).status == 200
    with shop.acting_as("check_alerts") as app:
        assert app.check_alert("few").state == "firing"
    reject(shop)
    refuse(shop)
    sweep(shop)
    pull(shop)
    with shop.acting_as("status_page") as app:
        assert app.status()["runs"]


def pull(shop: Shop) -> None:
    """A refused pull, of which people are told, one that goes well, and one that asks for people of the warehouse."""
    shop.clevertap.faults.append(Fault(Response(401, b"{}")))
    for _ in range(2):
        with shop.acting_as("pull_reports") as app, suppress(CredentialsError):
            list(app.pull("charged"))
    with shop.acting_as("pull_reports") as app:
        list(app.pull("people"))


def sweep(shop: Shop) -> None:
    """All that a sweep can find: a missed file, a run nobody closed, one nobody went on planning, old relays."""
    shop.drop("late.csv", "id,email,n\n9,i@example.com,9\n")
    shop.drop("late-bad.csv", "nothing,of,this\n1,2,3\n")
    start(shop)
    deliver(shop, "braze")
    leave_behind(shop)
    shop.clock.sleep(timedelta(days=9).total_seconds())
    with shop.acting_as("sweep") as app:
        assert app.sweep()["files"] == 2
        app.start_sync("customers")  # the run that it found unplanned was closed by somebody else meanwhile: this is the next


def leave_behind(shop: Shop) -> None:
    """What a deliverer that was killed after its receipts leaves behind for who closes the run, and an export that failed."""
    for path in (shop.folder / "state" / "receipts").rglob("*.json"):
        stem = path.relative_to(shop.folder / "state" / "receipts").with_suffix("")
        for left in (Path("claims", f"{stem}.json"), Path("journal", stem, "00000000"), Path("exported", stem, "r0", "0.json.gz")):
            (shop.folder / "state" / left).parent.mkdir(parents=True, exist_ok=True)
            (shop.folder / "state" / left).write_text("[]")


def start(shop: Shop) -> None:
    with shop.acting_as("start_sync") as app:
        assert app.start_sync("customers").status in ("open", "closed")


def deliver(shop: Shop, destination: str) -> None:
    with shop.acting_as("deliver_chunk") as app:
        for key in shop.outbox(destination):
            app.deliver_announced(key)
        assert app.asked <= {OWN_SECRET[destination]}


def finish(shop: Shop) -> None:
    with shop.acting_as("finish_run") as app:
        for key in shop.receipts():
            app.finish_run(key)


def reject(shop: Shop) -> None:
    """The channel takes none of the notices and webhooks: they are dead letters, kept to be sent again."""
    shop.slack.faults.extend([Fault(Response(400, b"invalid_payload"))] * 50)
    deliver(shop, "ops")
    shop.slack.faults.clear()
    finish(shop)


def refuse(shop: Shop) -> None:
    """The vendor refuses our key: the run fails, which the function that delivers has to tell."""
    with duckdb.connect(str(shop.folder / "warehouse.duckdb")) as connection:
        connection.execute("UPDATE crm.customers SET email = 'new@example.com' WHERE id = '1'")
    start(shop)
    shop.braze.faults.append(Fault(Response(401, orjson.dumps({"message": "Invalid API key"}))))
    deliver(shop, "braze")


@pytest.mark.parametrize("function", sorted(NEEDS))
def test_a_function_uses_all_that_it_is_given(ledgers: dict[str, Ledger], function: str) -> None:
    """Neither a folder nor the warehouse nor the exports is given that no step of the function touches, nor more than it takes."""
    assert ledgers[function].used == ledgers[function].given


def test_a_function_resolves_the_secrets_of_its_own_part_of_the_settings(ledgers: dict[str, Ledger]) -> None:
    """What each function asked for is within what its entry names; who delivers asked for each destination's own."""
    own = {"webhooks": {"secret:whsec"}, "pulls": {"secret:passcode", "secret:braze-key"}, "destination": set(OWN_SECRET.values())}
    for function, ledger in ledgers.items():
        wanted = {name for section in NEEDS[function].get("secrets", ()) for name in own.get(section, set())}
        assert ledger.asked == wanted, function


@pytest.mark.parametrize("function", sorted(NEEDS))
def test_who_may_say_when_an_event_comes_again_does_so(function: str) -> None:
    """The right to hide a message is given to the edges that use it and to no other."""
    assert ("queue_aws.comes_again(" in (ROOT / "functions" / function / "aws.py").read_text()) == NEEDS[function].get("pauses", False)


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_every_variable_is_set_by_terraform_and_read_by_a_function(cloud: str) -> None:
    """No variable is read that Terraform does not set, and none is set that nobody reads."""
    edges = "".join(path.read_text() for path in (ROOT / "functions").glob(f"*/{cloud}.py"))
    library = "".join(path.read_text() for path in (ROOT / "shared").rglob("*.py"))
    given = set(re.findall(r"^\s+\{? ?((?:ROWFERRY|GOOGLE)_\w+)\s+=", (ROOT / "infra" / cloud / "main.tf").read_text(), re.M))
    assert set(re.findall(r'"(ROWFERRY_\w+)"', edges)) <= given
    assert {name for name in given if f'"{name}"' not in edges + library} == set()


def test_what_is_not_given_is_refused(tmp_path: Path) -> None:
    """The guard bites: a function that reaches beyond its entry fails."""
    with ExitStack() as twins:
        app = Shop(tmp_path, twins).acting_as("relay_webhook")
        with pytest.raises(NotPermitted, match=r"relay_webhook needs `read` on state/runs; needs.yaml gives it nothing"):
            app.state.read("runs/x")
