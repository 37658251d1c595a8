"""The generic HTTP destination: what a description makes of rows, requests and answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from rowferry.destinations._http_settings import HttpSettings
from rowferry.destinations.http import DESTINATION
from rowferry.destinations.port import (
    DELIVERED,
    Again,
    Answer,
    Refused,
    Rejected,
    Settled,
    SlowDown,
    Split,
    TryAgain,
)
from rowferry.errors import RowRejected, UsageError
from rowferry.settings.problems import to_problems
from rowferry.wire import Request, Response
from support.vendors.http import IN_HOUSE, described

EVENT, PROFILE = DESTINATION.actions["event"], DESTINATION.actions["profile"]
PLAIN: dict[str, Any] = {"vendor": "http", "url": "https://api.example.com/v1/events"}
AT = datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)


def settings(**more: Any) -> HttpSettings:
    """A plain description with these keys besides, its secrets resolved."""
    found = HttpSettings.model_validate({**PLAIN, **more})
    return found.resolved(lambda reference: f"value-of-{reference}")


def request_of(fields: Mapping[str, Any], **more: Any) -> Request:
    """The request that one row becomes."""
    found = settings(**more)
    return EVENT.build([EVENT.to_payload(fields, found)], found)


def body_of(fields: Mapping[str, Any], **more: Any) -> Any:
    """The JSON body that one row becomes."""
    return orjson.loads(request_of(fields, **more).body)


def code_of(fields: Mapping[str, Any], **more: Any) -> str:
    """The code with which a row is refused before it leaves."""
    with pytest.raises(RowRejected) as refused:
        EVENT.to_payload(fields, settings(**more))
    return refused.value.code


def problems_of(**more: Any) -> dict[str, str]:
    """What `check` says of a description, by path."""
    raw = {**PLAIN, **more}
    with pytest.raises(ValidationError) as refused:
        HttpSettings.model_validate(raw)
    return {problem.path: problem.problem for problem in to_problems(refused.value, raw, "", HttpSettings)}


# ── Bodies ──────────────────────────────────────────────────────────────────────────────────


def test_without_a_body_the_fields_go_as_they_are() -> None:
    """The simplest description is an address: names and types stay, times are ISO 8601 in UTC."""
    fields = {"id": 7, "total": Decimal("12.50"), "on": date(2026, 1, 31), "at": AT, "vip": True, "gone": None, "tags": ["a", 1]}
    assert body_of(fields) == {
        "id": 7,
        "total": 12.5,
        "on": "2026-01-31",
        "at": "2026-01-31T12:00:00.123456Z",
        "vip": True,
        "gone": None,
        "tags": ["a", 1],
    }


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{total}", 12.5),
        ("{missing}", "absent"),
        ("{gone}", None),
        ("{first} {last}", "Ada Lovelace"),
        ("{first}{missing}", "Ada"),
        ("{missing}{absent}", "absent"),
        ("constant", "constant"),
        (7, 7),
        (None, None),
        (["{first}", "{missing}", {"deep": "{last}"}], ["Ada", {"deep": "Lovelace"}]),
        ({"inner": "{missing}"}, "absent"),
        ({}, {}),
        ("{{ total * 100 }}", 1250),
        ("{{ missing }}", "absent"),
        ("{{ missing.deeper }}", "absent"),
        ("{{ gone }}", "absent"),
        ("{{ first | upper }}", "ADA"),
        ("{{ first }}-{{ last }}", "Ada-Lovelace"),
        ("{% if vip %}gold{% else %}blue{% endif %}", "gold"),
        ("{{ 'big' if total > 10 else 'small' }}", "big"),
        ("{{ at | epoch }}", 1769860800),
        ("{{ at | epoch_millis }}", 1769860800123),
        ("{{ at | iso }}", "2026-01-31T12:00:00.123456Z"),
        ("{{ (at | strftime('%Y-%m-%d %H:%M:%S.%f'))[:-3] }}", "2026-01-31 12:00:00.123"),
        ("{{ missing | epoch }}", "absent"),
        ("{{ address.city }}", "Bern"),
        ("{{ address.items }}", "absent"),
        ("{{ address | tojson }}", '{"city":"Bern"}'),
        ("{Order ID}", "o-1"),
    ],
)
def test_templates(template: Any, found: Any) -> None:
    """A whole placeholder keeps its type, a text is a text, an expression computes; what is not there leaves its key out."""
    fields = {
        "first": "Ada",
        "last": "Lovelace",
        "total": Decimal("12.50"),
        "gone": None,
        "vip": True,
        "at": AT,
        "address": {"city": "Bern"},
        "Order ID": "o-1",
    }
    assert body_of(fields, body={"found": template, "rest": "{rest}"}).get("found", "absent") == found


def test_fields_that_no_template_uses_go_as_they_are() -> None:
    """A template that renames two fields does not lose the third."""
    fields = {"name": "Bought", "time": AT, "total": 5}
    assert body_of(fields, body={"event": "{name}", "ts": "{{ time | epoch }}"}) == {"event": "Bought", "ts": 1769860800, "total": 5}


def test_rest_puts_the_other_fields_in_their_place() -> None:
    """With `rest` the fields that nothing else uses stand where the template says, as an object or as JSON text."""
    fields = {"name": "Bought", "total": 5, "sku": "A"}
    assert body_of(fields, body={"event": "{name}", "properties": "{rest}"}) == {"event": "Bought", "properties": {"total": 5, "sku": "A"}}
    as_text = {"event": "{name}", "value": "{{ (rest | tojson) if rest else '' }}"}
    assert body_of(fields, body=as_text)["value"] == '{"total":5,"sku":"A"}'
    assert body_of({"name": "Bought"}, body=as_text)["value"] == ""


def test_values_are_never_templates() -> None:
    """What a row holds is data, whatever it looks like."""
    attack = "{{ 7 * 7 }}{% for i in 'ab' %}x{% endfor %}{name}"
    assert body_of({"name": "n", "text": attack}, body={"a": "{text}", "b": "<{text}>", "c": "{{ text }}", "d": "{{ text }}!"}) == {
        "name": "n",
        "a": attack,
        "b": f"<{attack}>",
        "c": attack,
        "d": attack + "!",
    }


@pytest.mark.parametrize(
    "template",
    [
        "{{ broken",
        "{{ range(10) }}",
        "{{ name.strip() }}",
        "{{ 2 ** 9 }}",
        "{% for x in %}",
        "{{ name | no_such_filter }}",
        "{{ ''.__class__.mro() }}",
    ],
)
def test_templates_that_are_none_are_found_at_check(template: str) -> None:
    """A mistake in a template is a problem of the settings file, not of the first row."""
    assert list(problems_of(body={"deep": [template]})) == ["body"]


@pytest.mark.parametrize("template", ["{{ name * 5 }}", "{{ name + 5 }}", "{{ name | epoch }}", "{{ 1 / zero }}"])
def test_a_row_that_a_template_can_not_take_is_rejected(template: str) -> None:
    """The template's fault in one row costs that row, and the reason says nothing of its value."""
    with pytest.raises(RowRejected) as refused:
        EVENT.to_payload({"name": "secret-name", "zero": 0}, settings(body={"a": template}))
    assert "secret-name" not in str(refused.value)


