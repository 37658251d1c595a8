"""Templates in their box."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.notices.template import Template

VALUES: dict[str, Any] = {
    "data": {"object": {"customer": "<!channel> & Co", "items": {"data": [{"price": 1}]}, "plan": None, "amount": 1999}},
    "n": 3, "s": "abc", "many": list(range(1_000_000)), "currency": "eur", "at": 1763712000,
}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (":warning: {{ data.object.customer }} cancelled", ":warning: &lt;!channel&gt; &amp; Co cancelled"),
        ("{{ data.object.items.data[0].price }}", "1"),  # a field that is named like a method of Python's
        ("{{ data.object.plan.name.first }}", "–"),
        ("{{ missing.below[0] }}|{{ missing|upper }}|{{ missing|default('x') }}", "–||x"),
        ("{{ data.object.amount|major_units(currency) }} {{ currency|upper }}", "19.99 EUR"),
        ("{{ data.object.amount|stripe_units('isk') }}", "19.99"),
        ("{{ missing|major_units(currency) }} {{ s|major_units(missing) }} {{ at|iso_time }}", "– – 2025-11-21T08:00:00+00:00"),
        ("{% for x in [1, 2] %}{{ loop.index }}{% if not loop.last %}, {% endif %}{% endfor %}", "1, 2"),
        ("{{ 'big' if n > 2 else 'small' }}{% set q = n * 2 %} {{ q }}", "big 6"),
        ("<{{ s }}|link>", "<abc|link>"),  # markup is the author's, values are not
        ("{{ '<b>' }}{{ none }}{{ true }}", "&lt;b&gt;–true"),
        ("{{ s.__class__ }}{{ s.upper }}{{ n.real }}", "–––"),
    ],
)
def test_what_a_template_gives(source: str, expected: str) -> None:
    """Values escaped, gaps shown, nothing of Python within reach."""
    assert Template(source).render(VALUES) == expected


def test_plain_text_is_not_escaped() -> None:
    """Where Slack reads no markup, an entity would be shown as it stands."""
    assert Template("{{ data.object.customer }}", escape=False).render(VALUES) == "<!channel> & Co"


@pytest.mark.parametrize(
    "source",
    [
        "{{ x", "{% if %}", "{% for x in y %}", "{{ x() }}", "{{ range(9) }}", "{{ s.upper() }}", "{{ 9 ** 9 }}",
        "{% macro a() %}{% endmacro %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% block a %}{% endblock %}",
        "{{ s|safe }}", "{{ s|attr('x') }}", "{{ s|nosuch }}", "{{ x is nosuch }}", "{% for x in y recursive %}{% endfor %}",
        "{% call x() %}{% endcall %}", "{% filter upper %}{% endfilter %}",
        "{% for a in s %}{% for b in s %}{% for c in s %}x{% endfor %}{% endfor %}{% endfor %}",
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_found_when_it_is_read(source: str) -> None:
    """Calls, macros, other files, unknown filters, deep loops: none of them waits for an event to show."""
    with pytest.raises(ValueError, match=r"template|filter"):
        Template(source)


@pytest.mark.parametrize(
    "source",
    ["{{ s + n }}", "{{ n / 0 }}", "{{ s * n }}", "{{ n * s }}", "{{ '%99999999d' % n }}", "{{ -missing }}", "{{ s|truncate(2) }}"],
)
def test_values_that_do_not_fit_are_named_by_kind_only(source: str) -> None:
    """The error says what kind of mistake it is and shows nothing of the values."""
    with pytest.raises(ValueError, match=r"can't be filled in: [A-Za-z]+$"):
        Template(source).render(VALUES)


def test_loops_and_texts_end() -> None:
    """A million items are a hundred, and no text grows without end."""
    assert Template("{% for x in many %}x{% endfor %}").render(VALUES) == "x" * 100
    assert len(Template("{% for x in many %}{% for y in many %}{{ many }}{% endfor %}{% endfor %}").render(VALUES)) <= 12_000


@given(st.dictionaries(st.sampled_from("abc"), st.recursive(st.none() | st.text() | st.floats() | st.integers(), st.lists, max_leaves=5)))
def test_no_value_brings_markup_along(values: dict[str, Any]) -> None:
    """Whatever flows in, the text has only the author's markup."""
    found = Template("{{ a }}{{ b|join(' ') if b is sequence }}{{ c|upper }}").render(values)
    assert not set("<>") & set(found)
