"""Values on their way through JSON."""

from __future__ import annotations

import orjson
import pytest

from rowferry.mapping import values


def test_integers_beyond_64_bits_keep_their_digits() -> None:
    """A webhook may hold any number; as text it is still the same one, and what fits stays a number."""
    row = ["id", {"a": [2**64, -(2**63) - 1, 2**64 - 1, -(2**63), True]}, (10**30,)]
    found = orjson.loads(values.to_json(row))
    assert found == ["id", {"a": [str(2**64), str(-(2**63) - 1), 2**64 - 1, -(2**63), True]}, [str(10**30)]]


def test_what_json_can_not_hold_is_a_type_error() -> None:
    """Half a character is no text, also beside a number that had to be rewritten."""
    for value in ("\ud800", [2**70, "\ud800"], object()):
        with pytest.raises(TypeError):
            values.to_json(value)


def test_a_float_that_is_no_number_is_not_taken_for_null() -> None:
    """NaN and infinity come back as they were, wherever they stand: a vendor's file rejects them, nothing drops them."""
    row = [float("nan"), None, 1.5, [float("inf"), None], {"low": float("-inf")}]
    kinds = ["FLOAT64", "FLOAT64", "FLOAT64", "ARRAY<FLOAT64>", "STRUCT<low FLOAT64>"]
    decoders = [values.decoder(kind) for kind in kinds]
    found = [decode(value) for decode, value in zip(decoders, orjson.loads(values.to_json(row)), strict=True) if decode]
    assert repr(found) == repr(row)
