"""Examples as modules: a task that is also an example is defined there, once."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["FOLDER", "example"]

FOLDER = Path(__file__).parents[3] / "examples"
"""Where the examples lie."""


@cache
def example(name: str) -> ModuleType:
    """Return the example of this name, executed once.

    Raises:
        FileNotFoundError: there is none.
    """
    path = FOLDER / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