def test_python_stays_out_of_reach() -> None:
    """`a.__class__` is a field of that name, which no row has."""
    assert body_of({"name": "n"}, body={"a": "{{ name.__class__ }}", "b": "{{ name.upper }}", "n": "{name}"}) == {"n": "n"}


def test_forms_are_texts() -> None:
    """A form holds texts: booleans as JSON has them, objects as JSON, nothing for NULL."""
    request = request_of({"a": "ä &=", "b": True, "c": {"k": [1]}, "d": None, "e": 1.5}, encoding="form")
    assert request.body == b"a=%C3%A4+%26%3D&b=true&c=%7B%22k%22%3A%5B1%5D%7D&d=&e=1.5"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert code_of({"a": 1}, encoding="form", body=["{a}"]) == "not_a_form"


@pytest.mark.parametrize(
    ("fields", "more", "code"),
    [
        ({"total": float("nan")}, {}, "not_a_number"),
        ({"raw": b"bytes"}, {}, "wrong_type"),
        ({"text": "\ud800"}, {}, "not_json"),
        ({"a": "x" * 1000}, {"limits": {"bytes": 1000}}, "row_too_large"),
        ({"a": "x" * 100}, {"limits": {"row_bytes": 100}}, "row_too_large"),
        ({"a": 1}, {"required": ["b"]}, "missing_field"),
        ({"a": 1, "b": ""}, {"required": ["b"]}, "missing_field"),
        ({"a": 1, "b": None}, {"identifiers": ["b", "c"]}, "missing_identifier"),
        ({"app": "123"}, {"patterns": {"app": "id[0-9]+"}}, "not_as_described"),
        ({"app": "id123x"}, {"patterns": {"app": "id[0-9]+"}}, "not_as_described"),
    ],
)
def test_rows_that_break_the_description_are_refused(fields: dict[str, Any], more: dict[str, Any], code: str) -> None:
    """Required fields, patterns and limits hold before anything leaves."""
    assert code_of(fields, **more) == code


