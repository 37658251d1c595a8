"""Names in a map that are most likely a vendor's own: `check` says which, and refuses none."""

from __future__ import annotations

import pytest

from rowferry.destinations import find
from rowferry.destinations.misspelt import meant

OWN = {"phonenumber": "phone_number", "email": "email", "country": "country", "address1": "address1", "phone": "phone", "title": "title"}
SETTINGS = {
    "braze": {"instance": "EU-01", "api_key": "secret:k"},
    "klaviyo": {"api_key": "secret:k"},
    "clevertap": {"region": "in1", "account_id": "A", "passcode": "secret:k"},
    "amplitude": {"api_key": "secret:k"},
}


@pytest.mark.parametrize("name", ["phonenumber", "phonenubmer", "phonenumer", "phonennumber", "phonemumber"])
def test_one_slip_is_seen(name: str) -> None:
    """Letters that changed places, and in a long word one that is wrong, missing or too many."""
    assert meant(name, OWN) == "phone_number"


@pytest.mark.parametrize("name", ["county", "address3", "phones", "emails", "tile", "tier", "", "x", "phonenumbers", "homephonenumber"])
def test_another_word_is_none(name: str) -> None:
    """What may well be a name of one's own is left alone."""
    assert meant(name, OWN) is None


@pytest.mark.parametrize(
    ("vendor", "identifier", "name", "own"),
    [
        ("klaviyo", "email", "phone_nubmer", "phone_number"),
        ("klaviyo", "email", "frist_name", "first_name"),
        ("braze", "external_id", "emial", "email"),
        ("braze", "external_id", "last_nmae", "last_name"),
        ("clevertap", "identity", "Emial", "Email"),
        ("clevertap", "identity", "Educatoin", "Education"),
        ("amplitude", "device_id", "usre_id", "user_id"),
    ],
)
def test_check_says_what_was_meant(vendor: str, identifier: str, name: str, own: str) -> None:
    """It is advice: a sync with such a name runs, for the name may be meant."""
    destination = find(vendor)
    settings = destination.settings.model_validate({"vendor": vendor, **SETTINGS[vendor]})
    found = list(destination.actions["profile"].check({identifier: None, name: None, "tier": None}, settings))
    assert [(problem.path, problem.is_advice) for problem in found] == [(name, True)]
    assert f"did you mean {own}?" in found[0].hint
