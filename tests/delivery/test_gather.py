"""Many small chunks in few requests: each with its own outcome, whatever is killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.delivery import claim as claims
from rowferry.delivery.account import Account
from rowferry.delivery.chunk import ChunkName
from rowferry.delivery.deliver import Delivery
from rowferry.delivery.gather import MOST, deliver_gathered
from rowferry.delivery.outbox import Outbox, urgent
from rowferry.delivery.receipts import Receipts
from rowferry.destinations import slack
from rowferry.destinations.braze import DESTINATION
from rowferry.errors import TryLater
from rowferry.http import HttpClient
from rowferry.owner import Owner
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Store
from rowferry.syncs.sweep import Sweeper
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Call, Fault
from rowferry.twins.slack import SlackTwin
from rowferry.wire import Request, Response
from support.chunks import account_of, deliver
from support.killing import DyingStore, Killed, Steps
from support.model import PassingFolder
from support.vendors import braze as example
from support.vendors import slack as slack_example

SOURCE = "webhook.shop"


def put(store: Store, *chunks: Sequence[str], action: str = "profile") -> list[str]:
    """A relayed chunk for each list of users, by its number; their keys."""
    for number, users in enumerate(chunks):
        rows = [{"external_id": user, "tier": "gold"} for user in users]
        Outbox(store).relay(id=f"{number:04d}", source=SOURCE, destination="d1", action=action, rows=rows)
    return [found.key for found in store.list("outbox/")]


def gather(store: Any, keys: Sequence[str], account: Account, clock: ManualClock, **more: Any) -> dict[str, Delivery]:
    return deliver_gathered(keys, store=store, account=account, clock=clock, owner=Owner.anonymous(), **more)


def statuses(found: dict[str, Delivery]) -> list[str]:
    return [got.status for got in found.values()]


def all_receipts(store: Store) -> list[Receipts]:
    return [Receipts.read(store.read(found.key)[0], found.key) for found in store.list("receipts/")]


def users_in(call: Call) -> list[str]:
    return [row["external_id"] for row in orjson.loads(call.body)["attributes"]]


def left_behind(store: Store) -> list[str]:
    return [found.key for found in store.list() if found.key.startswith(("claims/", "journal/"))]


def test_repeats_that_could_not_be_written_down_are_counted_by_the_next(tmp_path: Path, twin: BrazeTwin, clock: ManualClock) -> None:
    """The vendor had all rows twice when the store went out of reach, and has them once more: receipts say two repeats of each."""
    store = PassingFolder(tmp_path)
    store.outages = set()
    keys = put(store, ["u1", "u2"], ["u3"])
    store.outages = {store.creates + 3}  # after the two claims: the first receipts
    twin.faults.append(Fault(reset="after"))
    account = account_of(DESTINATION, example.settings(twin.url), clock, in_flight=1)
    with pytest.raises(TryLater):
        gather(store, keys, account, clock)
    assert set(statuses(gather(store, keys, account, clock))) == {"settled"}
    assert (twin.requests, sum(found.resent for found in all_receipts(store))) == (3, 2 * 3)


def test_a_burst_is_few_requests(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """Two hundred webhooks are three requests to Braze; each has receipts of its own, and nothing else stays."""
    keys = put(store, *([f"u{number}"] for number in range(200)))
    assert set(statuses(gather(store, keys, account, clock))) == {"settled"}
    assert sorted(len(users_in(call)) for call in twin.log) == [50, 75, 75]
    receipts = all_receipts(store)
    assert [(found.rows, found.delivered) for found in receipts] == [(1, 1)] * 200
    assert sum(found.requests for found in receipts) == 3
    assert left_behind(store) == []


def test_a_gathering_is_bounded(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """What is beyond the bound waits for the next one, unclaimed."""
    keys = put(store, *([f"u{number}"] for number in range(MOST + 5)))
    assert statuses(gather(store, keys, account, clock)) == ["settled"] * MOST + ["held"] * 5
    assert len(twin.profiles) == MOST
    assert left_behind(store) == []


def test_a_gathering_is_bounded_by_rows(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """Webhooks that bring many rows each are not all read into memory at once."""
    keys = put(store, *([f"u{number}-{row}" for row in range(400)] for number in range(40)))
    assert Counter(statuses(gather(store, keys, account, clock))) == {"settled": 16, "held": 24}
    assert len(twin.profiles) == 16 * 400


def test_each_row_has_its_own_outcome(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """One without an id is rejected before it is sent, one by the vendor; the dead letters are their own chunks'."""
    outbox = Outbox(store)
    rows: list[dict[str, Any]] = [{"external_id": "u1"}, {"tier": "gold"}, {"external_id": "bad"}, {"external_id": "u2"}]
    for number, row in enumerate(rows):
        outbox.relay(id=str(number), source=SOURCE, destination="d1", action="profile", rows=[row])
    answer = {"message": "success", "errors": [{"type": "BAD", "input_array": "attributes", "index": 1}]}
    twin.faults.append(Fault(response=Response(201, orjson.dumps(answer))))
    found = gather(store, [found.key for found in store.list("outbox/")], account, clock)
    assert set(statuses(found)) == {"settled"}
    rejected = {receipts.rejected[0].key: receipts.rejected[0].code for receipts in all_receipts(store) if receipts.rejected}
    assert rejected.keys() == {"1#0", "2#0"}
    assert rejected["1#0"] == "missing_identifier"


