"""The plain part of JMESPath finds what JMESPath finds."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jmespath import functions

from rowferry.webhooks.paths import is_true, plain_path

FUNCTIONS = functions.Functions()
NAMES = st.sampled_from(["a", "b", "c"])
CONSTANTS = st.sampled_from(["'a'", "''", "`0`", "`1`", "`true`", "`false`", "`null`", "`[]`", "`{}`", "`1.0`", '`["a"]`'])
PATHS = st.recursive(
    NAMES | CONSTANTS,
    lambda inner: (
        st.builds("{}.{}".format, NAMES, NAMES)
        | st.builds("({}).{}".format, inner, NAMES)
        | st.builds("{}[{}]".format, NAMES, st.integers(-3, 3))
        | st.builds("{}.{}[{}].{}".format, NAMES, NAMES, st.integers(-2, 2), NAMES)
        | st.builds("not_null({}, {})".format, inner, inner)
        | st.builds("type({})".format, inner)
        | st.builds("({} {} {})".format, inner, st.sampled_from(["==", "!=", "&&", "||"]), inner)
    ),
    max_leaves=6,
)
SCALARS = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a", "b"]) | st.floats(0, 1)
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=15)


@settings(max_examples=500, deadline=None)
@given(path=PATHS, document=DOCUMENTS)
def test_a_plain_path_finds_what_jmespath_finds(path: str, document: Any) -> None:
    """Whatever the event looks like: missing fields, other types, empty things, 1 and true."""
    compiled = jmespath.compile(path)
    find = plain_path(compiled.parsed, FUNCTIONS.call_function)
    assert find is not None
    found, expected = find(document), compiled.search(document)
    assert (type(found), found) == (type(expected), expected)
    assert is_true(found) == bool(jmespath.search("[?@]", [expected]))


@pytest.mark.parametrize(
    "path", ["a > `1`", "a[*].b", "sort_by(a, &b)", "length(a[*])", "a[?b == 'x']", "!a", "a | b", "[a, b]", "{x: a}", "@"]
)
def test_the_rest_is_left_to_jmespath(path: str) -> None:
    """What is not plain is not tried, in no part of the expression."""
    assert plain_path(jmespath.compile(path).parsed, FUNCTIONS.call_function) is None
    assert plain_path(jmespath.compile(f"c == 'x' && ({path})").parsed, FUNCTIONS.call_function) is None
