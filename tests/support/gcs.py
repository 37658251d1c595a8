"""A Cloud Storage server for the real google-cloud-storage client, with the conditions of the real one.

It keeps generations and their preconditions (412, 304, 404), pages listings, answers many threads, takes
multipart, resumable and plain uploads, and tells subscribers of each new object.

    with GcsServer(tmp_path) as gcs:
        gcs.make_bucket("exports")
        gcs.subscribe(Subscription("http://127.0.0.1:8080", bucket="exports"))
        store = GcsStore(gcs.client(), "exports")
"""

from __future__ import annotations

import json
import os
import re
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client  # noqa: TID251 - the stand-in hands out real clients

from support.gcs_events import Events, Subscription
from support.gcs_objects import ApiError, Json, Objects, Query, Staged

_COPY_BYTES = 1 << 20


@dataclass
class Upload:
    """A resumable upload under way; `resource` is set when it is done."""

    bucket: str
    name: str
    query: Query
    said: Json
    staged: Staged
    resource: Json | None = None


class GcsServer:
    """The server; a context manager. `url` is what STORAGE_EMULATOR_HOST wants."""

    def __init__(self, root: Path, port: int = 0) -> None:
        self.events = Events()
        self.objects = Objects(root, self.events.publish)
        self.uploads: dict[str, Upload] = {}
        self._http = _Server(("127.0.0.1", port), self)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def client(self, endpoint: str | None = None) -> Client:
        """A real client that talks to this server, or to `endpoint` (a proxy in front of it)."""
        os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")  # no requests that no test made
        nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]  # google-auth leaves it unannotated
        return Client(project="test", credentials=nobody, client_options={"api_endpoint": endpoint or self.url})

    def make_bucket(self, name: str) -> str:
        """A new, empty bucket; returns its name."""
        self.objects.make_bucket(name)
        return name

    def subscribe(self, subscription: Subscription) -> None:
        """From now on, tell of new objects."""
        self.events.subscriptions.append(subscription)

    def start(self) -> Self:
        """Listen on loopback."""
        self.events.start()
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True, name="gcs").start()
        return self

    def stop(self) -> None:
        """Stop listening and delivering."""
        self._http.shutdown()
        self._http.server_close()
        self.events.stop()
        self.objects.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], gcs: GcsServer) -> None:
        self.gcs = gcs
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: _Server

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
        parts = [unquote(part) for part in address.path.split("/")[1:]]
        if parts[0] == "download":
            parts = parts[1:]
        try:
            self._route(parts, query)
        except ApiError as error:
            details = {"code": error.status, "message": error.message, "errors": [{"reason": error.reason, "message": error.message}]}
            self._answer(error.status, {"error": details})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815 - http.server names its methods by the verb

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests ask the objects."""

    def _route(self, parts: list[str], query: Query) -> None:
        objects = self.server.gcs.objects
        match self.command, parts:
            case "POST", ["upload", "storage", "v1", "b", bucket, "o"] if query["uploadType"] == "resumable":
                self._start_upload(bucket, query)
            case "POST", ["upload", "storage", "v1", "b", bucket, "o"]:
                self._upload_at_once(bucket, query)
            case "PUT", ["upload", "storage", "v1", "b", _, "o"]:
                self._continue_upload(query["upload_id"])
            case "DELETE", ["upload", "storage", "v1", "b", _, "o"]:
                self.server.gcs.uploads.pop(query["upload_id"], None)
                self._answer(499, {})
            case "POST", ["storage", "v1", "b"]:
                self._answer(200, objects.make_bucket(self._json()["name"]))
            case "GET", ["storage", "v1", "b", bucket]:
                self._answer(200, objects.bucket(bucket))
            case "GET", ["storage", "v1", "b", bucket, "o"]:
                self._answer(200, objects.listing(bucket, query))
            case _, ["storage", "v1", "b", bucket, "o", name]:
                self._route_object(bucket, name, query)
            case "POST", ["storage", "v1", "b", bucket, "o", name, "rewriteTo" | "copyTo" as verb, "b", to_bucket, "o", to_name]:
                self._body()
                resource = objects.copy((bucket, name), (to_bucket, to_name), query)
                done = {"kind": "storage#rewriteResponse", "done": True, "resource": resource, "objectSize": resource["size"]}
                self._answer(200, resource if verb == "copyTo" else done | {"totalBytesRewritten": resource["size"]})
            case "POST", ["storage", "v1", "b", bucket, "o", name, "compose"]:
                self._answer(200, objects.compose(bucket, name, query, self._json()))
            case _:
                self._body()
                raise ApiError(501, "notImplemented", f"this stand-in has no {self.command} {self.path}")

    def _route_object(self, bucket: str, name: str, query: Query) -> None:
        objects = self.server.gcs.objects
        said = self._json()
        match self.command:
            case "GET" if query.get("alt") == "media":
                self._download(bucket, name, query)
            case "GET":
                self._answer(200, objects.find(bucket, name, query).resource)
            case "PATCH" | "PUT":
                self._answer(200, objects.patch(bucket, name, query, said))
            case "DELETE":
                objects.delete(bucket, name, query)
                self._answer(204)

    def _upload_at_once(self, bucket: str, query: Query) -> None:
        """`uploadType=multipart` (a JSON part, then the bytes) or `media` (the bytes alone)."""
        body = self._body()
        said: Json = {"contentType": self.headers.get("Content-Type"), "name": query.get("name")}
        if query["uploadType"] == "multipart":
            said, body = read_multipart(self.headers["Content-Type"], body)
        staged = self.server.gcs.objects.stage()
        staged.write(body)
        self._answer(200, self.server.gcs.objects.put(bucket, said.get("name") or query["name"], query, staged, said))

    def _start_upload(self, bucket: str, query: Query) -> None:
        said = {"contentType": self.headers.get("X-Upload-Content-Type"), **self._json()}
        gcs = self.server.gcs
        name = said.get("name") or query["name"]
        gcs.objects.check(bucket, name, query)  # refused at once, and again at the end
        number = uuid.uuid4().hex
        gcs.uploads[number] = Upload(bucket, name, query, said, gcs.objects.stage())
        location = f"http://{self.headers['Host']}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={number}"
        self._answer(200, headers={"Location": location, "X-GUploader-UploadID": number})

    def _continue_upload(self, number: str) -> None:
        """One chunk. A chunk that is sent again is taken once; after the end the answer is the object again."""
        upload = self.server.gcs.uploads.get(number)
        if upload is None or upload.resource is not None:
            self._body()
            if upload is None:
                raise ApiError(404, "notFound")
            return self._answer(200, upload.resource)
        said = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", self.headers.get("Content-Range", "bytes */*"))
        if said is None:
            raise ApiError(400, "invalid")
        self._receive(upload, int(said[1] or upload.staged.size_bytes))
        if "Content-Range" in self.headers and said[2] != str(upload.staged.size_bytes):
            stored = upload.staged.size_bytes
            return self._answer(308, headers={"Range": f"bytes=0-{stored - 1}"} if stored else {})
        upload.resource = self.server.gcs.objects.put(upload.bucket, upload.name, upload.query, upload.staged, upload.said)
        return self._answer(200, upload.resource)

    def _receive(self, upload: Upload, start: int) -> None:
        known = upload.staged.size_bytes - start
        rest = int(self.headers.get("Content-Length") or 0)
        if known < 0:
            self.rfile.read(rest)
            raise ApiError(400, "invalid", "a gap before this chunk")
        while rest:
            piece = self.rfile.read(min(rest, _COPY_BYTES))
            if not piece:
                raise ConnectionResetError
            rest -= len(piece)
            upload.staged.write(piece[known:])
            known = max(0, known - len(piece))

    def _download(self, bucket: str, name: str, query: Query) -> None:
        resource, file = self.server.gcs.objects.open(bucket, name, query)
        size = int(resource["size"])
        headers = {
            "Content-Type": resource["contentType"],
            "X-Goog-Generation": resource["generation"],
            "X-Goog-Metageneration": resource["metageneration"],
            "X-Goog-Hash": ",".join(
                f"{name}={resource[key]}" for name, key in (("crc32c", "crc32c"), ("md5", "md5Hash")) if key in resource
            ),
            "ETag": resource["etag"],
        }
        if "contentEncoding" in resource:
            headers["Content-Encoding"] = resource["contentEncoding"]
        with file:
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if not wanted:
                return self._answer(200, file, headers, size)
            first, last = int(wanted[1]), min(size - 1, int(wanted[2] or size - 1))
            if first >= size:
                raise ApiError(416, "requestedRangeNotSatisfiable")
            file.seek(first)
            return self._answer(206, file, headers | {"Content-Range": f"bytes {first}-{last}/{size}"}, last - first + 1)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _json(self) -> Json:
        body = self._body()
        said: Json = json.loads(body) if body else {}
        return said

    def _answer(self, status: int, body: Json | IO[bytes] | None = None, headers: Mapping[str, str] | None = None, size: int = 0) -> None:
        if isinstance(body, dict) and status != 304:
            content: Any = json.dumps(body).encode()
            headers, size = {"Content-Type": "application/json; charset=UTF-8", **(headers or {})}, len(content)
        else:
            content = body
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status not in {204, 304}:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        if isinstance(content, bytes):
            self.wfile.write(content)
            return
        while size and content is not None and status != 304:
            piece = content.read(min(size, _COPY_BYTES))
            self.wfile.write(piece)
            size -= len(piece)


def read_multipart(content_type: str, body: bytes) -> tuple[Json, bytes]:
    """The JSON part and the bytes of a `multipart/related` upload."""
    found = re.search(r'boundary="?([^";]+)', content_type)
    if not found:
        raise ApiError(400, "invalid")
    boundary = b"--" + found[1].encode()
    _, first, rest = body.split(boundary, 2)
    said: Json = json.loads(first.split(b"\r\n\r\n", 1)[1])
    head, data = rest.split(b"\r\n\r\n", 1)
    kind = re.search(rb"content-type: *(\S+)", head, re.IGNORECASE)
    said.setdefault("contentType", kind[1].decode() if kind else None)
    return said, data[: data.rindex(b"\r\n" + boundary + b"--")]
