"""Names that are most likely a vendor's own, misspelt."""

from __future__ import annotations

from collections.abc import Mapping

_LONG = 8  # letters, from which on one of them may be missing or wrong: `county` is a word, `phone_numer` is none


def meant(name: str, own: Mapping[str, str]) -> str | None:
    """The vendor's own name that `name` stands for, or differs from by one slip; None when there is none.

    `own` are the vendor's names by their letters, as `name` has to be: without case, blanks, dashes and underscores. A slip
    is within the word: its first and last letter are right, for `address3` and `phones` may well be meant.
    """
    return own.get(name) or next((own[known] for known in own if _is_slip(name, known)), None)


def _is_slip(name: str, known: str) -> bool:
    """Whether two letters changed places, or in a long word one is wrong, missing or too many."""
    if min(len(name), len(known)) < 4 or abs(len(name) - len(known)) > 1 or (name[0], name[-1]) != (known[0], known[-1]):
        return False
    start = next((place for place, (one, other) in enumerate(zip(name, known, strict=False)) if one != other), 0)
    if len(name) == len(known):
        swapped = name[:start] + name[start + 1 : start + 2] + name[start] + name[start + 2 :]
        return swapped == known or (len(known) >= _LONG and name[start + 1 :] == known[start + 1 :])
    longer, shorter = sorted((name, known), key=len, reverse=True)
    return len(known) >= _LONG and longer[:start] + longer[start + 1 :] == shorter
