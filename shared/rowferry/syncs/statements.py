"""The SQL of a run: what differs, what is new, what is all. Rendered from `warehouse/sql`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rowferry.mapping.mapping import Field
from rowferry.syncs.shape import Shape, sent_table
from rowferry.warehouse.names import quote_column
from rowferry.warehouse.statements import Sql, render

_FOLDING = frozenset({"trim", "lower", "upper", "title", "sha256_email"})
Quote = Callable[[str], str]  # `Warehouse.quote`


def changed_rows(
    shape: Shape,
    model: str,
    quote: Quote,
    *,
    only_dead: bool = False,
    dead_filter: str = "",
    has_letters: bool = False,
    is_large: bool = False,
) -> str:
    """The statement behind `send: changed` and `send: audience`; needs @sync and @destination.

    With `only_dead`, just the rows that are dead letters, whether they changed or not (a replay). With `has_letters`, it
    looks for those that are stale, which reads the model once more. With `is_large`, in another order that takes no
    sort of all rows.
    """
    removes = shape.sync.on_remove != "ignore" or shape.sync.audience is not None
    return render(
        "changed_rows",
        model=model,
        key_expression=Sql(key_expression(shape.sync.key)),
        columns=_columns(shape),
        fields=_fields(shape),
        attribute_mask=Sql(_attribute_mask(shape)),
        state=quote(shape.state_table),
        dead_letters=quote(shape.dead_letters),
        vendor=shape.destination.vendor,
        account=shape.known_account,
        member=shape.member_column,
        unset_nulls=shape.sync.nulls == "unset",
        on_remove=removes,
        folds_keys=_folds_keys(shape),
        only_dead=only_dead,
        dead_filter=Sql(dead_filter),
        has_letters=has_letters,
        is_large=is_large,
    )


def _folds_keys(shape: Shape) -> bool:
    """Whether an identifier is made of the key in a way that makes one of its spellings."""
    key = {name.lower() for name in shape.sync.key}
    parts = (part for field, is_one in zip(shape.fields, shape.is_identifier, strict=True) if is_one for part in field.parts)
    return any(
        not _FOLDING.isdisjoint(map(str, part.transform)) for part in parts if part.column is not None and part.column.lower() in key
    )


def new_rows(
    shape: Shape,
    model: str,
    quote: Quote,
    *,
    bounded: bool,
    only_dead: bool = False,
    dead_filter: str = "",
    is_backfill: bool = False,
    is_large: bool = False,
) -> str:
    """The statement behind `send: new` and `send: all`; needs @upto where there is a cursor, @above where
    it is `bounded` below, @sync and @destination. With `is_large`, in another order that takes no sort of all
    rows; those of one key stay in the cursor's."""
    cursor = None
    if shape.sync.cursor is not None:
        name, kind = next((name, kind) for name, kind in shape.columns if name.lower() == shape.sync.cursor.lower())
        cursor = {"name": name, "type": kind}
    return render(
        "new_rows",
        model=model,
        key_expression=Sql(key_expression(shape.sync.key) if shape.sync.key else "CAST(NULL AS STRING)"),
        keyed=bool(shape.sync.key),
        columns=_columns(shape),
        cursor=cursor,
        bounded=bounded,
        sent=quote(sent_table(shape.name, shape.sync.to)),
        dead_letters=quote(shape.dead_letters),
        only_dead=only_dead,
        skips_dead=shape.sync.send in ("all", "queue") and not only_dead,
        is_queue=shape.sync.send == "queue",
        reads_all=shape.sync.send == "all" or only_dead,
        # What the mapping makes of a row matters to what is compared with the last run, not to what is remembered.
        salt=Sql("".join(field.salt for field in shape.fields) if shape.sync.send == "all" else ""),
        is_backfill=is_backfill,
        dead_filter=Sql(dead_filter),
        is_large=is_large,
    )


def key_expression(key: Sequence[str]) -> str:
    """The key as text: the one column's, or a JSON array of several. NULL when any of them is."""
    if len(key) == 1:
        return f"CAST({quote_column(key[0])} AS STRING)"
    missing = " OR ".join(f"{quote_column(name)} IS NULL" for name in key)
    parts = ", ',', ".join(f"TO_JSON_STRING(CAST({quote_column(name)} AS STRING))" for name in key)
    return f"IF({missing}, NULL, CONCAT('[', {parts}, ']'))"


def print_expression(field: Field, places: dict[str, int]) -> str:
    """A field's fingerprint over columns `c_<place>`: NULL where all its columns are, unless the
    mapping makes something of NULL; another one when the mapping changes."""
    columns = [f"c_{places[name]}" for name in dict.fromkeys(field.columns)]
    parts = "".join(f", COALESCE(TO_JSON_STRING({column}), 'null')" for column in columns)
    print_ = f"FARM_FINGERPRINT(CONCAT('{field.salt}'{parts}))" if columns else f"FARM_FINGERPRINT('{field.salt}')"
    if not columns or _makes_something_of_null(field):
        return print_
    return f"IF({' AND '.join(f'{column} IS NULL' for column in columns)}, NULL, {print_})"


def _makes_something_of_null(field: Field) -> bool:
    return any(part.column is None or any(isinstance(step, dict) and "default" in step for step in part.transform) for part in field.parts)


def _fields(shape: Shape) -> list[dict[str, Any]]:
    places = {name: index for index, (name, _) in enumerate(shape.columns)}
    return [
        {
            "place": place,
            "print": Sql(print_expression(field, places)),
            "state": shape.state_columns[place],
            "is_identifier": shape.is_identifier[place],
        }
        for place, field in enumerate(shape.fields)
    ]


def _columns(shape: Shape) -> list[dict[str, Any]]:
    key = [name.lower() for name in shape.sync.key]
    found = []
    for name, kind in shape.columns:
        from_key = None
        if name.lower() in key:
            text = "removed.row_key" if len(key) == 1 else f"JSON_VALUE(removed.row_key, '$[{key.index(name.lower())}]')"
            from_key = Sql(f"SAFE_CAST({text} AS {kind})")  # the key's type may have changed since: its row is rejected then
        found.append({"name": name, "type": kind, "from_key": from_key})
    return found


def _attribute_mask(shape: Shape) -> str:
    places = [place for place, is_identifier in enumerate(shape.is_identifier) if not is_identifier]
    if not places:
        return "''"
    return f"CONCAT({', '.join(f'SUBSTR(mask, {place + 1}, 1)' for place in places)})"
