"""A Terraform provider that knows a schema and keeps state, and touches no cloud.

With it the real `terraform validate | plan | apply | test | destroy` run on Google's resources offline.
Terraform's core checks every argument, block, type and reference against the schema; `apply` only
invents values for computed attributes. What it can't know: allowed words, conflicts between
arguments, what forces a resource to be made anew, the API's own rules.

Terraform starts this file as a program: `python stub_provider.py SCHEMA.json`. `plugin_mirror` makes
the folder that terraform is pointed at.

The protocol: github.com/hashicorp/terraform docs/plugin-protocol, version 5.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

Block = Mapping[str, Any]  # {"attrs": {name: [flags, type]}, "blocks": {name: [flags, nesting, most, Block]}}
Leaf = Callable[[str, Any, str, Any], Any]  # name, type, flags, value → value
_NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}
_NAMES = ("name", "bucket", "account_id", "dataset_id", "secret_id", "workload_identity_pool_id")
_HERE = Path(__file__).resolve().parent
SCHEMA = _HERE.parent / "infra" / "google_schema.json"


def stub_plugins(folder: Path) -> Path:
    """A plugin folder for terraform whose google provider is this stub."""
    return plugin_mirror(folder, SCHEMA)


def plugin_mirror(folder: Path, schema: Path) -> Path:
    """A plugin folder for terraform whose google provider is this stub, of the schema's version."""
    version = json.loads(schema.read_text())["version"]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    target = folder / f"registry.terraform.io/hashicorp/google/{version}/{platform.system().lower()}_{machine}"
    target.mkdir(parents=True)
    program = target / f"terraform-provider-google_v{version}"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{_HERE / "stub_provider.py"}" "{schema.resolve()}"\n')
    program.chmod(0o755)
    return folder


class StubProvider:
    """The provider's answers. `messages` is the module that grpc made of the protocol."""

    def __init__(self, schema: Mapping[str, Any], messages: Any, msgpack: Any) -> None:
        self._schema, self._messages, self._msgpack = schema, messages, msgpack
        self._unknown = msgpack.ExtType(0, b"\x00")

    def GetSchema(self, request: Any) -> Any:
        """Every type this provider knows."""
        messages = self._messages
        found = messages.Schemas(provider=messages.Schema(block=self._block(self._schema["provider"])))
        for kind, target in (("resource", found.resource_schemas), ("data", found.data_source_schemas)):
            for name, block in self._schema[kind].items():
                target[name].CopyFrom(messages.Schema(block=self._block(block)))
        return found

    def PrepareProviderConfig(self, request: Any) -> Any:
        """The provider's own configuration, as it is."""
        return self._messages.PrepareResponse(prepared_config=request.config)

    def ValidateResourceTypeConfig(self, request: Any) -> Any:
        """What the core does not check by itself: nobody may set what the service computes."""
        answer = self._messages.ValidateResponse()

        def leaf(name: str, kind: Any, flags: str, value: Any) -> Any:
            if flags == "c" and value is not None:
                detail = f'"{name}" of {request.type_name} is computed only.'
                answer.diagnostics.add(severity=1, summary="Value for unconfigurable attribute", detail=detail)
            return value

        block = self._schema["resource"].get(request.type_name) or self._schema["data"][request.type_name]
        _each(block, self._read(request.config), leaf)
        return answer

    ValidateDataSourceConfig = ValidateResourceTypeConfig

    def Configure(self, request: Any) -> Any:
        """Nothing to sign in to."""
        return self._messages.ValidateResponse()

    def UpgradeResourceState(self, request: Any) -> Any:
        """The state as it was written; attributes that came later are empty."""
        blank = _blank(self._schema["resource"][request.type_name])
        return self._messages.UpgradeResponse(upgraded_state=self._value({**blank, **json.loads(request.raw_state.json)}))

    def ReadResource(self, request: Any) -> Any:
        """Nobody changes anything behind Terraform's back here."""
        return self._messages.ReadResponse(new_state=request.current_state, private=request.private)

    def PlanResourceChange(self, request: Any) -> Any:
        """A new resource's computed attributes are unknown until it is applied."""
        before, wanted = self._read(request.prior_state), self._read(request.proposed_new_state)
        if wanted is not None and before is None:
            block = self._schema["resource"][request.type_name]
            wanted = _each(block, wanted, lambda name, kind, flags, value: self._unknown if value is None and "c" in flags else value)
        return self._messages.PlanResponse(planned_state=self._value(wanted), legacy_type_system=True)

    def ApplyResourceChange(self, request: Any) -> Any:
        """What was planned, with the unknown made up."""
        block, planned = self._schema["resource"][request.type_name], self._read(request.planned_state)
        applied = _each(block, planned, self._invented(request.type_name, planned or {}))
        return self._messages.ApplyResponse(new_state=self._value(applied), legacy_type_system=True)

    def ReadDataSource(self, request: Any) -> Any:
        """A data source's arguments, and the rest made up."""
        block, asked = self._schema["data"][request.type_name], self._read(request.config)
        invented = self._invented(request.type_name, asked)

        def leaf(name: str, kind: Any, flags: str, value: Any) -> Any:
            return invented(name, kind, flags, self._unknown) if value is None and "c" in flags else value

        return self._messages.DataResponse(state=self._value(_each(block, asked, leaf)))

    def _invented(self, kind: str, value: Mapping[str, Any]) -> Leaf:
        name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), "unnamed")
        given = value.get("project") or value.get("project_id")
        project = given if isinstance(given, str) else "stub-project"
        email = f"{name}@{project}.iam.gserviceaccount.com"
        known = {
            "id": f"projects/{project}/{kind}/{name}",
            "project": project,
            "name": name,
            "number": "123456789012",
            "url": f"https://{name}.example",
            "uri": f"https://{name}.example",
            "email": email,
            "email_address": f"service-123456789012@{kind}.example",
            "member": f"serviceAccount:{email}",
            "unique_id": str(int(hashlib.sha256(name.encode()).hexdigest()[:15], 16)),
        }

        def leaf(attribute: str, type_: Any, flags: str, found: Any) -> Any:
            if found != self._unknown:
                return found
            if type_ == "string":
                return known.get(attribute, f"stub-{attribute}")
            if isinstance(type_, list):
                return {} if type_[0] == "map" else []
            return {"number": 1, "bool": False}.get(type_)

        return leaf

    def _block(self, schema: Block) -> Any:
        block = self._messages.Block()
        for name, (flags, kind) in sorted(schema["attrs"].items()):
            text = json.dumps(kind).encode()
            block.attributes.add(name=name, type=text, required="r" in flags, optional="o" in flags, computed="c" in flags)
        for name, (flags, nesting, most, inner) in sorted(schema["blocks"].items()):
            least = int("r" in flags and nesting != "single")
            block.block_types.add(type_name=name, block=self._block(inner), nesting=_NESTING[nesting], min_items=least, max_items=most)
        return block

    def _read(self, value: Any) -> Any:
        if value.msgpack:
            return self._msgpack.unpackb(value.msgpack, raw=False, strict_map_key=False)
        return json.loads(value.json or b"null")

    def _value(self, value: Any) -> Any:
        return self._messages.Value(msgpack=self._msgpack.packb(value, use_bin_type=True))


