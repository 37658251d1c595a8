"""From a sender's call to what stands in the channel: once, whatever is killed, and nothing that Slack refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowferry.app import App
from rowferry.clock import ManualClock
from rowferry.delivery.batch import batches
from rowferry.destinations.slack import DESTINATION, SlackSettings
from rowferry.machine import Machine
from rowferry.notices.message import Message
from rowferry.settings.base import Secret
from rowferry.settings.file import read_settings
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Call as TwinCall
from rowferry.twins.slack import SlackTwin
from support.senders import SECRET, call

CLOCK = ManualClock()


@dataclass
class Home:
    """A folder with settings, the channel they lead to, and a server that can be started again."""

    folder: Path
    slack: SlackTwin

    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLACK": self.slack.webhook_url, "SECRET": SECRET}

    def app(self) -> App:
        """The app, as after a restart."""
        return App(read_settings(self.folder / "rowferry.yaml", self.environment()), environment=self.environment(), clock=CLOCK)

    def deliver(self) -> None:
        """What the platform's events, or the sweep, start."""
        with self.app() as app:
            Machine(app).deliver_relayed()

    @property
    def texts(self) -> list[str]:
        return [str(message["text"]) for message in self.slack.messages]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with SlackTwin() as slack:
        (tmp_path / "rowferry.yaml").write_text(
            """
rowferry: 1
warehouse: {engine: duckdb, path: warehouse.duckdb}
state: ./state
destinations: {ops: {vendor: slack, webhook_url: "env:SLACK"}}
webhooks:
  shop:
    verify: {scheme: github, secret: "env:SECRET"}
    routes: [{notify: {to: ops, text: "{{ customer }} cancelled"}}]
"""
        )
        yield Home(tmp_path, slack)


def _call(number: int) -> Any:
    return call("github", "shop", {"customer": f"c{number}"}, CLOCK.now(), **{"x-github-delivery": f"d{number}"})


