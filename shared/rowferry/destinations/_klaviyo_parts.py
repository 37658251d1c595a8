"""Batches into requests, and answers into outcomes, for each action. Sources: see `klaviyo`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from rowferry.destinations import _klaviyo_answers as answers
from rowferry.destinations import _klaviyo_chain as chain
from rowferry.destinations import _klaviyo_jobs as jobs
from rowferry.destinations import _klaviyo_records as records
from rowferry.destinations._klaviyo_chain import Done, Item, Part, State, settle_some
from rowferry.destinations._klaviyo_requests import get, post
from rowferry.destinations._klaviyo_settings import KlaviyoSettings
from rowferry.destinations.port import DELIVERED, Answer, Follow, Split
from rowferry.destinations.values import dumps
from rowferry.wire import Request, Response

PartsOf = Callable[[Sequence[Item], KlaviyoSettings], list[Part]]

_UNSUBSCRIBES = 100  # profiles of one request [spec]
_LOOKED_UP = 50  # people of one filter: a page holds 100 [spec]; how long an address may be is not said
_IN_TWO = frozenset({"import", "find_and_leave", "find_and_delete"})  # kinds of parts that are two requests at least
_PARTS = 200  # requests of a chain: it is begun again from its start when a worker dies; a batch with more is halved


def build(batch: Sequence[bytes], settings: KlaviyoSettings, parts_of: PartsOf) -> Request:
    """The first request of a batch."""
    return _send(parts_of(_items(batch), settings)[0], settings)


def read(response: Response, batch: Sequence[bytes], settings: KlaviyoSettings, note: str, parts_of: PartsOf) -> Answer:
    """What an answer means; what follows it is in a `Follow`."""
    parts = parts_of(_items(batch), settings)
    answer = chain.read(response, len(batch), parts, note, settings, _send, _read_part)
    if isinstance(answer, Follow) and len(parts) > _PARTS:
        return Split("too_many_requests", "this batch is too many requests")  # what was done can be done again
    return answer


def _read_part(response: Response, part: Part, state: State, settings: KlaviyoSettings) -> Answer | Done:
    return _READERS[part.kind](response, part, state, settings)


def requests(batch: Sequence[bytes], settings: KlaviyoSettings, parts_of: PartsOf) -> int:
    """How many requests a batch takes; see `Action.requests`. People who are looked up are taken for known."""
    parts = parts_of(_items(batch), settings)
    if len(parts) > _PARTS:  # its first request has gone when it is halved
        middle = len(batch) // 2
        return 1 + requests(batch[:middle], settings, parts_of) + requests(batch[middle:], settings, parts_of)
    return sum(2 if part.kind in _IN_TWO else 1 for part in parts)


def _items(batch: Sequence[bytes]) -> list[Item]:
    return [orjson.loads(payload) for payload in batch]


# ── Batches into parts ──────────────────────────────────────────────────────────────────────


def events(items: Sequence[Item], settings: KlaviyoSettings) -> list[Part]:
    """One request. An event that is in the batch twice goes once: twice, it could cost all the others [spec]."""
    owners: dict[bytes, list[int]] = {}
    for index, item in enumerate(items):
        owners.setdefault(_event_identity(item), []).append(index)
    return [Part("event" if settings.events == "single" else "events", [items[rows[0]] for rows in owners.values()], list(owners.values()))]


def _event_identity(item: Item) -> bytes:
    attributes = item["attributes"]
    event = attributes["events"]["data"][0]["attributes"] if "events" in attributes else attributes
    return dumps([attributes["profile"]["data"], event["metric"]["data"]["attributes"]["name"], event["unique_id"]])


def profiles(items: Sequence[Item], settings: KlaviyoSettings) -> list[Part]:
    """A job; before it, one by one, those for whom a job would not do: it ignores nulls [bulk import, 2026-04-15]."""
    alone = [settings.profiles == "single" or records.clears(item) for item in items]
    parts = [Part("upsert", [item], [[index]]) for index, item in enumerate(items) if alone[index]]
    rest = [index for index in range(len(items)) if not alone[index]]
    return [*parts, _import([items[index] for index in rest], rest)] if rest else parts


def _import(items: Sequence[Item], rows: Sequence[int], about: dict[str, Any] | None = None) -> Part:
    """A job in which everybody is once: of those who are in it twice, Klaviyo may drop one [bulk import]."""
    places: dict[tuple[str, str], int] = {}
    merged: list[Item] = []
    owners: list[list[int]] = []
    for item, row in zip(items, rows, strict=True):
        place = places.setdefault(jobs.identity(item), len(merged))
        if place == len(merged):
            merged.append(item)
            owners.append([row])
        else:
            merged[place] = _merged(merged[place], item)
            owners[place].append(row)
    return Part("import", merged, owners, about or {})


def _merged(before: Item, after: Item) -> Item:
    """Two rows of one person, as if the second came after the first."""
    if before == after:
        return before
    properties = [item["attributes"].get("properties", {}) for item in (before, after)]
    unset = [item["meta"]["patch_properties"]["unset"] if "meta" in item else [] for item in (before, after)]
    kept = {name: value for name, value in properties[0].items() if name not in unset[1]} | properties[1]
    gone = [name for name in dict.fromkeys([*unset[0], *unset[1]]) if name not in properties[1]]
    found = {**before, **after, "attributes": {**before["attributes"], **after["attributes"], "properties": kept}}
    found.pop("meta", None)
    return found | ({"meta": {"patch_properties": {"unset": gone}}} if gone else {})


def consents(items: Sequence[Item], _settings: KlaviyoSettings) -> list[Part]:
    """A request for each list, source and kind of consent [spec]."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault((item["subscribe"], item["list"], item["historical"], item["source"]), []).append(index)
    found = []
    for (subscribe, where, historical, source), rows in groups.items():
        about = {"list": where, "historical": historical, "source": source}
        found += _cut("subscribe" if subscribe else "unsubscribe", items, rows, about, len(rows) if subscribe else _UNSUBSCRIBES)
    return found