def _blank(schema: Block) -> dict[str, Any]:
    blocks: dict[str, Any] = {name: None if block[1] == "single" else [] for name, block in schema["blocks"].items()}
    return {**dict.fromkeys(schema["attrs"]), **blocks}


def _each(schema: Block, value: Any, leaf: Leaf) -> Any:
    """`value` with `leaf` applied to every attribute in it, at every depth."""
    if not isinstance(value, dict):
        return value
    found = dict(value)
    for name, (flags, kind) in schema["attrs"].items():
        found[name] = leaf(name, kind, flags, value.get(name))
    for name, (_, _, _, inner) in schema["blocks"].items():
        if isinstance(value.get(name), list):
            found[name] = [_each(inner, item, leaf) for item in value[name]]
        elif isinstance(value.get(name), dict):
            found[name] = _each(inner, value[name], leaf)
    return found


_REQUESTS = {
    "GetSchema": "Empty",
    "PrepareProviderConfig": "PrepareRequest",
    "ValidateResourceTypeConfig": "ValidateRequest",
    "ValidateDataSourceConfig": "ValidateRequest",
    "Configure": "Empty",
    "UpgradeResourceState": "UpgradeRequest",
    "ReadResource": "ReadRequest",
    "PlanResourceChange": "PlanRequest",
    "ApplyResourceChange": "ApplyRequest",
    "ReadDataSource": "DataRequest",
}


def serve(schema: Path) -> None:
    """Answer Terraform over gRPC on loopback until it says stop; its handshake is the one line printed."""
    grpc, msgpack = import_module("grpc"), import_module("msgpack")  # so loaded because they have no types

    sys.path.insert(0, str(_HERE))
    messages = grpc.protos("tfplugin5.proto")
    provider = StubProvider(json.loads(schema.read_text()), messages, msgpack)
    stop = threading.Event()

    def handler(name: str) -> Any:
        answer = getattr(provider, name)
        read = getattr(messages, _REQUESTS[name]).FromString
        return grpc.unary_unary_rpc_method_handler(lambda request, _: answer(request), read, lambda message: message.SerializeToString())

    def plain(action: Callable[[], None]) -> Any:
        def answer(_request: bytes, _context: Any) -> bytes:
            action()
            return b""

        return grpc.unary_unary_rpc_method_handler(answer, bytes, bytes)

    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(16), options=options)
    calls = {**{name: handler(name) for name in _REQUESTS}, "Stop": plain(lambda: None)}
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("tfplugin5.Provider", calls),
            grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": plain(stop.set)}),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"1|5|tcp|127.0.0.1:{port}|grpc", flush=True)
    stop.wait(3600)
    server.stop(0.2)


if __name__ == "__main__":
    if not os.environ.get("TF_PLUGIN_MAGIC_COOKIE"):
        sys.exit("this is a Terraform plugin; Terraform starts it")
    serve(Path(sys.argv[1]))
