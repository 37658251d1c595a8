"""What can go wrong, named by what happens next.

    RowferryError
    ├── SettingsError      fix the settings file; carries every problem at once      exit 2
    ├── UsageError         fix the command line                                      exit 2
    ├── CredentialsError   a vendor or cloud refused our key: stop, send nothing     run failed
    ├── SourceError        the model can't be read as it stands                      run failed
    ├── FileRejected       this file goes to quarantine, the others go on            file quarantined
    ├── RowRejected        this row becomes a dead letter, the others go on          row rejected
    ├── SignatureError     a webhook is not from whom it says                        401
    ├── DamagedState       an object of the state store was changed by hand or a disk      exit 1
    ├── TryLater           the same call again, later, can work                      retried
    └── OutOfTime          progress is saved; the next call resumes                  retried

Every message says what was found, what was expected and what to do. None holds a secret,
and none a row's value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


class RowferryError(Exception):
    """The root of the tree; never raised itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the settings: where (`syncs.customers.map.email`), what, and a hint.

    `is_advice`: most likely a mistake, for `check` to tell, but nothing that a sync could not run with.
    """

    path: str
    problem: str
    hint: str = ""
    is_advice: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" + (f" ({self.hint})" if self.hint else "")

    def to_dict(self) -> dict[str, str]:
        """As commands print it with `--json`."""
        return {"path": self.path, "problem": self.problem, "hint": self.hint}

    def lines(self) -> Iterator[str]:
        """As commands print it for people."""
        yield f"{self.path}: {self.problem}" if self.path else self.problem
        if self.hint:
            yield f"    {self.hint}"


class SettingsError(RowferryError):
    """The settings can't be used. `problems` holds every one of them, in the file's order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(RowferryError):
    """The command was called with something that does not exist or does not fit."""


class CredentialsError(RowferryError):
    """A key was refused. Nothing more is sent with it until a person has mended it."""


class SourceError(RowferryError):
    """The model of a sync can't be read: a missing table or column, a wrong statement."""


class FileRejected(RowferryError):
    """An export file that can't be loaded. `code` is ours and stable, the text is for people."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class RowRejected(RowferryError):
    """A row that can't be sent. `code` is ours and stable, the text is for people."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class SignatureError(RowferryError):
    """A webhook's signature, token or time stamp does not hold. Its body has not been read."""


class DamagedState(RowferryError):
    """An object of the state store is not what we wrote. We write whole objects or none, so this was not us."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} in the state store is damaged; put back an earlier version of it, then run the same again")


class TryLater(RowferryError):
    """Something passing: a store or vendor out of reach, a table busy.

    `wait_seconds` is what the other side asked for, or None when it did not say.
    """

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        self.wait_seconds = wait_seconds
        super().__init__(message)


class OutOfTime(RowferryError):
    """The function's time is nearly up. Progress is saved: call again to resume."""