def test_killed_right_after_the_answer_it_is_told_once(home: Home) -> None:
    """A 200 is a promise: the process is gone the moment it has answered, and the next one keeps it."""
    server = f"""
import os, signal
from pathlib import Path
from rowferry.app import App
from rowferry.settings.file import read_settings
from rowferry.webhooks.port import Call
folder = Path({str(home.folder)!r})
app = App(read_settings(folder / "rowferry.yaml"))
answer = app.relay.answer(Call("POST", "/hooks/shop", {dict(_call(1).headers)!r}, {_call(1).body!r}))
assert answer.status == 200
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", server], env=home.environment(), check=False).returncode == -signal.SIGKILL
    assert home.texts == []
    home.deliver()
    home.deliver()
    assert home.texts == ["c1 cancelled"]


def test_a_repeat_after_delivery_tells_nothing_new(home: Home) -> None:
    """The sender never saw our 200 and asks again, when everything is long done."""
    for _ in range(3):
        with home.app() as app:
            assert app.relay.answer(_call(1)).status == 200
        home.deliver()
    assert home.texts == ["c1 cancelled"]


def test_a_burst_reaches_the_channel_at_its_pace(home: Home) -> None:
    """Slack takes one message a second; three hundred at once are all stored, and all are told, each once, a few to a message."""
    home.slack.clock, home.slack.per_second = CLOCK, 1
    with home.app() as app:
        assert {app.relay.answer(_call(number)).status for number in range(300)} == {200}
    started_at = CLOCK.monotonic()
    home.deliver()
    said = [line for text in home.texts for line in text.split("\n")]
    assert sorted(line for line in said if "together" not in line) == sorted(f"c{number} cancelled" for number in range(300))
    assert len(home.texts) == -(-300 // 16)
    assert home.texts[0].startswith("*16 messages together:*\n")
    assert CLOCK.monotonic() - started_at < 60
    assert home.slack.violations == []


def test_one_alone_does_not_wait_for_company(home: Home) -> None:
    """A single notice goes out as it is, at once."""
    with home.app() as app:
        assert app.relay.answer(_call(1)).status == 200
    home.deliver()
    assert home.texts == ["c1 cancelled"]


@pytest.mark.parametrize("hooks", [1, 5])
def test_a_broken_key_is_told_once_and_so_is_its_mending(home: Home, hooks: int) -> None:
    """The vendor refuses us: webhooks wait, one notice says so with how many and what to type; mended, they leave, and one says that."""
    with BrazeTwin(api_key="right") as braze:
        environment = {**home.environment(), "KEY": "wrong"}
        file = home.folder / "rowferry.yaml"
        file.write_text(
            file.read_text()
            .replace(
                "destinations: {", f'destinations: {{braze: {{vendor: braze, base_url: "{braze.url}", api_key: "env:KEY", notify: ops}}, '
            )
            .replace("routes: [", "routes: [{send: {to: braze, action: profile, map: {external_id: customer}}}]  # [")
        )

        def deliver() -> int:
            with App(read_settings(file, environment), environment=environment, clock=CLOCK) as app:
                done = Machine(app).deliver_relayed("braze")
                Machine(app).deliver_relayed("ops")
                return done

        with App(read_settings(file, environment), environment=environment, clock=CLOCK) as app:
            assert {app.relay.answer(_call(number)).status for number in range(hooks)} == {200}
        assert [deliver(), deliver(), deliver()] == [0, 0, 0]
        [told] = home.texts
        assert "*braze refuses our key or address; what is for it waits*" in told
        assert f"chunks waiting {hooks}\n" in told
        assert told.endswith("`rowferry check --live`")
        environment["KEY"] = "right"
        assert [deliver(), deliver()] == [hooks, 0]
        assert len(braze.profiles) == hooks
    assert home.texts[1:] == [":white_check_mark: *braze takes our rows again*"]


def test_rows_that_are_rejected_are_told_once_a_week(home: Home) -> None:
    """A route that reads the wrong field, or a vendor that takes none of it: answered 200 each, so that nobody else would say."""
    with BrazeTwin(api_key="right") as braze:
        environment, file = {**home.environment(), "KEY": "right"}, home.folder / "rowferry.yaml"
        known = f'braze: {{vendor: braze, base_url: "{braze.url}", api_key: "env:KEY", notify: ops}}'
        send = "{send: {to: braze, action: profile, map: {external_id: custommer, tier: customer}}}"
        file.write_text(
            file.read_text().replace("destinations: {", f"destinations: {{{known}, ").replace("routes: [", f"routes: [{send}]  # [")
        )
        for days in (0, 1, 1, 7):
            CLOCK.sleep(86_400 * days)
            with App(read_settings(file, environment), environment=environment, clock=CLOCK) as app:
                for number in range(2):
                    assert app.relay.answer(_call(1000 * days + 10 * len(home.texts) + number)).status == 200
                Machine(app).deliver_relayed("braze")
                Machine(app).deliver_relayed("ops")
        assert braze.profiles == {}
    assert len(home.texts) == 2
    assert home.texts[0].startswith(
        ":rotating_light: *braze rejects what webhook shop sends*\nrejected 1 · of 1 · reason missing_identifier\n"
    )
    assert home.texts[0].endswith("`rowferry rejects webhook.shop`")
    with home.app() as app:
        assert {row["code"] for row in Machine(app).rejects("webhook.shop")} == {"missing_identifier"}


VALUES = st.dictionaries(
    st.sampled_from(["a", "b"]), st.text() | st.text("<>&|!@ channel*`", max_size=5000) | st.none() | st.integers() | st.floats()
)
BLOCKS: list[dict[str, Any]] = [
    {"type": "header", "text": {"type": "plain_text", "text": "{{ a }}"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "{{ a }} {{ b }}"}, "fields": [{"type": "mrkdwn", "text": "{{ b }}"}]},
]


@settings(deadline=None, max_examples=200)
@given(values=VALUES)
def test_no_text_makes_a_message_that_slack_refuses(values: dict[str, Any]) -> None:
    """Whatever people typed at the sender's: the message is taken, is not cut, and calls nobody."""
    slack = SlackTwin()
    hook = SlackSettings(vendor="slack", webhook_url=Secret("env:S", "https://hooks.slack.com/services/T/B/x"))
    action = DESTINATION.actions["notice"]
    for message in (Message("{{ a }} and {{ b }}"), Message("{{ a }}"), Message(None, BLOCKS), Message("{{ b }}", BLOCKS)):
        request = action.build([action.to_payload(message.row(values, "webhook shop"), hook)], hook)
        answer = slack.answer(TwinCall("POST", "/services/T/B/x", {"content-type": "application/json"}, request.body))
        assert (answer.status, answer.body) == (200, b"ok")
    assert slack.violations == []
    assert not any("<" in found for message in slack.messages for found in _markup(message))


@settings(deadline=None, max_examples=100)
@given(burst=st.lists(st.tuples(VALUES, st.booleans()), min_size=2, max_size=40))
def test_no_burst_makes_a_message_that_slack_refuses(burst: list[tuple[dict[str, Any], bool]]) -> None:
    """However long the texts, with blocks or without: each message of the burst is taken, is not cut, and calls nobody."""
    slack, action = SlackTwin(), DESTINATION.actions["notice"]
    hook = SlackSettings(vendor="slack", webhook_url=Secret("env:S", "https://hooks.slack.com/services/T/B/x"))
    message, with_blocks = Message("{{ a }} and {{ b }}"), Message("{{ b }}", BLOCKS)
    payloads = [action.to_payload((with_blocks if has else message).row(values, "webhook shop"), hook) for values, has in burst]
    assert action.gathered is not None
    limits = action.gathered(hook)
    for batch in batches(enumerate(payloads), limits, lambda: limits.batch_rows):
        request = action.build(batch.payloads, hook)
        answer = slack.answer(TwinCall("POST", "/services/T/B/x", {"content-type": "application/json"}, request.body))
        assert (answer.status, answer.body) == (200, b"ok")
    assert slack.violations == []
    assert not any("<" in found for message in slack.messages for found in _markup(message))


def _markup(message: dict[str, Any]) -> Iterator[str]:
    """What Slack reads markup in: the text and the blocks' `mrkdwn`. In `plain_text` it reads none."""
    yield message["text"]
    for block in message.get("blocks", []):
        yield from (found["text"] for found in (block["text"], *block.get("fields", [])) if found["type"] == "mrkdwn")
