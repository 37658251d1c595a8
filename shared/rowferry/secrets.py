"""Where secrets are found: the environment, Google's Secret Manager, AWS's Secrets Manager.

Adapters are chosen in `app`; here is the port and the environment's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from rowferry.errors import UsageError

# Gives the value for a reference (`secret:NAME`, `env:NAME`). Raises `UsageError` when there is none.
Resolve = Callable[[str], str]


def from_environment(environment: Mapping[str, str] = os.environ) -> Resolve:
    """Resolves `env:NAME` from the environment, and `secret:NAME` from it too, as ROWFERRY_SECRET_NAME
    (upper case, other characters as `_`): the way secrets are given on one machine."""

    def resolve(reference: str) -> str:
        kind, _, name = reference.partition(":")
        variable = name if kind == "env" else "ROWFERRY_SECRET_" + "".join(c if c.isalnum() else "_" for c in name).upper()
        value = environment.get(variable, "")
        if not value:
            raise UsageError(f"{reference} is not set: put its value into the environment variable {variable}")
        return value

    return resolve
