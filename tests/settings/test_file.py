"""Reading settings files: one or a folder, every problem at once, in the file's order, with its line, and never a secret."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.errors import SettingsError
from rowferry.settings.check import check
from rowferry.settings.file import parse_settings, read_settings
from support.settings_text import BASE, changed, problems, read, read_problems

HEAD = "rowferry: 1\nwarehouse: {engine: duckdb, path: w.duckdb}\nstate: state\n"
DATABASE = "databases:\n  shop: {url: secret:shop-url}\n"


def _errors(path: Path | None, environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings(path, environment)
    return str(caught.value)


def test_reads_a_file(tmp_path: Path) -> None:
    """A small file becomes frozen models; what is left out has its default."""
    found = read(tmp_path, HEAD + DATABASE)
    assert found.databases["shop"].url.reference == "secret:shop-url"
    assert found.warehouse.dataset == "rowferry"
    assert found.feeds == {} and found.exports is None


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    """State, exports and the warehouse's file are below the settings file's folder, wherever the command was called."""
    found = read(tmp_path, HEAD.replace("state: state", "state: ./my state\nexports: file:exports"))
    assert found.state == (tmp_path / "my state").as_uri()
    assert found.exports == (tmp_path / "exports").as_uri()
    assert found.warehouse.file == tmp_path / "w.duckdb"


@pytest.mark.parametrize(
    "state", ["/srv/state", "file:///srv/state", "file:///srv/state/", "file://localhost/srv/state", "file:/srv/state"]
)
def test_whole_paths_stay(tmp_path: Path, state: str) -> None:
    """A folder named from the root is the same one in each of its spellings."""
    assert read(tmp_path, HEAD.replace("state: state", f"state: {state}")).state == "file:///srv/state"


@pytest.mark.parametrize("state", ["gs://acme-state", "gs://acme-state/", "s3://acme-state/prefix/x"])
def test_buckets_stay(tmp_path: Path, state: str) -> None:
    """A bucket's address is kept, without a slash at its end."""
    assert read(tmp_path, HEAD.replace("state: state", f"state: {state}")).state == state.rstrip("/")


def test_folder_is_merged(tmp_path: Path) -> None:
    """All *.yaml of a folder are one file; sections are put together, other files are left alone."""
    (tmp_path / "a.yaml").write_text(HEAD + DATABASE)
    (tmp_path / "b.yaml").write_text("rowferry: 1\ndatabases: {crm: {url: 'env:CRM_URL'}}\n")
    (tmp_path / "notes.txt").write_text("{{{")
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "c.yaml").write_text("{{{")
    assert list(read_settings(tmp_path, {}).databases) == ["shop", "crm"]


def test_a_name_in_two_files_names_both(tmp_path: Path) -> None:
    """A name that two files define is a problem with both places, and so is a section's value that differs."""
    (tmp_path / "a.yaml").write_text(HEAD + DATABASE)
    (tmp_path / "b.yaml").write_text("state: other\n" + DATABASE)
    said = _errors(tmp_path, {})
    assert "databases.shop: stands in two places: a.yaml, line 5 and b.yaml, line 3" in said
    assert "state: stands in two places: a.yaml, line 3 and b.yaml, line 1" in said


def test_yml_files_are_told(tmp_path: Path) -> None:
    """A file that Terraform would not read is not read by us either, and never left out in silence."""
    (tmp_path / "a.yaml").write_text(HEAD)
    (tmp_path / "b.yml").write_text(DATABASE)
    assert "b.yml: is not read (rename it to end in .yaml" in _errors(tmp_path, {})


def test_where_settings_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path given wins over ROWFERRY_CONFIG, which wins over infra/pipelines."""
    for folder in ("given", "named", "infra/pipelines"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.yaml").write_text(HEAD.replace("state: state", f"state: gs://{folder[:5]}-state"))
    monkeypatch.chdir(tmp_path)
    environment = {"ROWFERRY_CONFIG": str(tmp_path / "named")}
    assert read_settings(tmp_path / "given", environment).state == "gs://given-state"
    assert read_settings(None, environment).state == "gs://named-state"
    assert read_settings(None, {}).state == "gs://infra-state"


def test_the_file_that_lies_here_is_pointed_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a rowferry.yaml and names nothing reads what to type."""
    (tmp_path / "rowferry.yaml").write_text(HEAD)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as caught:
        read_settings(None, {})
    assert caught.value.problems[0].hint == "name a file or folder: --config rowferry.yaml, or in ROWFERRY_CONFIG"