def members(items: Sequence[Item], _settings: KlaviyoSettings) -> list[Part]:
    """Who joins a list by an address joins it by a job, who leaves it is looked up: lists know profile ids only [spec]."""
    groups: dict[tuple[str, bool, str], list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault((item["list"], item["member"], item["by"]), []).append(index)
    found = []
    for (where, member, by), rows in groups.items():
        about = {"list": where, "by": by}
        if by == "profile_id":
            found += _cut("join" if member else "leave", items, rows, about, len(rows))
        elif member:
            found.append(_import([items[index]["profile"] for index in rows], rows, about))
        else:
            found += _cut("find_and_leave", items, rows, about, _LOOKED_UP)
    return found


def deletions(items: Sequence[Item], _settings: KlaviyoSettings) -> list[Part]:
    """One request for one person; by external id, who has to be looked up, in two."""
    by = items[0]["by"]
    return _cut("find_and_delete" if by == "external_id" else "delete", items, [0], {"by": by}, 1)


def _cut(kind: str, items: Sequence[Item], rows: Sequence[int], about: dict[str, Any], most: int) -> list[Part]:
    """Parts of these rows with `most` objects each; rows that say the same share one object."""
    owners: dict[bytes, list[int]] = {}
    for index in rows:
        owners.setdefault(dumps(items[index]["profile"]), []).append(index)
    once = list(owners.values())
    cuts = [once[start : start + most] for start in range(0, len(once), most)]
    return [Part(kind, [items[rows[0]]["profile"] for rows in cut], cut, about) for cut in cuts]


# ── Parts into requests ─────────────────────────────────────────────────────────────────────


def _send(part: Part, settings: KlaviyoSettings) -> Request:
    return _SENDERS[part.kind](part, settings)


def _events(part: Part, settings: KlaviyoSettings) -> Request:
    attributes = {"events-bulk-create": {"data": part.items}}
    return post(settings, "/api/event-bulk-create-jobs", {"type": "event-bulk-create-job", "attributes": attributes})


def _subscribe(part: Part, settings: KlaviyoSettings) -> Request:
    attributes: dict[str, Any] = {"profiles": {"data": part.items}}
    if part.about["historical"]:
        attributes["historical_import"] = True  # required with `consented_at` [spec]
    if part.about["source"] is not None:
        attributes["custom_source"] = part.about["source"]
    return _consent("create", attributes, part, settings)


def _unsubscribe(part: Part, settings: KlaviyoSettings) -> Request:
    return _consent("delete", {"profiles": {"data": part.items}}, part, settings)


def _consent(verb: str, attributes: dict[str, Any], part: Part, settings: KlaviyoSettings) -> Request:
    data: dict[str, Any] = {"type": f"profile-subscription-bulk-{verb}-job", "attributes": attributes}
    if part.about["list"] is not None:
        data["relationships"] = {"list": {"data": {"type": "list", "id": part.about["list"]}}}
    return post(settings, f"/api/profile-subscription-bulk-{verb}-jobs", data)


def _members(part: Part, settings: KlaviyoSettings, method: str, ids: Sequence[str]) -> Request:
    data = [{"type": "profile", "id": one} for one in ids]
    return post(settings, f"/api/lists/{part.about['list']}/relationships/profiles", data, method)


def _ids(part: Part) -> list[str]:
    return [item["id"] for item in part.items]


def _look_up(part: Part, settings: KlaviyoSettings) -> Request:
    by = part.about["by"]
    wanted = dumps([item["attributes"][by] for item in part.items]).decode()
    return get(settings, "/api/profiles", {"filter": f"any({by},{wanted})", "fields[profile]": "id", "page[size]": "100"})


def _delete(settings: KlaviyoSettings, profile: Item) -> Request:
    data = {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": profile}}}
    return post(settings, "/api/data-privacy-deletion-jobs", data)


_SENDERS: dict[str, Callable[[Part, KlaviyoSettings], Request]] = {
    "event": lambda part, settings: post(settings, "/api/events", part.items[0]),
    "events": _events,
    "upsert": lambda part, settings: post(settings, "/api/profile-import", part.items[0]),
    "import": jobs.start,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "join": lambda part, settings: _members(part, settings, "POST", _ids(part)),
    "leave": lambda part, settings: _members(part, settings, "DELETE", _ids(part)),
    "find_and_leave": _look_up,
    "delete": lambda part, settings: _delete(settings, part.items[0]),
    "find_and_delete": _look_up,
}


# ── Answers into outcomes ───────────────────────────────────────────────────────────────────


def _read_accepted(response: Response, part: Part, state: State, settings: KlaviyoSettings) -> Answer | Done:
    """Taken as a whole, or refused with pointers to the items at fault, or neither."""
    if answers.is_accepted(response):
        return Done(state)
    pointed: dict[int, Any] | None = answers.pointed_at(response, part.items)
    if pointed is None:
        return answers.otherwise(response, part.items)
    return settle_some(part, state, pointed, _send, settings)


def _read_events(response: Response, part: Part, state: State, settings: KlaviyoSettings) -> Answer | Done:
    """As the others; but an event whose unique_id Klaviyo has is there: our own first try brought it, say.

    Its pages differ on whether a repeat in a later request is refused [spec] or discarded [events].
    """
    pointed: dict[int, Any] | None = answers.pointed_at(response, part.items)
    if pointed is None or settings.repeated_events == "reject":
        return _read_accepted(response, part, state, settings)
    repeated = {answers.place(answers.pointer(e)) for e in answers.errors(response) if answers.pointer(e).endswith("/unique_id")}
    known = {index: DELIVERED if index in repeated else outcome for index, outcome in pointed.items()}
    return settle_some(part, state, known, _send, settings)


def _read_upsert(response: Response, part: Part, state: State, _settings: KlaviyoSettings) -> Answer | Done:
    document = answers.document(response)
    if response.status in (200, 201) and document is not None and isinstance(document.get("data"), dict):
        return Done(state)
    pointed = answers.pointed_at(response, part.items)
    return answers.otherwise(response, part.items) if pointed is None else Done(state.knowing(part, pointed))


def _read_look_up(response: Response, part: Part, state: State, settings: KlaviyoSettings) -> Answer | Done:
    """First who they are, then what is to be done with them. Who is not known is in no list, and is gone."""
    if state.step == "act":
        return _read_accepted(response, part, state, settings)
    document = answers.document(response) or {}
    if response.status != 200 or not isinstance(document.get("data"), list):
        return answers.otherwise(response, part.items)
    ids = [found["id"] for found in document["data"] if isinstance(found, dict) and isinstance(found.get("id"), str)]
    if not ids:
        return Done(state)
    if part.kind == "find_and_leave":
        return state.follow(_members(part, settings, "DELETE", ids), "act")
    return state.follow(_delete(settings, {"type": "profile", "id": ids[0], "attributes": {}}), "act")


_READERS: dict[str, Callable[[Response, Part, State, KlaviyoSettings], Answer | Done]] = {
    "event": _read_accepted,
    "events": _read_events,
    "upsert": _read_upsert,
    "import": jobs.read,
    "subscribe": _read_accepted,
    "unsubscribe": _read_accepted,
    "join": _read_accepted,
    "leave": _read_accepted,
    "find_and_leave": _read_look_up,
    "delete": _read_accepted,
    "find_and_delete": _read_look_up,
}