def test_limits_are_reached_exactly() -> None:
    """A row of exactly the limit leaves."""
    size = len(EVENT.to_payload({"a": "x" * 50}, settings()))
    assert len(EVENT.to_payload({"a": "x" * 50}, settings(limits={"row_bytes": size}))) == size
    assert code_of({"a": "x" * 51}, limits={"row_bytes": size}) == "row_too_large"


# ── Requests ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("more", "body", "kind"),
    [
        ({"batch": "array"}, b'[{"a":1},{"a":2}]', "application/json"),
        ({"batch": "ndjson"}, b'{"a":1}\n{"a":2}\n', "application/x-ndjson"),
        ({"batch": "wrapped"}, b'{"records":[{"a":1},{"a":2}]}', "application/json"),
        ({"batch": "wrapped", "wrap": "users"}, b'{"users":[{"a":1},{"a":2}]}', "application/json"),
        (
            {"batch": "wrapped", "wrap": {"v": 1, "in": {"users": "{rows}"}}},
            b'{"v":1,"in":{"users":[{"a":1},{"a":2}]}}',
            "application/json",
        ),
    ],
)
def test_batches(more: dict[str, Any], body: bytes, kind: str) -> None:
    """Rows go as a list, as lines, or inside of a body; the limits know the envelope's size to the byte."""
    found = settings(**more, limits={"rows": 2})
    batch = [EVENT.to_payload({"a": number}, found) for number in (1, 2)]
    request = EVENT.build(batch, found)
    limits = EVENT.limits(found)
    assert (request.body, request.headers["Content-Type"]) == (body, kind)
    assert len(body) == limits.envelope_bytes + sum(map(len, batch)) + 1
    assert (limits.batch_rows, limits.body_bytes) == (2, 1_000_000)


def test_one_row_a_request_is_the_default() -> None:
    """Whatever `limits.rows` says, batch: one is one."""
    assert EVENT.limits(settings(limits={"rows": 50})).batch_rows == 1


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"scheme": "bearer", "token": "env:T"}, ("Authorization", "Bearer value-of-env:T")),
        ({"scheme": "basic", "username": "ann", "password": "secret:P"}, ("Authorization", "Basic YW5uOnZhbHVlLW9mLXNlY3JldDpQ")),
        ({"scheme": "header", "name": "X-Api-Key", "value": "env:K"}, ("X-Api-Key", "value-of-env:K")),
    ],
)
def test_keys_go_in_headers_and_show_nowhere(auth: dict[str, Any], header: tuple[str, str]) -> None:
    """Each scheme puts the key where it belongs; no repr of settings or request has it."""
    request = request_of({"a": 1}, auth=auth)
    assert request.headers[header[0]] == header[1]
    assert "value-of" not in repr(request) + repr(settings(auth=auth)) + settings(auth=auth).model_dump_json()


