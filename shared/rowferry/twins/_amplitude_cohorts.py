"""The cohorts of Amplitude's twin: listed, made by upload, changed by membership.

Source: https://amplitude.com/docs/apis/analytics/behavioral-cohorts, read 2026-03 to 2026-11; that an upload needs a
known user is from Segment's amplitude-cohorts at 970a17e.
"""

from __future__ import annotations

import base64
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import orjson

from rowferry.twins.server import Call
from rowferry.wire import Response

_MOST_IDS = 100_000


@dataclass
class Cohorts:
    """`members` by cohort's id, `names` and `apps` (projects) the same way. `known` are users that Amplitude has besides those with events;
    `knows_all` spares a test from naming them. `busy`: so many of the next changes earn 429, as two at once do."""

    members: dict[str, set[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    apps: dict[str, int] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    knows_all: bool = False
    busy: int = 0

    def make(self, name: str, app: int = 1) -> str:
        """A new, empty cohort; its id."""
        cohort = f"cohort{len(self.names) + 1}"
        self.names[cohort], self.apps[cohort], self.members[cohort] = name, app, set()
        return cohort

    def sizes(self) -> dict[str, int]:
        """How many are in each, by name."""
        return {name: len(self.members[cohort]) for cohort, name in self.names.items()}

    def answer(self, call: Call, api_key: str | None, secret_key: str | None, seen: AbstractSet[str]) -> Response:
        """What the API says; `seen` are the users with events or properties."""
        kind, _, token = call.headers.get("authorization", "").partition(" ")
        key, _, secret = base64.b64decode(token).decode().partition(":") if kind == "Basic" else ("", "", "")
        if not key or not secret or (api_key or key, secret_key or secret) != (key, secret):
            return _json(401, {"error": "Unauthorized"})
        if (call.method, call.path) == ("GET", "/api/3/cohorts"):
            listed = [
                {"id": cohort, "name": name, "appId": self.apps[cohort], "archived": False, "size": len(self.members[cohort])}
                for cohort, name in self.names.items()
            ]
            return _json(200, {"cohorts": listed})
        routes = {"/api/3/cohorts/upload": self._upload, "/api/3/cohorts/membership": self._change}
        if call.method != "POST" or call.path not in routes:
            return _json(404, {"error": "Not Found"})
        if self.busy:
            self.busy -= 1
            return _json(429, {"error": "Another change of this cohort is under way"})
        try:
            body = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            return _json(400, {"error": "Invalid JSON"})
        return routes[call.path](body, seen | self.known)

    def _knows(self, who: str, known: AbstractSet[str]) -> bool:
        return self.knows_all or who in known

    def _upload(self, body: dict[str, Any], known: AbstractSet[str]) -> Response:
        if not all(body.get(name) for name in ("name", "app_id", "ids", "owner")) or body.get("id_type") not in ("BY_USER_ID", "BY_AMP_ID"):
            return _json(400, {"error": "name, app_id, id_type, ids and owner are required"})
        taken = {who for who in body["ids"] if self._knows(who, known)}
        if not taken or len(body["ids"]) > _MOST_IDS or (len(taken) < len(set(body["ids"])) and not body.get("skip_invalid_ids", True)):
            return _json(400, {"error": "There are no valid ids, or too many"})
        cohort = body.get("existing_cohort_id") or self.make(body["name"], body["app_id"])
        self.members[cohort] = taken
        return _json(200, {"cohortId": cohort})

    def _change(self, body: dict[str, Any], known: AbstractSet[str]) -> Response:
        cohort, results = body.get("cohort_id"), []
        changes = body.get("memberships")
        if cohort not in self.members or not isinstance(changes, list) or sum(len(change["ids"]) for change in changes) > _MOST_IDS:
            return _json(400, {"error": "cohort_id or memberships is invalid"})
        for change in changes:
            if change.get("id_type") not in ("BY_NAME", "BY_ID") or change.get("operation") not in ("ADD", "REMOVE"):
                return _json(400, {"error": "id_type or operation is invalid"})
            taken = {who for who in change["ids"] if self._knows(who, known)}
            skipped = sorted(set(change["ids"]) - taken)
            if skipped and not body.get("skip_invalid_ids", True):
                return _json(400, {"error": f"Invalid ids: {skipped}"})
            self.members[cohort] = self.members[cohort] | taken if change["operation"] == "ADD" else self.members[cohort] - taken
            results.append({"skipped_ids": skipped, "operation": change["operation"]})
        return _json(200, {"cohort_id": cohort, "memberships_result": results})


def _json(status: int, document: dict[str, Any]) -> Response:
    return Response(status, orjson.dumps(document), {"content-type": "application/json"})
