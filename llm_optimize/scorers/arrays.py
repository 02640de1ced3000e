"""The one file of the scorers that loads numpy and scikit-learn, and only when a scorer needs them.

They are optional (extra ``numeric``) and slow to import, so scorers ask for them here, by a call, instead of importing
them at the top of their files.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Array", "numpy", "sklearn"]

Array = Any
"""A numpy array, or what may become one; numpy is optional, so its type cannot be named here."""


@lru_cache(maxsize=1)
def numpy() -> ModuleType:
    """Return numpy.

    Raises:
        BadInput: it is not installed.
    """
    return _loaded("numpy", "numpy")


@lru_cache(maxsize=32)
def sklearn(part: str) -> ModuleType:
    """Return a module of scikit-learn, such as ``metrics``.

    Raises:
        BadInput: it is not installed.
    """
    return _loaded(f"sklearn.{part}", "scikit-learn")


def _loaded(module: str, package: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        msg = f"this scorer needs {package}, which is not installed ({error}): pip install llm-optimize[numeric]"
        raise BadInput(msg) from None