def test_a_poison_is_isolated(store: FolderStore, clock: ManualClock) -> None:
    """A message that the channel refuses, whatever stands beside it, is rejected alone; the others are told, a few at a time."""
    with SlackTwin() as channel:
        poison = Fault(response=Response(400, b"invalid_payload", {"content-type": "text/plain"}), when=lambda call: b"poison" in call.body)
        channel.faults.extend([poison] * 20)
        texts = [f"word {number}" for number in range(20)] + ["poison"]
        for text in texts:
            Outbox(store).relay(id=text, source=SOURCE, destination="d1", action="notice", rows=[{"text": text}])
        account = account_of(slack.DESTINATION, slack_example.settings(channel.url), clock, in_flight=1)
        found = gather(store, [found.key for found in store.list("outbox/")], account, clock)
        assert set(statuses(found)) == {"settled"}
        said = [line for message in channel.messages for line in message["text"].split("\n") if line.startswith("word")]
    assert sorted(said) == sorted(texts[:-1])
    assert len(channel.messages) < 8
    assert [receipts.rejected[0].code for receipts in all_receipts(store) if receipts.rejected] == ["invalid_payload"]


def test_one_half_done_is_finished_alone(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """The vendor goes down with a chunk's rows in two batches: its journal says how far it got, and it needs no company."""
    account.row_caps["profile"], account.in_flight = 2, 1
    keys = put(store, ["a"], ["b", "c", "d"])
    twin.faults.append(Fault(response=Response(401, b'{"message":"Invalid API key"}'), when=lambda call: b'"c"' in call.body))
    assert statuses(gather(store, keys, account, clock)) == ["settled", "refused"]
    assert {found.key.rpartition("/")[0] for found in store.list("journal/")} == {f"journal/{ChunkName.of(keys[1]).stem}"}
    twin.faults.clear()
    assert deliver(store, keys[1], account, clock).status == "settled"
    assert [users_in(call) for call in twin.log] == [["a", "b"], ["c", "d"], ["c", "d"]]
    assert [(found.delivered, found.resent) for found in all_receipts(store)] == [(1, 0), (3, 0)]
    assert left_behind(store) == []


def test_two_words_on_one_person_are_said_in_turn(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """Vendors keep no order within a request: the later one waits for the next, and has the last word."""
    outbox = Outbox(store)
    for number, tier in enumerate(("gold", "none")):
        rows = [{"external_id": "u1", "tier": tier}]
        outbox.relay(id=str(number), source=SOURCE, destination="d1", action="profile", rows=rows)
    keys = [found.key for found in store.list("outbox/")]
    assert statuses(gather(store, keys, account, clock)) == ["settled", "held"]
    assert statuses(gather(store, keys, account, clock)) == ["settled", "settled"]
    assert [len(users_in(call)) for call in twin.log] == [1, 1]
    assert twin.profiles["u1"]["tier"] == "none"
    assert sum(found.resent for found in all_receipts(store)) == 0


def words(store: Store, clock: ManualClock, **tiers: str) -> list[str]:
    """A relayed chunk a second about one person, each by its name; their keys in the order in which they came in."""
    outbox, keys = Outbox(store, clock), []
    for name, tier in tiers.items():
        outbox.relay(id=name, source=SOURCE, destination="d1", action="profile", rows=[{"external_id": "u1", "tier": tier}])
        keys += [found.key for found in store.list("outbox/") if found.key not in keys]
        clock.sleep(1)
    return keys


def test_the_order_is_that_of_arrival(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """Not that of the senders' ids, nor of when they were announced last: after an outage each word is said in its turn."""
    first, *_ = words(store, clock, z_came_first="gold", m_came_next="silver", a_came_last="none")
    Sweeper(store, clock).announce([first])
    for _ in range(3):
        gather(store, urgent(store, "d1"), account, clock)
    assert [orjson.loads(call.body)["attributes"][0]["tier"] for call in twin.log] == ["gold", "silver", "none"]
    assert len(all_receipts(store)) == 3


def test_the_order_is_that_of_arrival_in_a_long_queue(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """More wait than are taken at once, and the sweep has announced some of them anew: it is the later word that waits."""
    first, _ = words(store, clock, z_came_first="gold", a_came_last="none")
    put(store, *([f"other{number}"] for number in range(MOST)))
    Sweeper(store, clock).announce([first])
    store.write("outbox/d1/1/webhook.shop/relayed/broken.jsonl.gz", b"not packed")
    for _ in range(10):
        if not any(got.status == "held" for got in gather(store, urgent(store, "d1"), account, clock).values()):
            break
    assert twin.profiles["u1"]["tier"] == "none"
    assert len(all_receipts(store)) == MOST + 2


def test_a_word_waits_for_an_earlier_one_that_somebody_else_has(
    store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock
) -> None:
    """A worker was killed with the first word in flight: the second one does not pass it, what is about others does."""
    first, second = words(store, clock, z="gold", a="none")
    claims.take(store, ChunkName.of(first).stem, Owner.anonymous(), clock)
    Outbox(store, clock).relay(id="b", source=SOURCE, destination="d1", action="profile", rows=[{"external_id": "u2"}])
    found = gather(store, urgent(store, "d1"), account, clock)
    assert (found[first].status, found[second].status) == ("held", "held")
    assert twin.profiles.keys() == {"u2"}
    clock.sleep(claims.LIFE_SECONDS + 1)
    for _ in range(2):
        gather(store, urgent(store, "d1"), account, clock)
    assert twin.profiles["u1"]["tier"] == "none"
    assert left_behind(store) == []


def test_a_second_worker_takes_those_that_are_free(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """Of many workers at a burst each has its own share of it."""
    keys = put(store, *([f"u{number}"] for number in range(MOST + 20)))
    for key in keys[:15]:
        claims.take(store, ChunkName.of(key).stem, Owner.anonymous(), clock)
    found = gather(store, keys, account, clock)
    assert statuses(found) == ["held"] * 15 + ["settled"] * MOST + ["held"] * 5


def test_two_events_of_one_person_go_together(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """What happened twice happened twice: no order to keep."""
    outbox = Outbox(store)
    for number in range(3):
        rows = [{"external_id": "u1", "name": "Renewed", "time": f"2026-01-0{number + 1}T00:00:00Z"}]
        outbox.relay(id=str(number), source=SOURCE, destination="d1", action="event", rows=rows)
    assert set(statuses(gather(store, [found.key for found in store.list("outbox/")], account, clock))) == {"settled"}
    assert twin.requests == 1


def test_actions_do_not_mix(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """Profiles and events of one destination are requests of their own."""
    outbox = Outbox(store)
    outbox.relay(id="1", source=SOURCE, destination="d1", action="profile", rows=[{"external_id": "u1"}])
    outbox.relay(
        id="2", source=SOURCE, destination="d1", action="event", rows=[{"external_id": "u1", "name": "x", "time": "2026-01-01T00:00:00Z"}]
    )
    assert set(statuses(gather(store, [found.key for found in store.list("outbox/")], account, clock))) == {"settled"}
    assert twin.requests == 2


def say(store: Store, clock: ManualClock, *words: tuple[str, str]) -> None:
    """A relayed chunk a second for each action and user, in this order, whatever their names are."""
    more = {"profile": {"tier": "gold"}, "event": {"name": "x", "time": "2026-01-01T00:00:00Z"}, "delete": {}}
    for number, (action, user) in enumerate(words):
        rows = [{"external_id": user, **more[action]}]
        Outbox(store, clock).relay(id=f"{99 - number}", source=SOURCE, destination="d1", action=action, rows=rows)
        clock.sleep(1)


@pytest.mark.parametrize("earlier", ["profile", "event"])
def test_a_deletion_comes_after_what_was_said_before_it(
    store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock, earlier: str
) -> None:
    """Another person's deletion is sent first of all: that of this one waits, or its profile would stand there anew."""
    say(store, clock, ("delete", "u2"), (earlier, "u1"), ("delete", "u1"))
    assert sorted(statuses(gather(store, urgent(store, "d1"), account, clock))) == ["held", "settled", "settled"]
    gather(store, urgent(store, "d1"), account, clock)
    assert [call.path for call in twin.log] == ["/users/delete", "/users/track", "/users/delete"]
    assert twin.profiles.keys() == set()


@pytest.mark.parametrize("later", ["profile", "event"])
def test_who_comes_back_after_a_deletion_stays(
    store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock, later: str
) -> None:
    """Another person's word of the same action is sent first of all: that of this one waits for the deletion."""
    say(store, clock, (later, "u2"), ("delete", "u1"), (later, "u1"))
    assert sorted(statuses(gather(store, urgent(store, "d1"), account, clock))) == ["held", "settled", "settled"]
    gather(store, urgent(store, "d1"), account, clock)
    assert [call.path for call in twin.log] == ["/users/track", "/users/delete", "/users/track"]


def test_words_of_other_actions_do_not_wait_for_each_other(
    store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock
) -> None:
    """A webhook that sets a profile and tells an event of the same person is done with in one go."""
    say(store, clock, ("profile", "u1"), ("event", "u1"), ("event", "u1"))
    assert set(statuses(gather(store, urgent(store, "d1"), account, clock))) == {"settled"}
    assert twin.requests == 2


def test_those_in_trouble_hold_nobody_up(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """One is held by somebody else, one is damaged, one is gone, one was settled long ago: each says so, the others leave."""
    keys = put(store, *([f"u{number}"] for number in range(6)))
    held, damaged, gone, settled = keys[:4]
    claims.take(store, ChunkName.of(held).stem, Owner.anonymous(), clock)
    store.write(damaged, b"not packed")
    store.delete(gone)
    assert deliver(store, settled, account, clock).status == "settled"
    found = gather(store, keys, account, clock)
    assert statuses(found) == ["held", "open", "gone", "settled", "settled", "settled"]
    assert sorted(twin.profiles) == ["u3", "u4", "u5"]
    assert left_behind(store) == [f"claims/{ChunkName.of(held).stem}.json"]


def test_no_time_and_quiet_hours_send_nothing(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """Nothing is begun that can't be ended, and nothing in hours that are to be quiet."""
    keys = put(store, ["a"], ["b"])
    assert statuses(gather(store, keys, account, clock, left_seconds=lambda: 1.0)) == ["open", "open"]
    account.settings = account.settings.model_copy(update={"quiet_hours": "00:00-23:59 UTC"})
    assert statuses(gather(store, keys, account, clock)) == ["open", "open"]
    assert twin.requests == 0


def test_a_claim_that_is_lost_leaves_its_chunk_alone(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """Somebody has taken one over while the request was out: they write its receipts, not we."""

    def rob(_call: Call) -> bool:
        store.write(f"journal/{ChunkName.of(keys[0]).stem}/00000000", orjson.dumps([{"d": [], "r": [], "q": 1, "s": 0}]))
        return False

    twin.faults.append(Fault(when=rob))
    account.row_caps["profile"] = 1
    keys = put(store, ["a1", "a2"], ["b"])
    assert statuses(gather(store, keys, account, clock)) == ["held", "settled"]
    assert [found.chunk for found in all_receipts(store)] == keys[1:]


class _Client:
    """An HTTP client whose requests are steps."""

    def __init__(self, client: Any, steps: Steps) -> None:
        self._client, self._steps = client, steps

    def send(self, request: Request, timeout_seconds: float) -> Any:
        return self._steps.take(lambda: self._client.send(request, timeout_seconds))


def test_what_could_not_be_written_down_counts_as_sent_again(
    store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is out of reach when the vendor has answered: the next worker sends the rows once more, and says so."""
    keys = put(store, *([f"u{number}"] for number in range(5)))

    def broken(*_: object) -> None:
        raise TryLater("out of reach")

    with monkeypatch.context() as patched, pytest.raises(TryLater):
        patched.setattr(Receipts, "write", broken)
        gather(store, keys, account, clock)
    assert set(statuses(gather(store, keys, account, clock))) == {"settled"}
    assert (sum(len(users_in(call)) for call in twin.log), sum(found.resent for found in all_receipts(store))) == (10, 5)
    assert left_behind(store) == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_step(tmp_path: Path, twin: BrazeTwin, clock: ManualClock, *, after: bool) -> None:
    """At each write and each request, before it or after it: nothing is lost, and what goes out again was in flight."""
    chunks = [[f"u{number}"] for number in range(7)] + [["v1", "v2", "v3"]]
    for at in count(1):
        store, steps = FolderStore(tmp_path / str(at)), Steps(at, after=after)
        keys = put(store, *chunks)
        account = account_of(DESTINATION, example.settings(twin.url), clock, in_flight=2)
        account.row_caps["profile"] = 3
        twin.log.clear()
        mortal = replace(account, client=cast(HttpClient, _Client(account.client, steps)))
        try:
            gather(DyingStore(store, steps), keys, mortal, clock)
            assert steps.taken < at
            break
        except Killed:
            pass
        clock.sleep(claims.LIFE_SECONDS + 1)
        assert set(statuses(gather(store, keys, account, clock))) == {"settled"}
        times = Counter(user for call in twin.log for user in users_in(call))
        again = sum(times.values()) - 10
        assert set(times) == {user for users in chunks for user in users}
        assert again <= 2 * 3
        assert sum(found.delivered for found in all_receipts(store)) == 10
        assert sum(found.resent for found in all_receipts(store)) >= again
        assert [key for key in left_behind(store) if "journal" in key] == []
        account.client.close()
    assert at > 20
