"""`make run`: the main job twice over a made-up shop, with stand-ins for Braze and Slack; then it goes on serving.

    python -m rowferry.demo FOLDER

The folder is made anew. With ONCE=1, or where stdin is no terminal, it ends after the balance.
"""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from rowferry.app import App
from rowferry.console.terminal import balance
from rowferry.delivery.runs import RunResult
from rowferry.demo.files import clevertap_week, customers_file
from rowferry.demo.people import changed, customers
from rowferry.errors import RowferryError, UsageError
from rowferry.machine import Machine
from rowferry.owner import Owner
from rowferry.settings.file import read_settings
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.slack import SlackTwin

CUSTOMERS = 5000
SYNC = "customers_to_braze"
ENVIRONMENT = {"ROWFERRY_SECRET_BRAZE_KEY": "a-made-up-key", "ROWFERRY_SECRET_SLACK_OPS": ""}
_MARK = ".rowferry-sandbox"

_SETTINGS = """\
# Made by `make run`. Change it and try it out: rowferry serve --sandbox --config {config}
rowferry: 1
warehouse: {{engine: duckdb, path: warehouse.duckdb}}
state: state
exports: exports

destinations:
  braze_main: {{vendor: braze, base_url: "{braze}", api_key: "secret:braze-key"}}   # a stand-in on this machine
  ops:        {{vendor: slack, webhook_url: "secret:slack-ops"}}

feeds:
  clevertap_events: {{preset: clevertap_events, path: clevertap/, table: "raw.clevertap_{{event}}"}}
  crm:
    path: "crm/customers-{{day:%Y%m%d}}*.csv*"   # zipped or not
    table: crm.customers
    columns: {{customer_id: STRING, email: STRING, first_name: STRING, country: STRING, tier: STRING, ltv: NUMERIC, updated_at: TIMESTAMP}}
    write: merge
    key: [customer_id]
    order_by: updated_at

syncs:
  {sync}:
    model: {{table: crm.customers}}
    key: customer_id
    send: changed
    to: braze_main
    action: profile
    map:
      external_id: customer_id
      email: {{column: email, transform: [trim, lower]}}
      first_name: first_name
      country: country
      loyalty_tier: tier
      lifetime_value: ltv
    after: [crm]
    notify: ops
"""


def main() -> None:
    """Play the demo in the folder that the command line names."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "sandbox").absolute()
    with BrazeTwin(api_key=ENVIRONMENT["ROWFERRY_SECRET_BRAZE_KEY"], keep_log=False) as braze, SlackTwin() as slack:
        environment = {**ENVIRONMENT, "ROWFERRY_SECRET_SLACK_OPS": slack.webhook_url}
        try:
            config = _make_sandbox(folder, braze.url)
            with App(read_settings(config), environment=environment, owner=Owner.process()) as app:
                code = _play(Machine(app), folder, braze, slack)
                if sys.stdin.isatty() and not os.environ.get("ONCE"):
                    _go_on(Machine(app), folder, braze)
        except RowferryError as error:
            sys.exit(str(error))
    sys.exit(code)


def _make_sandbox(folder: Path, braze_url: str) -> Path:
    if folder.exists() and not (folder / _MARK).exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is there already and is no sandbox of ours; name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()
    config = folder / "rowferry.yaml"
    config.write_text(_SETTINGS.format(config=config, braze=braze_url, sync=SYNC))
    return config


def _play(machine: Machine, folder: Path, braze: BrazeTwin, slack: SlackTwin) -> int:
    say = sys.stdout.write
    now = datetime.now(UTC)
    people = customers(CUSTOMERS, now)
    say(f"A shop of {CUSTOMERS:,} made-up customers and a week of its events, in {folder}\n\n")
    for name, content in clevertap_week(now.date(), people):
        machine.app.exports.write(f"clevertap/{name}", content)
    machine.app.exports.write(f"crm/customers-{now:%Y%m%d}.csv.gz", customers_file(people))
    _load(machine)
    first = _sync(machine)
    again = changed(people, 0.01, now)
    machine.app.exports.write(f"crm/customers-{now:%Y%m%d}-2.csv.gz", customers_file(again))
    say("\nOne customer in a hundred has changed since, and the whole table was exported again:\n")
    _load(machine)
    points = braze.data_points
    second = _sync(machine)
    values = 5 * CUSTOMERS
    sent = braze.data_points - points
    say(f"  {sent:,} of {values:,} values sent: saved {100 - 100 * sent / values:.1f} %\n")
    notices = machine.deliver_relayed()
    say(f"  Slack was told {len(slack.messages) or notices} things; Braze's stand-in knows {len(braze.profiles):,} people\n")
    return 0 if first.status == second.status == "closed" else 1


def _load(machine: Machine) -> None:
    tables: dict[str, list[int]] = {}
    for result in machine.load_new():
        if result.status == "loaded" and result.table:
            found = tables.setdefault(result.table, [0, 0, 0])
            found[0] += 1
            found[1] += result.rows
            found[2] += result.rejected_cells
    for table, (files, rows, cells) in sorted(tables.items()):
        rejected = f", {cells} cells that were no numbers kept in rowferry.rejected_cells" if cells else ""
        sys.stdout.write(f"  {files} {'file ' if files == 1 else 'files'} → {table:<30} {rows:>7,} rows{rejected}\n")


def _sync(machine: Machine) -> RunResult:
    result = machine.sync(SYNC)
    sys.stdout.write(f"  {SYNC}: {balance(result)}\n")
    for row in result.rejections[:1]:
        sys.stdout.write(f"    rejected, for example: {row['code']}: {row['reason']}\n")
    return result


def _go_on(machine: Machine, folder: Path, braze: BrazeTwin) -> None:
    from rowferry.console.serving import serve

    sys.stdout.write(f"\nServing. Drop a file customers-20260131.csv into {folder / 'exports' / 'crm'} and see it go; Ctrl-C ends it.\n")
    sys.stdout.write(f"What Braze's stand-in was sent: {braze.url}/_twin/state\n")
    try:
        serve(machine, 8080)
    except UsageError:
        serve(machine, 0)  # somebody else has the port


if __name__ == "__main__":
    main()
