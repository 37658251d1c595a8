"""The chunk: one outbox object of rows, the unit of delivery work.

    outbox/<destination>/<lane>/<sync>/<run>/00042.jsonl.gz

Its first line is the run's plan, every other line a row: `[id, key, op, mask, value, value, …]`. A relayed one's
first line also says when it came in, for its object is written anew when it is announced again.
`id` names the row within its run, `key` is the sync's key for people, `op` is `upsert` or `remove`,
`mask` has a `1` for each of the plan's fields that is to be sent (null: all of them).

A chunk that the warehouse has written says so in its first line, with how many rows follow; each is an
object then: `{"row_id": …, "row_key": …, "op": …, "mask": …, "c_0": value, …}`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal, NamedTuple, Self, cast

import orjson
from isal import igzip, igzip_lib

from rowferry.delivery import exported
from rowferry.delivery.plan import Plan
from rowferry.errors import DamagedState
from rowferry.mapping import values
from rowferry.stores.port import Exists, Store

OUTBOX = "outbox/"
# What reading a cut or changed file comes to. isal's stub declares an instance where the class is.
_DAMAGED: tuple[type[Exception], ...] = (OSError, EOFError, cast(type[Exception], igzip_lib.IsalError), orjson.JSONDecodeError)
_UNREADABLE: tuple[type[Exception], ...] = (*_DAMAGED, KeyError, TypeError, ValueError, AttributeError)
_READ_BYTES = 1 << 18
Op = Literal["upsert", "remove"]


class Row(NamedTuple):
    """One row of a chunk, as it stands in it."""

    id: str
    key: str | None
    op: Op
    mask: str | None
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class ChunkName:
    """The parts of a chunk's key. `of` reads one and raises `ValueError` when it is none. `part` is the
    chunk's number in its run, or the name of a relayed one."""

    destination: str
    lane: int
    sync: str
    run: str
    part: str

    @classmethod
    def of(cls, key: str) -> ChunkName:
        parts = key.split("/")
        if len(parts) != 6 or parts[0] != "outbox" or not parts[5].endswith(".jsonl.gz"):
            raise ValueError(f"{key!r} is not a chunk; its name should be outbox/destination/lane/sync/run/number.jsonl.gz")
        return cls(parts[1], int(parts[2]), parts[3], parts[4], parts[5].removesuffix(".jsonl.gz"))

    @property
    def key(self) -> str:
        """The object's key in the state store."""
        return f"{OUTBOX}{self.destination}/{self.lane}/{self.sync}/{self.run}/{self.part}.jsonl.gz"

    @property
    def stem(self) -> str:
        """What claim, journal and receipts of this chunk are filed under."""
        return f"{self.sync}/{self.run}/{self.part}"

    @staticmethod
    def prefix(plan: Plan) -> str:
        """What the keys of all chunks of a run start with."""
        return f"{OUTBOX}{plan.destination}/{plan.lane}/{plan.sync}/{plan.run}/"


def chunk_name(plan: Plan, part: int | str) -> ChunkName:
    """The name of a run's chunk: its number, from 0, or what a relayed one is called."""
    return ChunkName(plan.destination, plan.lane, plan.sync, plan.run, part if isinstance(part, str) else f"{part:05d}")


def encode_row(row: Row) -> bytes:
    """One line of a chunk, without its line end."""
    return values.to_json([row.id, row.key, row.op, row.mask, *row.values])


def write_chunk(store: Store, plan: Plan, part: int | str, lines: Iterable[bytes]) -> bool:
    """Put a chunk into the outbox. False when it was there already: a repeat changes nothing."""
    buffer = io.BytesIO()
    with igzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0) as packed:
        packed.write(orjson.dumps({"plan": plan}) + b"\n")  # orjson writes dataclasses by itself, and faster than asdict
        for some in _grouped(lines):
            packed.write(some)
    try:
        store.create(chunk_name(plan, part).key, buffer.getvalue())
    except Exists:
        return False
    return True


def exported_head(plan: Plan, rows: int) -> bytes:
    """What stands before the `rows` of a chunk that the warehouse writes: its first line, packed by itself.

    Packed files one after the other are one packed file (RFC 1952, 2.2), so the rows' own may follow as they are.
    The plan stands a step deeper than in other chunks: a version before ours must not take objects for rows.
    """
    return igzip.compress(orjson.dumps({"exported": {"plan": plan, "rows": rows}}) + b"\n", compresslevel=1, mtime=0)


def packed_head(plan: Plan) -> bytes:
    """A chunk's first line, packed by itself: its `packed` lines follow as they are (RFC 1952, 2.2)."""
    return packed([orjson.dumps({"plan": plan})])


def packed_head_of(plan: Plan) -> bytes:
    """The same up to when the chunk came in: the `packed` lines behind it begin with what `arrived` makes of that."""
    return igzip.compress(orjson.dumps({"plan": plan})[:-1] + b',"arrived_at":', compresslevel=0, mtime=0)


def arrived(at: datetime) -> bytes:
    """The end of a first line that `packed_head_of` began. `at` is in UTC, and written so that earlier moments sort first."""
    return f'"{at.isoformat(timespec="microseconds")}"}}'.encode()


def packed(lines: Iterable[bytes]) -> bytes:
    """A few lines as they stand in a chunk; in one go, where `write_chunk` bounds its memory, and with the least work."""
    return igzip.compress(b"".join([line + b"\n" for line in lines]), compresslevel=0, mtime=0)


def _grouped(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Some hundred lines at a time: a call of the packer for each would cost more than the packing."""
    found = iter(lines)
    while some := list(islice(found, 500)):
        yield b"\n".join(some) + b"\n"


class Chunk:
    """The chunk `key` being read: its plan, then its rows as a stream in bounded memory.

    Use it as a context manager. Raises `NotFound`, `DamagedState` when the object is not a whole chunk.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._stream, self._key = store.open(key), key
        self._lines = io.BufferedReader(igzip.GzipFile(fileobj=self._stream, mode="rb"), _READ_BYTES)
        try:
            head = orjson.loads(self._lines.readline())
            head = head.get("exported", head)
            self.plan = Plan.from_dict(head["plan"])
            self.arrived_at = str(head.get("arrived_at", ""))  # of a relayed one, as text that sorts; an earlier version wrote none
        except _UNREADABLE:
            raise DamagedState(key) from None
        self._exported: int | None = head.get("rows")  # how many of them; None where the rows are ours
        self._decoders = [(index, decode) for index, (_, kind) in enumerate(self.plan.columns) if (decode := values.decoder(kind))]

    def rows(self) -> Iterator[Row]:
        """Every row, in the chunk's order."""
        return self._written() if self._exported is None else self._exported_rows(self._exported)

    def _written(self) -> Iterator[Row]:
        try:
            for line in self._lines:
                row_id, key, op, mask, *found = orjson.loads(line)
                for index, decode in self._decoders:
                    found[index] = decode(found[index])
                yield Row(row_id, key, op, mask, found)
        except _DAMAGED:
            raise DamagedState(self._key) from None

    def _exported_rows(self, expected: int) -> Iterator[Row]:
        """The warehouse's rows. That there are as many as were asked of it shows at their end."""
        read, count = exported.reader([kind for _, kind in self.plan.columns]), 0
        try:
            for line in self._lines:
                found = orjson.loads(line)
                count += 1
                yield Row(found["row_id"], found.get("row_key"), found["op"], found.get("mask"), read(found))
        except _UNREADABLE:
            raise DamagedState(self._key) from None
        if count != expected:
            raise DamagedState(self._key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._stream.close()