def test_an_unreadable_file_is_told_alone(tmp_path: Path) -> None:
    """While one file of a folder can't be read, nothing is said of what the others seem to lack: it may be in that one."""
    (tmp_path / "a.yaml").write_text(HEAD + "alerts: {a: {sql: x, fire_when: a < 1, every: 1h, notify: ops}}\n")
    (tmp_path / "b.yaml").write_text("destinations: {ops: [}\n")
    with pytest.raises(SettingsError) as caught:
        read_settings(tmp_path, {})
    assert [problem.path for problem in caught.value.problems] == ["b.yaml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("just words\n", "expected sections"),
        ("- a\n- b\n", "expected sections"),
        (HEAD + "feeds:\n\tcrm: {}\n", "is indented with a tab in line 5"),
        (HEAD + "feeds: {crm: [}\n", "is not YAML"),
        (HEAD + "feeds: &a [*a]\n", "an alias to what it is itself a part of in line 4"),
        (HEAD + "feeds: !!python/object:os.system {}\n", "a tag (!)"),
        (HEAD + "feeds: {? [a, b] : c}\n", "a key that is not a plain text"),
        (HEAD + "a\0b: 1", "is not YAML"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("---\na: 1\n---\nb: 2\n", "is not YAML"),
    ],
)
def test_files_that_are_no_settings(tmp_path: Path, text: str, said: str) -> None:
    """Whatever stands in the file, there is a sentence about it and no traceback."""
    assert any(said in str(problem) for problem in read_problems(tmp_path, text))


def test_file_in_another_encoding(tmp_path: Path) -> None:
    """A file that is not UTF-8 is told as such; one with a byte order mark is read."""
    (tmp_path / "a.yaml").write_bytes(HEAD.encode("utf-16"))
    assert "is not UTF-8 text" in _errors(tmp_path / "a.yaml", {})
    (tmp_path / "a.yaml").write_bytes(HEAD.encode("utf-8-sig"))
    assert read_settings(tmp_path / "a.yaml", {}).rowferry == 1


def test_nothing_there(tmp_path: Path) -> None:
    """A missing file and an empty folder say how to name another."""
    assert "no such settings file or folder (name a file or folder: --config, or in ROWFERRY_CONFIG)" in _errors(tmp_path / "x", {})
    assert "holds no *.yaml file" in _errors(tmp_path, {})


def test_every_problem_at_once_in_order_with_lines(tmp_path: Path) -> None:
    """Misspellings, wrong values, conflicts and wrong references come in one go, in the file's order."""
    text = HEAD.replace("rowferry: 1", "rowferry: 1") + (
        "destinations:\n"
        "  ops: {vendor: slack, webhook_url: secret:ops, colour: blue}\n"  # 5
        "syncs:\n"
        "  people:\n"
        "    model: {sql: SELECT 1}\n"
        "    send: new\n"  # 9: no cursor
        "    to: opps\n"
        "    map: {text: text}\n"
        "    every: 15\n"
        "databases:\n"
        "  shop: {url: postgresql://me:hunter2@db/shop}\n"
    )
    found = read_problems(tmp_path, text)
    assert [problem.path for problem in found] == [
        "destinations.ops.colour",
        "syncs.people.cursor",
        "syncs.people.to",
        "syncs.people.every",
        "databases.shop.url",
    ]
    assert [problem.hint.rpartition("line ")[2] for problem in found] == ["5", "7", "10", "12", "14"]


def test_repeated_key_tells_both_lines(tmp_path: Path) -> None:
    """A key that stands twice in one mapping is a problem: plain YAML would keep the last in silence."""
    found = read_problems(tmp_path, HEAD + "databases:\n  shop: {url: secret:a}\n  shop: {url: secret:b}\n")
    assert [(problem.path, problem.problem) for problem in found] == [("databases.shop", "stands here twice")]
    assert "line 5" in found[0].hint and "line 6" in found[0].hint


