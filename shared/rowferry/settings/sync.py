"""A sync: which rows go where, under which names, when, and how far it may go by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from rowferry.errors import Problem
from rowferry.mapping.transforms import build
from rowferry.settings.base import Delay, Frozen, Seconds
from rowferry.settings.hours import Zone
from rowferry.settings.names import Names, check_table
from rowferry.settings.problems import shown

Send = Literal["changed", "new", "all", "audience", "queue"]
TransformName = Literal[
    "trim",
    "lower",
    "upper",
    "title",
    "sha256",
    "sha256_email",
    "sha256_phone",
    "e164",
    "iso_date",
    "iso_time",
    "epoch_seconds",
    "epoch_millis",
    "json",
    "string",
    "integer",
    "number",
    "boolean",
    "split",
    "default",
    "map",
]
TRANSFORMS: tuple[str, ...] = get_args(TransformName)

_WORDS = [name for name in TRANSFORMS if name not in {"split", "default", "map"}]  # those need an argument
_CONSTANT = {"type": ["string", "number", "boolean"]}
_TRANSFORM_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"enum": _WORDS},
        *(
            {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}
            for name, schema in {
                "split": {"type": "string", "minLength": 1},
                "default": _CONSTANT,
                "map": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
                "e164": {"type": "string", "pattern": "^[A-Z]{2}$"},
                "sha256_phone": {"type": "string", "pattern": "^[A-Z]{2}$"},
            }.items()
        ),
    ]
}


class Transform(Frozen):
    """One step on a value: `lower`, or `{split: ","}`. `argument` is None for those that take none."""

    name: TransformName
    argument: Any = None

    @model_validator(mode="before")
    @classmethod
    def _spelled(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and "name" in value:
            return value
        if isinstance(value, dict) and len(value) == 1:
            name, argument = next(iter(value.items()))
            return {"name": name, "argument": argument}
        raise ValueError('expected the name of a transform, or one with its argument such as {split: ","}')

    def conflicts(self) -> Iterator[Problem]:
        """The argument is there, and fits."""
        try:
            build(self.spec)
        except ValueError as error:
            yield Problem("", str(error))

    @property
    def spec(self) -> str | dict[str, Any]:
        """As it stands in the settings: a word, or a word with its argument."""
        return self.name if self.argument is None else {self.name: self.argument}


def _one_transform(value: Any) -> Any:
    return [value] if isinstance(value, str | dict | Transform) else value


_TRANSFORMS_SCHEMA = {"anyOf": [*_TRANSFORM_SCHEMA["anyOf"], {"type": "array", "items": _TRANSFORM_SCHEMA}]}
Transforms = Annotated[tuple[Transform, ...], BeforeValidator(_one_transform), WithJsonSchema(_TRANSFORMS_SCHEMA)]
Constant = bool | int | float | str | list[Any] | dict[str, Any]


class ColumnField(Frozen):
    """A field that comes from a column; `default` stands in where the column is NULL after the transforms."""

    column: str = Field(min_length=1, description="The model's column.")
    transform: Transforms = Field(
        (), description="One, or a list in its order; with an argument: {split: ','}, {map: {old: new}}, {default: x}, {e164: CH}."
    )
    default: Constant | None = Field(None, description="What is sent where the column is NULL after the transforms.")


class ValueField(Frozen):
    """A field that is the same in every row."""

    value: Constant = Field(description="The value itself.")


def _field(value: Any) -> Any:
    if isinstance(value, str):
        return {"column": value}
    if isinstance(value, ColumnField | ValueField | dict):
        return value
    raise ValueError("expected a column's name, {column: …, transform: …} or {value: …}")


def _kind(value: Any) -> str:
    if isinstance(value, ColumnField | ValueField):
        return "<value>" if isinstance(value, ValueField) else "<column>"
    return "<value>" if isinstance(value, dict) and "value" in value else "<column>"


MapField = Annotated[
    Annotated[ColumnField, Tag("<column>")] | Annotated[ValueField, Tag("<value>")],
    Discriminator(_kind),
    BeforeValidator(_field, json_schema_input_type=str | ColumnField | ValueField),
]


class Model(Frozen):
    """Where a sync's rows come from: a table or a statement, in the warehouse or in a database."""

    table: str | None = Field(None, min_length=1, description="A table or view, as dataset.table; in a database as that spells it.")
    sql: str | None = Field(None, min_length=1, description="A SELECT, in BigQuery's SQL with either warehouse; in a database in its own.")
    database: str | None = Field(None, min_length=1, description="The name of an entry of `databases`; the warehouse when left out.")
    procedure: str | None = Field(None, min_length=1, description="A stored procedure of the database.")
    parameters: dict[str, str | int | float | bool | None] = Field({}, description="For the procedure.")

    def conflicts(self) -> Iterator[Problem]:
        """Exactly one of table, sql and procedure; a procedure is a database's."""
        given = [key for key in ("table", "sql", "procedure") if getattr(self, key)]
        if len(given) != 1:
            found = "neither a table nor sql" if not given else " and ".join(given)
            yield Problem("", f"has {found}", "write one of table, sql, or procedure with a database")
        if self.table and not self.database:
            try:
                check_table(self.table)
            except ValueError as error:
                yield Problem("table", f"{shown(self.table)}: {error}")
        if self.procedure and not self.database:
            yield Problem("database", "is missing", "a procedure is called in one of the `databases`")
        if self.parameters and not self.procedure:
            yield Problem("parameters", "has no meaning without a procedure", "take it out")


