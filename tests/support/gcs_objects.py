"""The buckets of the Cloud Storage stand-in: objects, generations, preconditions.

Bytes lie at ROOT/<bucket>/<name>, the layout from which a BigQuery emulator reads `gs://` addresses.
Names that can't be a path there (`a//b`, `a` beside `a/b`, parts over 255 bytes) lie under ROOT/.odd.
One live generation per name, as in a bucket without versioning.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import google_crc32c

Json = dict[str, Any]
Query = Mapping[str, str]

# What an uploader may say about an object (JSON API reference, Objects: resource, 2026-11).
_WRITABLE = (
    "metadata",
    "contentType",
    "contentEncoding",
    "contentDisposition",
    "contentLanguage",
    "cacheControl",
    "customTime",
    "storageClass",
)
_PAGE = 1000


class ApiError(Exception):
    """An answer other than 2xx, with the JSON API's reason word."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        self.status = status
        self.reason = reason
        self.message = message or reason
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class Stored:
    """A live object: its resource as the API shows it, and its file."""

    resource: Json
    path: Path


class Staged:
    """An object on its way in: a hidden file and its checksums."""

    def __init__(self, folder: Path) -> None:
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            self.path = Path(file.name)
        self._file = self.path.open("wb")
        self._md5 = hashlib.md5()
        self._crc = 0
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self._md5.update(data)
        self._crc = google_crc32c.extend(self._crc, data)
        self.size_bytes += len(data)

    def finish(self) -> Json:
        """Close the file; size and checksums as the API shows them."""
        self._file.close()
        digests = {"md5Hash": self._md5.digest(), "crc32c": self._crc.to_bytes(4, "big")}
        return {"size": str(self.size_bytes), **{name: base64.b64encode(value).decode() for name, value in digests.items()}}