def test_scalars_are_those_of_yaml_12(tmp_path: Path) -> None:
    """Times, days and yes/no stay the texts they look like, as in Terraform's yamldecode."""
    text = HEAD + "destinations: {ops: {vendor: slack, webhook_url: secret:x, quiet_hours: 22:00-07:00 Europe/Berlin}}\n"
    text += "pulls: {p: {from: ops, report: events, since: 2026-01-31}}\n"
    text += "feeds: {f: {path: a/, table: a.b, null_values: [no, off, 1:30, 0x1f, 2026-01-31]}}\nexports: e\n"
    found = read(tmp_path, text)
    assert found.feeds["f"].null_values == ("no", "off", "1:30", "0x1f", "2026-01-31")
    assert str(found.pulls["p"].since) == "2026-01-31"


def test_merge_keys_and_anchors(tmp_path: Path) -> None:
    """Anchors and << work as people know them: the own key wins."""
    text = HEAD + "exports: e\nfeeds:\n  a: &a {path: a/, table: x.a, write: merge, key: id}\n  b: {<<: *a, path: b/, table: x.b}\n"
    found = read(tmp_path, text).feeds
    assert (found["b"].path, found["b"].write, found["b"].key) == ("b/", "merge", ("id",))


def test_alias_bomb_is_refused(tmp_path: Path) -> None:
    """Aliases that unfold to millions of values are a problem, not a machine out of memory."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert any("values, counting aliases" in str(problem) for problem in read_problems(tmp_path, "\n".join(lines)))


def test_addresses_come_from_the_environment(tmp_path: Path) -> None:
    """`env:NAME` of state and exports is looked up when the file is read."""
    text = HEAD.replace("state: state", "state: env:STATE\nexports: env:EXPORTS")
    assert read(tmp_path, text, {"STATE": "gs://the-state", "EXPORTS": "exports"}).state == "gs://the-state"
    said = [str(problem) for problem in read_problems(tmp_path, text, {"EXPORTS": "exports"})]
    assert said == ["state: 'env:STATE': the environment variable STATE is not set (pipelines.yaml, line 3)"]


def test_base_url_from_the_environment() -> None:
    """A `base_url` of `env:NAME` is looked up, or kept until it is needed; the check names the variable that is missing."""
    data = changed("destinations.braze_main.base_url", "env:BRAZE_URL")
    there = parse_settings(data, {"BRAZE_URL": "http://127.0.0.1:8080/"}).destinations["braze_main"]
    assert there.base_url == "http://127.0.0.1:8080"
    waiting = parse_settings(data, {}).destinations["braze_main"]
    resolved = waiting.resolved(lambda reference: "https://twin.example" if reference == "env:BRAZE_URL" else "key")
    assert resolved.base_url == "https://twin.example"
    assert "the environment variable BRAZE_URL is not set" in [problem.problem for problem in problems(data, {})]
    assert any("on loopback only" in problem.problem for problem in problems(data, {"BRAZE_URL": "http://example.com"}))


def test_missing_variables_of_secrets_are_told() -> None:
    """The check names the variable of each secret that is not set; nothing asks for its value."""
    data = changed("databases.shop.url", "env:SHOP_URL")
    assert [str(problem) for problem in problems(data, {"PATH": "x"})] == [
        "databases.shop.url: the environment variable SHOP_URL is not set (set SHOP_URL, or name another one)"
    ]
    assert problems(data, {"SHOP_URL": "postgresql://me:hunter2@db/shop"}) == []


PLANTED = [
    "sk_live_51H8abcDEFghi",
    "hunter2-swordfish",
    "3f1c9d2e-8a7b-4c6d-9e0f-123456789abc",
    "https://hooks.slack.com/services/T000/B000/XXXXYYYY1234",
    "postgresql://me:hunter2@db.example/shop",
    "Bearer abcdef123456",
    "0123456789abcdef0123456789abcdef",
    "xoxb-123456789012-abcdefABCDEF",
    "{{ hunter2-swordfish",
    "a[?hunter2-swordfish",
]


def _leaves(node: Any, path: str = "") -> list[str]:
    if isinstance(node, dict):
        return [leaf for name, part in node.items() for leaf in _leaves(part, f"{path}.{name}" if path else name)]
    if isinstance(node, list):
        return [leaf for index, part in enumerate(node) for leaf in _leaves(part, f"{path}.{index}")]
    return [path]


@pytest.mark.parametrize("planted", PLANTED)
def test_no_secret_is_ever_shown(tmp_path: Path, planted: str) -> None:
    """A secret pasted at any place, as a value or in a text that does not parse, shows in no problem and no repr."""
    extra = {"warehouse.dataset", "destinations.braze_main.base_url", "feeds.crm.expect", "syncs.customers.cron", "alerts.orders.text"}
    for path in {*_leaves(BASE), *extra}:
        for value in (planted, [planted], {"value": planted}):
            data = changed(path, value)
            text = "\n".join(map(str, problems(data)))
            (tmp_path / "x.yaml").write_text(yaml.safe_dump(data))
            text += _said(tmp_path / "x.yaml")
            assert planted not in text and "hunter2" not in text, path


def _said(path: Path) -> str:
    try:
        return "\n".join(map(str, check(read_settings(path, {}))))
    except SettingsError as error:
        return f"{error}{error!r}"


@pytest.mark.parametrize(
    "broken", ["api_key: *{0}", "api_key: !{0} x", "api_key: '{0}", "api_key: {{{0}", "? {0}\n: - x\n -y", "a: b: {0}", "%{0}"]
)
def test_no_secret_in_a_syntax_error(tmp_path: Path, broken: str) -> None:
    """The YAML library quotes what it could not read; we don't."""
    said = [str(problem) for problem in read_problems(tmp_path, HEAD + broken.format("hunter2swordfish") + "\n")]
    assert said and "hunter2" not in "".join(said)


