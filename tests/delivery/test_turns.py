"""Turns: whatever happens on the way, each person's words arrive in the order in which they came in."""

from __future__ import annotations

import random
from collections import defaultdict

import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.delivery import claim as claims
from rowferry.delivery.account import Account
from rowferry.delivery.chunk import ChunkName
from rowferry.delivery.gather import deliver_gathered
from rowferry.delivery.outbox import Outbox, urgent
from rowferry.owner import Owner
from rowferry.stores.folder import FolderStore
from rowferry.syncs.sweep import Sweeper
from rowferry.twins.braze import BrazeTwin

Words = dict[str, list[str]]
WORDS, PERSONS = 60, 6


def say(store: FolderStore, clock: ManualClock, dice: random.Random) -> Words:
    """Webhooks in no order of their names; what each person is to hear."""
    said: Words = defaultdict(list)
    for number in range(WORDS):
        person, word = f"u{dice.randrange(PERSONS)}", dice.choice([f"tier {number}", f"tier {number}", "deleted"])
        action, more = ("delete", {}) if word == "deleted" else ("profile", {"tier": word})
        rows = [{"external_id": person, **more}]
        Outbox(store, clock).relay(id=f"{dice.random()}", source="webhook.shop", destination="d1", action=action, rows=rows)
        said[person].append(word)
        clock.sleep(1)
    return said


def heard(twin: BrazeTwin) -> Words:
    """What was said to the vendor of each person."""
    found: Words = defaultdict(list)
    for call in twin.log:
        body = orjson.loads(call.body)
        for row in body.get("attributes", []):
            found[row["external_id"]].append(row["tier"])
        for person in body.get("external_ids", []):
            found[person].append("deleted")
    return found


@pytest.mark.parametrize("seed", range(4))
def test_each_persons_words_arrive_in_their_order(
    store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock, seed: int
) -> None:
    """Some are announced anew, some are claimed by a worker who is killed then: no word passes another one, and all arrive."""
    dice = random.Random(seed)
    said = say(store, clock, dice)
    for _ in range(10 * WORDS):
        waiting = [key for key in urgent(store, "d1") if store.head(f"receipts/{ChunkName.of(key).stem}.json") is None]
        if not waiting:
            break
        Sweeper(store, clock).announce(dice.sample(waiting, len(waiting) // 3))
        if dice.random() < 0.5:
            claims.take(store, ChunkName.of(dice.choice(waiting)).stem, Owner.anonymous(), clock)
        deliver_gathered(urgent(store, "d1"), store=store, account=account, clock=clock, owner=Owner.anonymous())
        clock.sleep(claims.LIFE_SECONDS + 1)
    assert heard(twin) == said
