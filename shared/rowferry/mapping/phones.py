"""Phone numbers as people write them, in E.164: `+` and at most 15 digits (ITU-T E.164).

A number that could be read in two ways is refused: one that is wrong is somebody else's.
"""

from __future__ import annotations

import re
import unicodedata

# Country calling codes that can be put before a national number. From ITU E.164 (list of 2016-11-15).
_CALLING_CODES = {
    "AE": "971", "AR": "54", "AT": "43", "AU": "61", "BE": "32", "BR": "55", "CA": "1", "CH": "41", "CL": "56", "CN": "86",
    "CO": "57", "CZ": "420", "DE": "49", "DK": "45", "EG": "20", "ES": "34", "FI": "358", "FR": "33", "GB": "44", "GR": "30",
    "HK": "852", "HU": "36", "ID": "62", "IE": "353", "IL": "972", "IN": "91", "IT": "39", "JP": "81", "KE": "254", "KR": "82",
    "MX": "52", "MY": "60", "NG": "234", "NL": "31", "NO": "47", "NZ": "64", "PH": "63", "PK": "92", "PL": "48", "PT": "351",
    "RO": "40", "SA": "966", "SE": "46", "SG": "65", "TH": "66", "TR": "90", "TW": "886", "UA": "380", "US": "1", "VN": "84",
    "ZA": "27",
}  # fmt: skip
# What is dialled before a number within the country where it is not 0, and before one abroad where it is not 00 (ITU
# Operational Bulletin 994, "Dialling procedures", 2011-12-15). In Italy the zero is part of the number.
_WITHIN = {"CA": "1", "HU": "06", "IT": "", "US": "1"}
_ABROAD = {
    "AU": "0011", "CA": "011", "HK": "001", "ID": "001", "JP": "010", "KE": "000", "SG": "001", "TH": "001", "TW": "002", "US": "011",
}  # fmt: skip
_DIGITS = {"CA": 10, "IN": 10, "US": 10}  # of every number in the country
_EXTENSION = re.compile(r"(?:\s*(?:;ext=|extension|ext\.?|x|#)\s*\d+)\s*$", re.IGNORECASE)


class Country:
    """A country, by its two letters, whose numbers may lack their calling code; "" for none. Raises `ValueError`."""

    def __init__(self, letters: str) -> None:
        self._name = letters.upper()
        if letters and self._name not in _CALLING_CODES:
            raise ValueError(f"e164 does not know the country {letters!r}; give its two letters, such as US or IN")
        self._code = _CALLING_CODES.get(self._name)

    def e164(self, text: str) -> str:
        """The number in E.164, without its extension. Raises `ValueError` when it is none, or its country is not known."""
        number = _EXTENSION.sub("", text.strip())
        if any(map(str.isalpha, number)):
            raise ValueError("a phone number was expected, letters were found")
        if number.startswith("+") and not number.startswith("+39"):
            number = number.replace("(0)", "")  # for who dials it from within
        digits = "".join(str(unicodedata.decimal(found)) for found in number if found.isdecimal())
        if not number.startswith("+"):
            digits = self._with_code(digits)
        if not 8 <= len(digits) <= 15:
            raise ValueError("a phone number of 8 to 15 digits was expected (E.164)")
        return f"+{digits}"

    def _with_code(self, digits: str) -> str:
        abroad = _ABROAD.get(self._name, "00")
        if digits.startswith(abroad):
            return digits.removeprefix(abroad)
        if self._code is None:
            raise ValueError("a phone number without its country code; write {e164: COUNTRY} to add one")
        return self._code + self._national(digits, self._code)

    def _national(self, digits: str, code: str) -> str:
        within, wanted = _WITHIN.get(self._name, "0"), _DIGITS.get(self._name)
        if wanted is None:
            return digits.removeprefix(within)
        if len(digits) > wanted:
            digits = next((digits.removeprefix(before) for before in (code, within) if len(digits) == wanted + len(before)), digits)
        if len(digits) != wanted:
            raise ValueError(f"a phone number of {wanted} digits was expected, as {self._name} has them")
        return digits
