"""Libraries that only some scorers need, loaded by the first that does, or the command that installs them."""

from __future__ import annotations

import importlib
from typing import Any

from llm_optimize.errors import BadInput

__all__ = ["load"]


def load(module: str, extra: str) -> Any:  # noqa: ANN401 - a module, which has no type of its own
    """Return a module.

    Args:
        module: its full name.
        extra: the extra of this package that brings it.

    Raises:
        BadInput: it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        named = module.partition(".")[0]
        msg = f"{named} is not installed ({error}): pip install 'llm-optimize[{extra}]'"
        raise BadInput(msg) from error
