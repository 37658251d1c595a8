"""The small drawing."""

from __future__ import annotations

import pytest

from rowferry.alerts.trend import LENGTH, draw


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""), ([5.0], ""), ([None, None, 1.0], ""), ([1.0, 1.0], "▁▁"), ([0.0, 7.0], "▁█"), ([-1.0, None, 1.0], "▁ █"),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "▁▂▃▄▅▆▇█"), ([1e300, -1e300, 1e299], "█▁▅"),
    ],
)  # fmt: skip
def test_what_is_drawn(values: list[float | None], expected: str) -> None:
    """From the lowest to the highest; nothing where there is nothing to see yet."""
    assert draw(values) == expected


def test_only_the_last_values_are_drawn() -> None:
    """A notice is no chart."""
    assert len(draw([float(number) for number in range(1000)])) == LENGTH