class Objects:
    """All buckets. Safe for threads. `on_finalize` is told each new object's resource."""

    def __init__(self, root: Path, on_finalize: Callable[[Json], None] = lambda resource: None) -> None:
        self.root = root
        self._on_finalize = on_finalize
        self._lock = threading.RLock()
        self._buckets: dict[str, dict[str, Stored]] = {}
        self._last_generation = 0
        root.mkdir(parents=True, exist_ok=True)
        self._incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=root))

    def make_bucket(self, name: str) -> Json:
        """Raises 409 when there is one."""
        with self._lock:
            if name in self._buckets:
                raise ApiError(409, "conflict")
            self._buckets[name] = {}
            (self.root / name).mkdir(exist_ok=True)
            return self.bucket(name)

    def bucket(self, name: str) -> Json:
        """Its resource. Raises 404."""
        self._objects(name)
        return {"kind": "storage#bucket", "id": name, "name": name, "location": "EU", "storageClass": "STANDARD", "metageneration": "1"}

    def adopt(self, bucket: str) -> None:
        """Take in files that another program (an export of the BigQuery emulator) put into the bucket's folder."""
        folder = self.root / bucket
        with self._lock:  # else what the server itself is just putting there would be taken in a second time, as another generation
            known = {stored.path for stored in self._objects(bucket).values()}
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path not in known:
                    staged = self.stage()
                    staged.write(path.read_bytes())
                    self.put(bucket, path.relative_to(folder).as_posix(), {}, staged, {})

    def stage(self) -> Staged:
        """Where the bytes of a new object go until `put`."""
        return Staged(self._incoming)

    def put(self, bucket: str, name: str, query: Query, staged: Staged, said: Json) -> Json:
        """Make `staged` the live object, when the preconditions in `query` hold."""
        measured = staged.finish()
        with self._lock:
            objects = self._objects(bucket)
            check_preconditions(query, objects.get(name))
            if any(said.get(sum_) not in (None, measured[sum_]) for sum_ in ("md5Hash", "crc32c")):
                raise ApiError(400, "invalid", "Provided checksum doesn't match calculated one.")
            path = self._place(bucket, name, staged.path)
            resource = self._resource(bucket, name) | measured | {key: said[key] for key in _WRITABLE if said.get(key) is not None}
            objects[name] = Stored(resource, path)
        self._on_finalize(dict(resource))
        return resource

    def find(self, bucket: str, name: str, query: Query, reading: bool = True) -> Stored:
        """The live object, when the preconditions hold. Raises 404, 304 or 412."""
        with self._lock:
            stored = self._objects(bucket).get(name)
            wanted = query.get("generation")
            if stored is None or (wanted is not None and wanted != stored.resource["generation"]):
                raise ApiError(404, "notFound", f"No such object: {bucket}/{name}")
            check_preconditions(query, stored, reading)
            return stored

    def open(self, bucket: str, name: str, query: Query) -> tuple[Json, IO[bytes]]:
        """The live object's resource and its file, of the same generation."""
        with self._lock:
            stored = self.find(bucket, name, query)
            return stored.resource, stored.path.open("rb")

    def check(self, bucket: str, name: str, query: Query) -> None:
        """The preconditions alone. Raises 412."""
        with self._lock:
            check_preconditions(query, self._objects(bucket).get(name))

    def patch(self, bucket: str, name: str, query: Query, said: Json) -> Json:
        """Change what an uploader may say; the generation stays, the metageneration grows."""
        with self._lock:
            stored = self.find(bucket, name, query, reading=False)
            changed = {key: said[key] for key in _WRITABLE if key in said}
            grown = {"metageneration": str(int(stored.resource["metageneration"]) + 1), "updated": _now()}
            resource = stored.resource | changed | grown
            self._objects(bucket)[name] = Stored(resource, stored.path)
            return resource

    def delete(self, bucket: str, name: str, query: Query) -> None:
        """Remove the live object, when the preconditions hold."""
        with self._lock:
            stored = self.find(bucket, name, query, reading=False)
            del self._objects(bucket)[name]
            stored.path.unlink()

    def copy(self, source: tuple[str, str], target: tuple[str, str], query: Query) -> Json:
        """One object's bytes and words under another name."""
        with self._lock:
            pinned = {"generation": query["sourceGeneration"]} if "sourceGeneration" in query else {}
            stored = self.find(*source, pinned)
            staged = self.stage()
            staged.write(stored.path.read_bytes())
            return self.put(*target, query, staged, stored.resource)

    def compose(self, bucket: str, name: str, query: Query, said: Json) -> Json:
        """Up to 32 objects' bytes one after the other under another name. What comes of it has no MD5."""
        sources = said["sourceObjects"]
        if not 1 <= len(sources) <= 32:
            raise ApiError(400, "invalid", "The number of source components provided is not between 1 and 32.")
        with self._lock:
            staged = self.stage()
            for source in sources:
                pinned = {"generation": str(source["generation"])} if source.get("generation") else {}
                staged.write(self.find(bucket, source["name"], pinned).path.read_bytes())
            self.put(bucket, name, query, staged, said.get("destination") or {})
            stored = self._objects(bucket)[name]
            resource = {key: value for key, value in stored.resource.items() if key != "md5Hash"} | {"componentCount": len(sources)}
            self._objects(bucket)[name] = Stored(resource, stored.path)
            return resource

    def listing(self, bucket: str, query: Query) -> Json:
        """One page of objects in the order of their names' UTF-8 bytes (which is Python's order of strings)."""
        prefix, start, end = query.get("prefix", ""), query.get("startOffset", ""), query.get("endOffset", "")
        token, limit = query.get("pageToken", ""), min(int(query.get("maxResults", _PAGE)), _PAGE)
        with self._lock:
            objects = self._objects(bucket)
            names = sorted(n for n in objects if n.startswith(prefix) and n >= start and n > token and (not end or n < end))
            items = [objects[name].resource for name in names[:limit]]
        more = {"nextPageToken": names[limit - 1]} if len(names) > limit else {}
        return {"kind": "storage#objects", "items": items, **more}

    def age(self, seconds: float) -> None:
        """As if every object had been written so much earlier."""
        with self._lock:
            for objects in self._buckets.values():
                for name, stored in objects.items():
                    updated = datetime.fromisoformat(stored.resource["updated"]) - timedelta(seconds=seconds)
                    objects[name] = Stored(stored.resource | {"updated": _shown(updated)}, stored.path)

    def names(self, bucket: str) -> list[str]:
        """All names in a bucket, for a test's assertions."""
        with self._lock:
            return sorted(self._objects(bucket))

    def close(self) -> None:
        """Remove what was on its way in. The buckets' folders stay."""
        shutil.rmtree(self._incoming, ignore_errors=True)

    def _objects(self, bucket: str) -> dict[str, Stored]:
        if bucket not in self._buckets:
            raise ApiError(404, "notFound", "The specified bucket does not exist.")
        return self._buckets[bucket]

    def _resource(self, bucket: str, name: str) -> Json:
        self._last_generation = max(self._last_generation + 1, time.time_ns() // 1000)
        generation, now = str(self._last_generation), _now()
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{name}/{generation}",
            "bucket": bucket,
            "name": name,
            "generation": generation,
            "metageneration": "1",
            "contentType": "application/octet-stream",
            "storageClass": "STANDARD",
            "etag": base64.b64encode(generation.encode()).decode(),
            "timeCreated": now,
            "updated": now,
            "selfLink": f"https://www.googleapis.com/storage/v1/b/{bucket}/o/{quote(name, '')}",
        }

    def _place(self, bucket: str, name: str, file: Path) -> Path:
        """Move a finished file to where the object lies, and return that."""
        parts = name.split("/")
        path = self.root / bucket / name
        try:
            if any(part in {"", ".", ".."} for part in parts) or path.is_dir():
                raise OSError("no path on this disk")
            path.parent.mkdir(parents=True, exist_ok=True)
            file.replace(path)
        except OSError:
            path = self.root / ".odd" / bucket / hashlib.sha256(name.encode()).hexdigest()
            path.parent.mkdir(parents=True, exist_ok=True)
            file.replace(path)
        return path


def check_preconditions(query: Query, stored: Stored | None, reading: bool = False) -> None:
    """`if(Meta)GenerationMatch` and `…NotMatch` as the JSON API defines them: 412, or 304 for reads."""
    for field in ("generation", "metageneration"):
        live = stored.resource[field] if stored else "0"
        name = "if" + field[0].upper() + field[1:]
        if query.get(f"{name}Match", live) != live:
            raise ApiError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        if query.get(f"{name}NotMatch") == live:
            raise ApiError(304 if reading else 412, "conditionNotMet")


def _now() -> str:
    return _shown(datetime.now(UTC))


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
