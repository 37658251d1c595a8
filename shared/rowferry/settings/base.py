"""What all parts of the settings share: the frozen model, secrets, durations, a destination's common keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from rowferry.errors import Problem, UsageError
from rowferry.settings.hours import HoursText
from rowferry.settings.names import Names
from rowferry.settings.url import REFERENCE, Url, UrlReference, check_url

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Frozen(BaseModel):
    """A part of the settings: unknown keys are errors, nothing changes after reading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
        defer_build=True,  # validators are built when first used: a function starts without those of sections it never reads
    )

    def conflicts(self) -> Iterator[Problem]:
        """What is wrong between the keys of this part; a problem's path is the key it is about, or ""."""
        return iter(())

    @model_validator(mode="after")
    def _agrees(self, info: ValidationInfo) -> Self:
        lenient = info.context is not None and info.context.get("lenient", False)  # the conflicts were told before
        if not lenient and (found := tuple(self.conflicts())):
            raise PydanticCustomError("conflicts", "the keys do not fit together", {"problems": found})
        return self

    def resolved(self, resolve: Callable[[str], str]) -> Self:
        """A copy whose secrets and addresses, wherever they stand, have their values.

        Raises what `resolve` raises, and `UsageError` for a value that is not fit to be an address.
        """
        found = {name: _resolved(value, resolve) for name, value in self}
        return self.model_copy(update=found)


class Secret:
    """A reference to a secret (`secret:NAME` or `env:NAME`), and after resolving, its value.

    The value never shows in repr, str, JSON, equality or an error. `reveal()` hands it out, and
    is called where a request is built or a signature is checked, nowhere else.
    """

    __slots__ = ("_value", "reference")

    def __init__(self, reference: str, value: str | None = None) -> None:
        self.reference = reference
        self._value = value

    def resolved(self, resolve: Callable[[str], str]) -> Secret:
        """The same reference with its value; `resolve` is given `secret:NAME` or `env:NAME`."""
        return Secret(self.reference, resolve(self.reference))

    def reveal(self) -> str:
        """The secret itself. Raises `RuntimeError` when it has not been resolved."""
        if self._value is None:
            raise RuntimeError(f"{self.reference} has not been resolved")
        return self._value

    def __repr__(self) -> str:
        return f"<Secret {self.reference}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self.reference)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.plain_serializer_function_ser_schema(lambda s: s.reference)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^{REFERENCE.pattern}$", "examples": ["secret:braze-key", "env:BRAZE_KEY"]}

    @classmethod
    def _validate(cls, value: Any) -> Secret:
        if isinstance(value, Secret):
            return value
        if isinstance(value, str) and REFERENCE.fullmatch(value):
            return cls(value)
        raise ValueError("a secret's value does not belong in this file; write secret:NAME or env:NAME")


def _resolved(value: Any, resolve: Callable[[str], str]) -> Any:
    if isinstance(value, Secret | Frozen):
        return value.resolved(resolve)
    if isinstance(value, UrlReference):
        return _resolved_url(value, resolve)
    if isinstance(value, Mapping):
        return {name: _resolved(part, resolve) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_resolved(part, resolve) for part in value)
    return value


def _resolved_url(reference: UrlReference, resolve: Callable[[str], str]) -> str:
    try:
        return check_url(resolve(reference))
    except ValueError as error:
        raise UsageError(f"{reference} is no address: {error}") from None


def _seconds(value: Any) -> Any:
    if isinstance(value, float):  # a default, or a model that is read again
        return value
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])\s*", value, re.ASCII)):
        return float(match[1]) * _UNITS[match[2]]
    raise ValueError("expected a duration such as 30s, 15m, 1h or 1d")


# A duration in the file (`15m`), a number of seconds in the program.
_DURATION = {"type": "string", "pattern": r"^\s*\d{1,9}(\.\d{1,9})?\s*[smhd]\s*$", "examples": ["30s", "15m", "1h", "1d"]}
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0), WithJsonSchema(_DURATION)]
Delay = Annotated[float, BeforeValidator(_seconds), Field(ge=0), WithJsonSchema(_DURATION)]  # the same, and `0s`


def _without_slash(url: str) -> str:
    return url if isinstance(url, UrlReference) else url.rstrip("/")


BaseUrl = Annotated[Url, AfterValidator(_without_slash)]  # paths are put behind it


class DestinationSettings(Frozen):
    """The keys every destination has. A vendor's model adds its own and pins `vendor`."""

    vendor: str
    base_url: BaseUrl | None = Field(None, description="Overrides scheme and host of all of the vendor's APIs. https, or http on loopback.")
    per_second: float | None = Field(None, gt=0, description="Requests a second that this account may be sent, over all instances.")
    in_flight: int | None = Field(None, gt=0, le=1000, description="Requests of one worker that may be under way at once.")
    instances: int = Field(1, gt=0, description="Workers that may send at the same time; each gets its share of per_second.")
    timeout: Seconds = Field(30.0, description="How long one request may take.")
    retry_for: Seconds = Field(600.0, description="How long one worker goes on trying a request before the run is left open.")
    attempts: int = Field(5, gt=0, description="How often one request is tried when the vendor fails (rate limits don't count).")
    reject_after: Seconds = Field(
        7200.0,
        description="How long the vendor has failed on a single row (5xx), over several calls and while it is up, before it is rejected.",
    )
    quiet_hours: HoursText | None = Field(None, description="When nothing is sent, e.g. `22:00-07:00 Europe/Berlin`.")
    notify: Names = Field(
        (),
        description="Who is told when the vendor refuses our key, when it takes rows again, and when it rejects a webhook's; "
        "unless set, whom its syncs tell.",
    )
    price_per_data_point: float | None = Field(None, ge=0, description="For the cost in `rowferry plan`.")

    def resolved(self, resolve: Callable[[str], str]) -> Self:
        """As any part of the settings; a `base_url` found has no slash at its end either."""
        copy = super().resolved(resolve)
        return copy if copy.base_url is None else copy.model_copy(update={"base_url": copy.base_url.rstrip("/")})
