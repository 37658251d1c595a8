"""What a cold start of the edge may not pay for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

# What a webhook needs none of: clients of vendors, clouds and warehouses, and everything of the command line.
HEAVY = ("httpx", "aiohttp", "requests", "google.cloud.bigquery", "duckdb", "sqlglot", "sqlalchemy", "fastavro", "boto3", "rich", "typer")


def _modules(code: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json\nprint(json.dumps(list(sys.modules)))"], capture_output=True, check=True
    )
    return set(json.loads(shown.stdout))


def test_the_relay_brings_no_client_along() -> None:
    """Verifying and storing a call needs neither a warehouse nor a vendor."""
    found = _modules("import rowferry.webhooks.relay, rowferry.webhooks.hook, rowferry.delivery.outbox")
    assert not {name for name in (*HEAVY, "jinja2", "pydantic") if name in found}


def test_an_instance_brings_no_client_along(tmp_path: Path) -> None:
    """From the settings file to the first answer: what a cold start pays for in the light package."""
    file = tmp_path / "rowferry.yaml"
    file.write_text(
        f"""
rowferry: 1
warehouse: {{engine: bigquery, project: p, location: EU, dataset: d}}
state: file://{tmp_path}/state
destinations: {{ct: {{vendor: clevertap, region: eu1, account_id: A, passcode: "env:HOME"}}}}
webhooks:
  shop:
    verify: {{scheme: github, secret: "env:HOME"}}
    routes: [{{send: {{to: ct, action: event, map: {{identity: a, name: b, time: c}}}}}}]
"""
    )
    answer = f"""
from pathlib import Path
from rowferry.app import App
from rowferry.settings.file import read_settings
from rowferry.webhooks.port import Call
import rowferry.edge
assert App(read_settings(Path({str(file)!r}))).relay.answer(Call("POST", "/hooks/shop", {{}}, b"")).status == 401
"""
    found = _modules(answer)
    assert not {name for name in (*HEAVY, "jinja2") if name in found}


def test_templates_come_with_the_first_hook_that_has_one() -> None:
    """A hook that only sends pays for no templates."""
    compile_hook = """
from rowferry.settings.base import Secret
from rowferry.settings.webhook import Webhook
from rowferry.webhooks.hook import hook_of
hook_of("a", Webhook.model_validate({"verify": {"scheme": "github", "secret": "env:A"}, "routes": [%s]}).resolved(lambda _: "x"))
"""
    assert "jinja2" not in _modules(compile_hook % '{"send": {"to": "a", "action": "event", "map": {"a": "b"}}}')
    assert "jinja2" in _modules(compile_hook % '{"notify": {"to": "a", "text": "x"}}')
