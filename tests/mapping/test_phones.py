"""Phone numbers: as people write them, to the one number that is meant, or to a reason."""

from __future__ import annotations

import pytest

from rowferry.mapping.phones import Country


@pytest.mark.parametrize(
    ("country", "written", "number"),
    [
        ("", "+49 30 123456", "+4930123456"),
        ("", "0049 30 123456", "+4930123456"),
        ("US", "(415) 555-2671", "+14155552671"),
        ("US", "1-415-555-2671", "+14155552671"),
        ("us", "415.555.2671 ext. 12", "+14155552671"),
        ("CA", "011 44 20 7946 0018", "+442079460018"),
        ("AU", "0011 44 20 7946 0018", "+442079460018"),
        ("AU", "02 9374 4000", "+61293744000"),
        ("IN", "98765 43210", "+919876543210"),
        ("IN", "098765 43210", "+919876543210"),
        ("IN", "91 98765 43210", "+919876543210"),
        ("IN", "91765 43210", "+919176543210"),
        ("IT", "06 1234 5678", "+390612345678"),
        ("", "+39 (0)6 1234 5678", "+390612345678"),
        ("IT", "347 123 4567", "+393471234567"),
        ("HU", "06 20 123 4567", "+36201234567"),
        ("GB", "020 7946 0018", "+442079460018"),
        ("GB", "+44 (0)20 7946 0018", "+442079460018"),
        ("DE", "٠٣٠ ١٢٣٤٥٦", "+4930123456"),
    ],
)
def test_a_number_is_read_as_its_country_dials(country: str, written: str, number: str) -> None:
    """What is dialled before a number within a country or abroad is no part of it, but for Italy's zero."""
    assert Country(country).e164(written) == number


@pytest.mark.parametrize(
    ("country", "written"),
    [
        ("US", "555-2671"),
        ("US", "2 415 555 2671"),
        ("IN", "1234"),
        ("DE", "0800 CALL 123456"),
        ("", "030 123456"),
        ("DE", "12"),
        ("DE", ""),
    ],
)
def test_a_number_that_could_be_another_is_refused(country: str, written: str) -> None:
    """Too few digits, letters, no country: the reason quotes nothing of it."""
    with pytest.raises(ValueError, match="phone number") as caught:
        Country(country).e164(written)
    assert not written or written not in str(caught.value)
