"""A scorer as bytes: what the workers cannot be expected to have travels by value, the rest by name.

Code that is installed is found by its name on a worker. A task file, a script, a notebook and the modules beside them
are not installed there, or an older version of them is, so they travel whole: with cloudpickle (which Dask brings
along) or the one inside joblib. Without either, and where something in them cannot be pickled (a lock, an open file),
they travel by name, and the worker must be able to import them.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import pickle
import sys
import sysconfig
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["Parcel", "pack"]

_PICKLERS = ("cloudpickle", "joblib.externals.cloudpickle")
_PACKING = threading.Lock()  # which modules travel by value is a setting of the whole process
_REMEDY = "define it at the top of a module, without locks, open files or clients of your own"
_ASKING = ("complete", "embed", "judge")  # what models have, and scorers that ask the default model
_CANNOT = (pickle.PicklingError, AttributeError, TypeError, RecursionError, ValueError)


@dataclass(frozen=True, slots=True)
class Parcel:
    """An object as bytes; its print shows none of them, since a key may be among them.

    Attributes:
        body: the pickle.
        asks: whether there is a model inside, so that whoever opens it needs a key.
        digest: of the body; equal parcels hold equal objects.
    """

    body: bytes = field(repr=False)
    asks: bool
    digest: str


def pack(thing: object) -> Parcel:
    """Make a parcel of a scorer.

    Raises:
        BadInput: it cannot be pickled.

    Example:
        >>> pack(len).asks
        False
    """
    by_value = _by_value()
    try:
        return _packed(thing, by_value or pickle, by_value)
    except _CANNOT as error:
        try:
            return _packed(thing, by_value or pickle, None)
        except _CANNOT:
            msg = f"executor: func cannot be sent to its workers ({error}); {_REMEDY}"
            raise BadInput(msg) from error


def _packed(thing: object, library: Any, by_value: Any) -> Parcel:  # noqa: ANN401 - pickle, or a module like it
    found: list[object] = []
    asking: dict[type, bool] = {}

    class Noting(library.Pickler):  # type: ignore[misc]  # one of several bases
        """Notes models on the way; every object passes here once."""

        def persistent_id(self, item: object) -> None:
            kind = type(item)
            if kind not in asking:
                asking[kind] = any(hasattr(kind, name) for name in _ASKING)
            if asking[kind]:
                found.append(item)

    out = io.BytesIO()
    with _whole(by_value):
        Noting(out, protocol=pickle.HIGHEST_PROTOCOL).dump(thing)
    body = out.getvalue()
    return Parcel(body, bool(found), hashlib.sha256(body).hexdigest())


@contextmanager
def _whole(by_value: Any) -> Iterator[None]:  # noqa: ANN401 - a module
    """Make the modules that no worker can be expected to have travel by value."""
    if by_value is None:
        yield
        return
    with _PACKING:
        before = by_value.list_registry_pickle_by_value()
        # A module may stand there under two names, as the program does for multiprocessing.
        modules = {module.__name__: module for module in list(sys.modules.values()) if _is_own(module)}
        own = [module for name, module in modules.items() if name not in before]
        for module in own:
            by_value.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in own:
                by_value.unregister_pickle_by_value(module)


def _is_own(module: ModuleType | None) -> bool:
    """Say whether a module is the user's: Python source that is not installed, and no part of this package."""
    name, file = getattr(module, "__name__", ""), getattr(module, "__file__", None)
    if not file or not file.endswith(".py") or name.partition(".")[0] == __name__.partition(".")[0]:
        return False
    if sys.modules.get(name) is not module:
        return False
    parts = Path(file).parts
    if "site-packages" in parts or "dist-packages" in parts:
        return False
    return not any(file.startswith(folder) for folder in _standard())


def _standard() -> tuple[str, ...]:
    return tuple(str(Path(path)) + "/" for name in ("stdlib", "platstdlib") if (path := sysconfig.get_path(name)))


def _by_value() -> Any:  # noqa: ANN401 - a module
    for name in _PICKLERS:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
