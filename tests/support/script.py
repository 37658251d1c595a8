"""A script of infra/ as a module: it lies in no package."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from support.terraform import INFRA


def load_script(name: str) -> Any:
    """infra/<name>.py, imported."""
    spec = importlib.util.spec_from_file_location(f"infra_{name}", INFRA / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
