"""The one file that loads numpy, scipy, cmaes and optuna, and only when a numeric engine that needs them runs.

They are optional (extra ``numeric``) and slow to import, so the engines ask for them here, by a call, instead of
importing them at the top of their files.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

__all__ = ["Array", "cmaes", "descend", "installed", "linalg", "numpy", "one_thread", "optuna", "special"]

Array = Any
"""A numpy array; numpy is optional, so its type cannot be named here."""

_ONE_AT_A_TIME = threading.Lock()


@lru_cache(maxsize=32)
def installed(*packages: str) -> bool:
    """Return whether all of ``packages`` can be imported; imports none of them."""
    return all(find_spec(package) is not None for package in packages)


@lru_cache(maxsize=1)
def numpy() -> ModuleType:
    """Return numpy."""
    return import_module("numpy")


@lru_cache(maxsize=1)
def linalg() -> ModuleType:
    """Return scipy.linalg."""
    return import_module("scipy.linalg")


@lru_cache(maxsize=1)
def special() -> ModuleType:
    """Return scipy.special."""
    return import_module("scipy.special")


@lru_cache(maxsize=1)
def cmaes() -> ModuleType:
    """Return cmaes."""
    return import_module("cmaes")


@lru_cache(maxsize=1)
def optuna() -> ModuleType:
    """Return optuna."""
    return import_module("optuna")


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the block with linear algebra in one thread, where threadpoolctl (it comes with scikit-learn) is installed.

    The matrices here are small: several threads gain nothing, and lose much where the cores are busy scoring. The
    setting belongs to the whole process, so blocks take turns; else one could restore what another had changed.
    """
    with _ONE_AT_A_TIME, _pools().limit(limits=1) if installed("threadpoolctl") else nullcontext():
        yield


@lru_cache(maxsize=1)
def _pools() -> Any:  # noqa: ANN401 - threadpoolctl's own type, and it is optional
    linalg()  # what is not loaded yet is not found
    return import_module("threadpoolctl").ThreadpoolController()


def descend(
    loss: Callable[[Array], tuple[float, Array]], start: Array, bounds: Array, steps: int = 40
) -> tuple[Array, float]:
    """Minimize by L-BFGS-B.

    Args:
        loss: returns the value and the gradient, shape (d,).
        start: where to begin, shape (d,).
        bounds: (low, high) of each column, shape (d, 2).
        steps: iterations at most.

    Returns:
        The lowest point that was found, and the loss there.
    """
    minimize = import_module("scipy.optimize").minimize
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps})
    return found.x, float(found.fun)