def test_secrets_are_not_in_the_settings_repr() -> None:
    """What a resolved destination prints has the reference, never the value."""
    found = parse_settings(BASE).destinations["braze_main"].resolved(lambda _: "hunter2")
    assert "hunter2" not in f"{found!r}{found}{found.model_dump()}{found.model_dump_json()}"
    assert "secret:braze-key" in repr(found)


# ── Anything at all ─────────────────────────────────────────────────────────────────────────

_WORDS = (
    *("rowferry", "warehouse", "state", "exports", "destinations", "feeds", "syncs", "pulls", "databases", "webhooks", "alerts"),
    *("vendor", "slack", "braze", "engine", "path", "table", "model", "sql", "key", "send", "to", "action", "map", "rest", "cursor"),
    *("every", "cron", "guards", "notify", "from", "report", "verify", "scheme", "secret", "routes", "when", "columns", "value"),
)
_KEYS = st.sampled_from(_WORDS) | st.text(max_size=12)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | _KEYS
    | st.sampled_from(
        ["secret:x", "env:Y", "15m", "a.b", "duckdb", "changed", "braze", "{x}", "* * * * *", "[", "{{", "\ud800", "http://["]
    )
)
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5), max_leaves=25)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(_KEYS, _VALUES, max_size=8))
def test_any_values_give_settings_or_problems(data: dict[str, Any]) -> None:
    """Random values never raise anything but SettingsError, and each problem has a path and a sentence."""
    for problem in problems(data):
        assert problem.path and problem.problem


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(_leaves(BASE)), _VALUES)
def test_right_settings_with_one_random_value(path: str, value: Any) -> None:
    """The same for settings that are right but for one place, so that the deeper checks run too."""
    problems(changed(path, copy.deepcopy(value)))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200) | st.text("{}[]:,-&*!|>'\"#%@`?\n\t abc1", max_size=80) | st.binary(max_size=100))
def test_any_file_gives_settings_or_problems(tmp_path: Path, text: str | bytes) -> None:
    """Random bytes and near-YAML never raise anything but SettingsError."""
    file = tmp_path / "x.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    assert _said(file)


def test_problems_are_json(tmp_path: Path) -> None:
    """What is told can be printed by `rowferry check --json`."""
    found = read_problems(tmp_path, HEAD + "feeds: {x: {}}\n")
    assert json.loads(json.dumps([{"path": p.path, "problem": p.problem, "hint": p.hint} for p in found]))