class Guards(Frozen):
    """When a run is refused before anything is sent, until somebody accepts it."""

    max_changed_percent: float | None = Field(None, ge=0, le=100, description="Of the rows known before.")
    max_removed: int | None = Field(None, ge=0, description="Rows that have left the model.")
    empty_source: bool = Field(True, description="Refuse when the model has no row though there were rows before.")
    min_rows: int | None = Field(None, ge=0, description="Rows that the model must have.")
    duplicate_keys: Literal["refuse", "reject"] = Field("refuse", description="reject: only the rows concerned become dead letters.")


_ONLY_WITH: dict[str, tuple[str, ...]] = {
    "cursor": ("new",),
    "lag": ("new",),
    "audience": ("audience",),
    "mark": ("queue",),
    "on_remove": ("changed",),
}
_DEFAULT_ACTIONS = {"changed": "profile", "all": "profile", "audience": "profile", "new": "event"}


class Sync(Frozen):
    """Rows of a model to one action of one destination. Started by `every`, `cron` or `after`, or by hand."""

    model: Model = Field(description="Where the rows come from.")
    to: str = Field(min_length=1, description="The name of an entry of `destinations`.")
    send: Send = Field(description="changed: what differs from what was delivered; new: rows above the cursor; all; audience; queue.")
    key: Names = Field((), description="The column, or columns, that make a row the same row.")
    action: str = Field("", description="profile, event … as the vendor has it; profile when left out, event with send: new.")
    map: dict[str, MapField] = Field({}, description="The vendor's fields: a column's name, {column: …, transform: …} or {value: …}.")
    rest: Literal["attributes", "properties"] | None = Field(None, description="Every column that `map` does not use goes too.")
    cursor: str | None = Field(None, min_length=1, description="send: new: the column that grows as rows are added; not the event's time.")
    lag: Delay = Field(
        0.0,
        description="send: new: how late a row may still appear below the largest cursor; 1h more where that is a local time, "
        "for its clocks are put back.",
    )
    audience: str | None = Field(None, min_length=1, description="send: audience: the attribute, list or cohort at the vendor.")
    mark: str | None = Field(None, min_length=1, description="send: queue: the column set once a row has its outcome; NULL waits.")
    on_remove: Literal["ignore", "unset", "delete"] = Field("ignore", description="What happens at the vendor when a row leaves the model.")
    nulls: Literal["ignore", "unset"] = Field("ignore", description="A NULL leaves the vendor's value alone, or unsets it.")
    every: Seconds | None = Field(None, description="How often, e.g. 15m; or `cron`.")
    cron: str | None = Field(None, description="Five fields, in `timezone`.")
    timezone: Zone = Field("UTC", description="The zone of `cron`.")
    after: Names = Field((), description="Feeds: a run starts when files of them have been loaded.")
    guards: Guards = Field(default_factory=Guards, description="When a run waits for a person.")
    notify: Names = Field((), description="The destination, or destinations, that notices go to.")
    notify_rejected_percent: float = Field(0.0, ge=0, le=100, description="A notice goes out when more of a run's rows are rejected.")
    chunk_rows: int | None = Field(None, gt=0, le=1_000_000, description="Rows of one chunk; by the destination's pace when left out.")

    @model_validator(mode="before")
    @classmethod
    def _default_action(cls, value: Any) -> Any:
        if isinstance(value, dict) and "action" not in value and (action := _DEFAULT_ACTIONS.get(str(value.get("send")))):
            return {**value, "action": action}
        return value

    def conflicts(self) -> Iterator[Problem]:
        """What each mode needs, and what would have no effect."""
        yield from self._missing()
        for key, modes in _ONLY_WITH.items():
            if key in self.model_fields_set and self.send not in modes and getattr(self, key) != "ignore":
                yield Problem(key, f"has no meaning with send: {self.send}", f"it belongs to send: {' or '.join(modes)}")
        if self.every and self.cron:
            yield Problem("cron", "stands beside every", "keep one of them")
        if not self.map and not self.rest:
            yield Problem("map", "is missing", "say which fields are sent, or rest: attributes to send every column")
        event_time = self.map.get("time")
        if self.cursor and isinstance(event_time, ColumnField) and event_time.column.lower() == self.cursor.lower():
            yield Problem(
                "cursor",
                f"{self.cursor} is the event's own time as well",
                "rows that arrive late would be skipped; take the column that says when the row was added or changed",
            )

    def _missing(self) -> Iterator[Problem]:
        if self.send in {"changed", "all", "audience", "queue"} and not self.key:
            yield Problem("key", "is missing", "write the column that makes a row the same row, e.g. key: customer_id")
        if self.send == "new" and not self.cursor:
            yield Problem("cursor", "is missing", "send: new needs the column that grows as rows are added, e.g. cursor: added_at")
        if self.send == "audience" and not self.audience:
            yield Problem("audience", "is missing", "write the name of the attribute, list or cohort at the vendor, e.g. audience: vip")
        if self.send == "queue":
            yield from self._missing_for_queue()

    def _missing_for_queue(self) -> Iterator[Problem]:
        if not self.mark:
            yield Problem("mark", "is missing", "write the column that is set once a row has its outcome, e.g. mark: sent_at")
        if not self.action:
            yield Problem("action", "is missing", "write what the rows are, e.g. action: event")
        if not self.model.database or not self.model.table:
            yield Problem("model", "is not a table of a database", "send: queue needs model: {database: …, table: …}")