def test_a_key_in_the_address_is_the_last_resort() -> None:
    """Where an API wants it so; the address shows without its query."""
    request = request_of({"a": 1}, auth={"scheme": "query", "name": "api key", "value": "env:K"})
    assert request.url == "https://api.example.com/v1/events?api+key=value-of-env%3AK"
    assert "value-of" not in repr(request)


def test_headers_are_constants_or_secrets() -> None:
    """A header's value stands in the file unless it is a secret; the content type can be another."""
    request = request_of({"a": 1}, headers={"X-Tenant": "acme", "X-Api-Key": "secret:K", "Content-Type": "application/vnd.acme+json"})
    assert request.headers == {"X-Tenant": "acme", "X-Api-Key": "value-of-secret:K", "Content-Type": "application/vnd.acme+json"}


def test_base_url_replaces_scheme_and_host() -> None:
    """A sandbox takes all requests, with their paths."""
    assert request_of({"a": 1}, base_url="http://127.0.0.1:8080").url == "http://127.0.0.1:8080/v1/events"


def test_a_row_can_have_an_address_and_headers_of_its_own() -> None:
    """REST as usual: the fields in the address are quoted, are identifiers, and are not in the body again."""
    more = {
        "url": "https://crm.example.com/customers/{id}",
        "method": "PATCH",
        "headers": {"Idempotency-Key": "{idempotency_key}", "X-Tenant": "acme"},
    }
    request = request_of({"id": "a/b ü", "tier": "gold", "idempotency_key": "k1"}, **more)
    assert (request.method, request.url) == ("PATCH", "https://crm.example.com/customers/a%2Fb%20%C3%BC")
    assert (request.headers["Idempotency-Key"], request.headers["X-Tenant"], request.body) == ("k1", "acme", b'{"tier":"gold"}')
    assert EVENT.identifiers(["id", "tier"], settings(**more)) == {"id"}
    own_host = request_of({"id": 7, "idempotency_key": "k"}, **more, base_url="http://127.0.0.1:9")
    assert own_host.url == "http://127.0.0.1:9/customers/7"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"id": None, "k": "v"}, "missing_field"),
        ({"id": "", "k": "v"}, "missing_field"),
        ({"id": "..", "k": "v"}, "not_an_address"),
        ({"id": ".", "k": "v"}, "not_an_address"),
        ({"id": "1"}, "not_a_header"),
        ({"id": "1", "k": "a\r\nX-Evil: 1"}, "not_a_header"),
        ({"id": "1", "k": "ü"}, "not_a_header"),
    ],
)
def test_a_row_never_bends_its_request(fields: dict[str, Any], code: str) -> None:
    """No value leads to another address or adds a header."""
    assert code_of(fields, url="https://crm.example.com/c/{id}", headers={"X-K": "{k}"}) == code


def test_a_delete_without_a_body_has_none() -> None:
    """DELETE /customers/7 and nothing else."""
    request = request_of({"id": 7}, url="https://crm.example.com/customers/{id}", method="DELETE")
    assert (request.method, request.url, request.body) == ("DELETE", "https://crm.example.com/customers/7", b"")


def test_the_idempotency_key_goes_only_where_it_is_asked_for() -> None:
    """The engine fills it for events; an API that does not know it never sees it."""
    assert EVENT.idempotency == "idempotency_key"
    assert PROFILE.idempotency is None
    assert body_of({"a": 1, "idempotency_key": "k1"}) == {"a": 1}
    assert body_of({"a": 1, "idempotency_key": "k1"}, body={"request_id": "{idempotency_key}"}) == {"request_id": "k1", "a": 1}


# ── Settings and the map ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"url": "http://api.example.com/v1"}, "url"),
        ({"url": "https://{tenant}.example.com/v1"}, "url"),
        ({"method": "GET"}, "method"),
        ({"auth": {"scheme": "bearer", "token": "plain-text"}}, "auth.token"),
        ({"auth": {"scheme": "magic"}}, "auth"),
        ({"headers": {"X-Api-Key": "plain-text"}}, "headers"),
        ({"headers": {"X Key": "a"}}, "headers.X Key"),
        ({"batch": "array", "url": "https://api.example.com/{id}"}, "batch"),
        ({"batch": "ndjson", "encoding": "form"}, "batch"),
        ({"batch": "wrapped", "wrap": {"rows": "here"}}, "wrap"),
        ({"patterns": {"a": "("}}, "patterns.a"),
        ({"outcome": {"success": "a ==="}}, "outcome.success"),
        ({"outcome": {"rules": [{"status": 42, "then": "again"}]}}, "outcome.rules.0.status"),
        ({"outcome": {"rules": [{"status": 400, "then": "panic"}]}}, "outcome.rules.0.then"),
        ({"outcome": {"errors": {"index": "i"}}}, "outcome.errors.at"),
    ],
)
def test_wrong_descriptions_are_refused(more: dict[str, Any], path: str) -> None:
    """Each mistake is told at its key, without a secret that stood there."""
    problems = problems_of(**more)
    assert list(problems) == [path]
    assert "plain-text" not in str(problems)


def test_check_asks_for_what_the_description_requires() -> None:
    """Required fields and one identifier must be mapped; nothing else is asked for."""
    found = settings(identifiers=["id", "email"], required=["name"], url="https://api.example.com/{tenant}")
    assert [problem.path for problem in EVENT.check({"email": None}, found)] == ["name", "tenant"]
    assert [problem.path for problem in EVENT.check({"name": None, "tenant": None}, found)] == [""]
    assert list(EVENT.check({"name": None, "tenant": None, "id": None}, found)) == []


def test_check_finds_fields_without_a_place() -> None:
    """A body that is no mapping takes only what it names: what else is mapped would be lost."""
    found = settings(body=["{a}", "{b}"])
    assert [problem.path for problem in EVENT.check({"a": None, "b": None, "c": None}, found)] == ["c"]


def test_a_profile_needs_an_identifier() -> None:
    """Changed attributes alone would not say whose they are; and a key per row would hide the next change."""
    assert [problem.hint for problem in PROFILE.check({"tier": None}, settings())] == [
        "set identifiers on the destination, e.g. [customer_id]"
    ]
    keyed = settings(identifiers=["id"], body={"id": "{id}", "key": "{idempotency_key}"})
    assert [problem.hint for problem in PROFILE.check({"id": None}, keyed)] == ["leave it out"]


def test_an_address_from_the_environment_is_read_anew() -> None:
    """`url: env:NAME` may hold placeholders; they count once the address is known."""
    raw = {**PLAIN, "url": "env:CRM_URL"}
    found = HttpSettings.model_validate(raw).resolved(lambda _: "https://crm.example.com/c/{id}")
    request = EVENT.build([EVENT.to_payload({"id": 7, "a": 1}, found)], found)
    assert (request.url, request.body) == ("https://crm.example.com/c/7", b'{"a":1}')


def test_an_address_from_the_environment_has_a_host_of_its_own() -> None:
    """A host with a placeholder would send the key wherever a row says; it is refused wherever it comes from."""
    found = HttpSettings.model_validate({**PLAIN, "url": "env:CRM_URL"})
    with pytest.raises(UsageError, match="can't choose the host"):
        found.resolved(lambda _: "https://{host}/c")


def test_a_slash_at_the_end_of_the_address_stays() -> None:
    """Some APIs answer a redirect without it."""
    assert request_of({"a": 1}, url="https://api.example.com/v1/").url == "https://api.example.com/v1/"
    assert request_of({"a": 1}, url="https://api.example.com/v1/", base_url="http://127.0.0.1:9/").url == "http://127.0.0.1:9/v1/"


def test_a_map_can_be_checked_though_the_body_is_broken() -> None:
    """`check` tells all problems at once: one in the body does not hide those in a map."""
    broken = HttpSettings.model_validate({**PLAIN, "body": ["{{ broken"], "required": ["name"]}, context={"lenient": True})
    assert [problem.path for problem in PROFILE.check({}, broken)] == ["name", ""]


# ── Answers ─────────────────────────────────────────────────────────────────────────────────


def read(status: int, body: Any, rows: int = 3, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    """What an answer to a batch of rows means."""
    found = settings(**{"batch": "array", **more})
    batch = [EVENT.to_payload({"id": f"value-{index}", "email": "nobody"}, found) for index in range(rows)]
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return EVENT.read(Response(status, raw, headers or {}), batch, found, "")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", Settled),
        (200, b"OK", Settled),
        (202, {"queued": True}, Settled),
        (204, b"", Settled),
        (200, b"  <!DOCTYPE html><html>", TryAgain),
        (200, b"<html>sign in</html>", TryAgain),
        (302, b"", Refused),
        (400, b"", Split),
        (401, b"", Refused),
        (403, b"", Refused),
        (404, b"", Refused),
        (408, b"", TryAgain),
        (413, b"", Split),
        (422, b"", Split),
        (429, b"", SlowDown),
        (500, b"", TryAgain),
        (503, b"<html>", TryAgain),
    ],
)
def test_without_an_outcome_a_status_means_what_it_usually_means(status: int, body: Any, kind: type[Answer]) -> None:
    """A 2xx delivers the batch, unless a web page stands where an answer should."""
    assert isinstance(read(status, body), kind)


def test_success_is_what_the_description_says() -> None:
    """A 200 that fails the test is no delivery; one that can't be read is asked for again."""
    outcome = {"success": "status == 'ok'"}
    assert read(200, {"status": "ok"}, outcome=outcome) == Settled([DELIVERED] * 3)
    assert isinstance(read(200, {"status": "error"}, outcome=outcome), Split)
    assert isinstance(read(200, {"no": "status"}, outcome=outcome), Split)
    assert isinstance(read(200, b'{"status":"o', outcome=outcome), TryAgain)
    assert isinstance(read(200, b"", outcome=outcome), TryAgain)


def test_errors_by_row() -> None:
    """Listed rows are rejected with the API's words, without what it quotes; rows it calls passing go once more."""
    outcome = {"errors": {"at": "errors", "index": "row", "first": 1, "message": "why", "again": "retry"}}
    body = {"errors": [{"row": 2, "why": "value-1 is no id"}, {"row": "3", "why": "busy", "retry": True}]}
    assert read(200, body, outcome=outcome) == Settled(
        [DELIVERED, Rejected("refused_by_vendor", "the API said: … is no id"), Again("the API said: busy")]
    )
    assert read(200, {"errors": []}, outcome=outcome) == Settled([DELIVERED] * 3)


def test_errors_by_row_in_an_answer_that_is_no_success() -> None:
    """When the whole request did not work, rows that no error names are not taken for delivered."""
    outcome = {"success": "ok", "errors": {"at": "errors", "message": "m"}}
    answer = read(200, {"ok": False, "errors": [{"index": 0, "m": "bad"}]}, outcome=outcome)
    assert isinstance(answer, Settled)
    assert [type(found) for found in answer.outcomes] == [Rejected, Again, Again]


def test_errors_by_row_under_a_400_send_the_others_again() -> None:
    """A request that was refused for one row was refused for all: the good ones go once more, without it."""
    outcome = {"errors": {"at": "errors", "message": "m"}}
    answer = read(400, {"errors": [{"index": 0, "m": "bad"}]}, outcome=outcome)
    assert isinstance(answer, Settled)
    assert [type(found) for found in answer.outcomes] == [Rejected, Again, Again]


@pytest.mark.parametrize("errors", [["what?"], [{"index": 3}], [{"index": -1}], [{"index": "x"}], [{"index": None}], [None]])
def test_errors_that_name_no_row_split_the_batch(errors: list[Any]) -> None:
    """No row is rejected on a guess; a batch of one needs no number."""
    outcome = {"errors": {"at": "errors"}}
    assert isinstance(read(200, {"errors": errors}, outcome=outcome), Split)
    alone = read(200, {"errors": errors}, rows=1, outcome=outcome)
    assert isinstance(alone, Settled)
    assert isinstance(alone.outcomes[0], Rejected)


@pytest.mark.parametrize(
    ("then", "kind"), [("delivered", Settled), ("reject", Split), ("again", TryAgain), ("slow_down", SlowDown), ("refuse", Refused)]
)
def test_rules_come_first(then: str, kind: type[Answer]) -> None:
    """A rule for a status replaces what the status usually means, and keeps the pause that is asked for."""
    answer = read(409, b"", headers={"retry-after": "3"}, outcome={"rules": [{"status": 409, "then": then}]})
    assert isinstance(answer, kind)
    assert not isinstance(answer, TryAgain | SlowDown) or answer.wait_seconds == 3.0


def test_a_rule_holds_only_when_its_condition_does() -> None:
    """The first rule whose status and condition hold decides; a condition that does not fit the answer holds not."""
    rules = [
        {"status": [400, 409], "when": "contains(error, 'duplicate')", "then": "delivered"},
        {"status": 400, "when": "contains(@, 'authenticate')", "then": "refuse"},
    ]
    outcome = {"rules": rules}
    assert isinstance(read(409, {"error": "duplicate key"}, outcome=outcome), Settled)
    assert isinstance(read(400, b"Failed to authenticate", outcome=outcome), Refused)
    assert isinstance(read(400, {"error": "other"}, outcome=outcome), Split)
    assert isinstance(read(400, {"error": 7}, outcome=outcome), Split)
    assert isinstance(read(400, b"", outcome=outcome), Split)


@pytest.mark.parametrize("status", [404, 409, 410])
def test_not_found_is_about_the_row_when_the_address_is_its_own(status: int) -> None:
    """PATCH /customers/7 may find no customer 7, which says nothing of the others."""
    found = settings(url="https://crm.example.com/customers/{id}")
    batch = [EVENT.to_payload({"id": "value-7", "a": 1}, found)]
    assert isinstance(EVENT.read(Response(status, b"no"), batch, found, ""), Split)


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 429, 500])
def test_reasons_never_quote_the_row(status: int) -> None:
    """An API that repeats what it was sent does not get it into our error texts."""
    answer = read(status, {"message": "value-1 and nobody are wrong"}, outcome={"rules": [{"status": 409, "then": "refuse"}]})
    assert not isinstance(answer, Settled)
    assert "value-1" not in str(answer)
    assert "nobody" not in str(answer)


def test_the_probe_asks_and_changes_nothing() -> None:
    """A GET of the probe's path, or of the address as far as no row fills it in; a 404 says nothing of the key."""
    bearer = {"scheme": "bearer", "token": "env:T"}
    probe = DESTINATION.probe(settings(url="https://crm.example.com/customers/{id}", auth=bearer))
    assert (probe.method, probe.url, probe.headers["Authorization"]) == (
        "GET",
        "https://crm.example.com/customers/",
        "Bearer value-of-env:T",
    )
    assert DESTINATION.probe(settings(probe="/health", base_url="http://127.0.0.1:9")).url == "http://127.0.0.1:9/health"
    assert DESTINATION.read_probe(Response(404)) is None
    for status in (401, 403, 500):
        assert str(status) in (DESTINATION.read_probe(Response(status)) or "")


def test_the_pace_is_the_settings() -> None:
    """An unknown API gets ten requests at once and no rate, unless the description knows better."""
    assert (DESTINATION.pace(settings()).per_second, DESTINATION.pace(settings()).in_flight) == (None, 10)
    assert DESTINATION.pace(settings(per_second=5, in_flight=2)).per_second == 5


def test_the_suites_example_is_a_description_like_any_other() -> None:
    """The in-house API of the contract suite: identifiers first, all other fields as they are."""
    found = described(IN_HOUSE, "http://127.0.0.1:9")
    assert orjson.loads(PROFILE.to_payload({"id": 7, "email": "a@b.co", "first_name": "Ada", "tier": "gold"}, found)) == {
        "id": "7",
        "email": "a@b.co",
        "name": "Ada",
        "tier": "gold",
    }
