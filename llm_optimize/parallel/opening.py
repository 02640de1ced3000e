"""From what a user names, ``processes?workers=4`` or ``dask://host:8786``, to an executor that a study can use."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

from llm_optimize.core.workers import DaemonThreads, Evaluators, Inline
from llm_optimize.errors import BadInput
from llm_optimize.parallel.dask import DaskEngine, is_client
from llm_optimize.parallel.evaluators import RemoteEvaluators
from llm_optimize.parallel.processes import CallLost, ProcessWorkers
from llm_optimize.parallel.ray import RayEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_optimize.core.protocols import Executor

__all__ = ["SPECS", "as_executor", "check_spec", "executing", "open_executor"]

_LOG = logging.getLogger("llm_optimize")

SPECS = "threads, processes[?workers=N], dask://HOST:PORT, dask://local[?workers=N], ray://HOST:PORT, ray://local"
"""The kinds of executor that have a name."""

_KINDS = {("threads", False), ("processes", False), ("dask", True), ("ray", True)}  # and whether they have a place


def open_executor(spec: str) -> Executor | None:
    """Return the executor of a name; None for ``threads``, which a study has by itself.

    Args:
        spec: one of :data:`SPECS`; ``workers`` is at least 1 and defaults to one per processor.

    Returns:
        An executor with ``close()``, which ends what was started here: processes, a local cluster, a connection.
        A cluster that was running before goes on.

    Raises:
        BadInput: there is no such kind, its extra is not installed, or its cluster cannot be reached.

    Example:
        >>> open_executor("threads") is None
        True
    """
    kind, place, workers = _parts(spec)
    if kind == "threads":
        return None
    if kind == "processes":
        pool = ProcessWorkers(workers)
        return RemoteEvaluators(pool, lost=(CallLost,), exact=True, workers=pool.workers, close=pool.end)
    if kind == "dask":
        engine = DaskEngine.opened(place, workers)
        return RemoteEvaluators(engine.executor, lost=engine.lost, workers=engine.workers, close=engine.close)
    ray = RayEngine.opened(place, workers)
    return RemoteEvaluators(ray, lost=ray.lost, workers=ray.workers, close=ray.close)


def check_spec(spec: str) -> str:
    """Return the name of an executor if it is one; nothing is started.

    Raises:
        BadInput: there is no such kind, or its workers are no number.
    """
    _parts(spec)
    return spec


def as_executor(given: object, parallel: int | None = None) -> Executor | None:
    """Return what a study can use of what a user gave.

    Args:
        given: None, a name (see :func:`open_executor`), an executor of the standard library's kind, or a Dask client.
            One whose workers are threads of this process is used as it is; others get scorers that travel.
        parallel: how many evaluations the study keeps in flight; a warning says so if workers are left without any.

    Raises:
        BadInput: it is none of these.
    """
    executor = _adapted(given)
    workers: int = getattr(executor, "workers", None) or 0
    if parallel is not None and isinstance(executor, RemoteEvaluators) and workers > parallel:
        text = "parallel is %d, so %d of the executor's %d workers will have nothing to do: raise parallel to %d"
        _LOG.warning(text, parallel, workers - parallel, workers, workers)
    return executor


def _adapted(given: object) -> Executor | None:
    if given is None or isinstance(given, (Inline, DaemonThreads, ThreadPoolExecutor)):
        return given
    if isinstance(given, str):
        return open_executor(given)
    if is_client(given):
        engine = DaskEngine.of(given)
        return RemoteEvaluators(engine.executor, lost=engine.lost, workers=engine.workers)
    if not callable(getattr(given, "submit", None)):
        msg = f"executor is a {type(given).__name__}: give one of {SPECS}, or an object with the method submit"
        raise BadInput(msg)
    executor = cast("Executor", given)
    return executor if isinstance(given, Evaluators) else RemoteEvaluators(executor, workers=_count(given))


def _count(given: object) -> int | None:
    """Return the workers of a pool: mpi4py's says how many, the standard library's does not say it in public."""
    found = getattr(given, "num_workers", None) or getattr(given, "_max_workers", None)
    return found if isinstance(found, int) else None


@contextmanager
def executing(given: object) -> Iterator[Executor | None]:
    """Yield :func:`as_executor` of it, and close afterwards what a name has started."""
    executor = as_executor(given)
    try:
        yield executor
    finally:
        close: Callable[[], Any] | None = getattr(executor, "close", None) if isinstance(given, str) else None
        if close is not None:
            close()


def _parts(spec: str) -> tuple[str, str, int | None]:
    """Return kind, place and workers.

    Raises:
        BadInput: see :func:`check_spec`.
    """
    known = urlsplit(spec if "://" in spec else f"{spec.partition('?')[0]}://{spec[len(spec.partition('?')[0]) :]}")
    asked = parse_qs(known.query, keep_blank_values=True)
    if (
        (known.scheme, bool(known.netloc)) not in _KINDS
        or set(asked) - ({"workers"} if known.scheme != "threads" else set())
        or known.path.strip("/")
    ):
        msg = f"executor is {spec!r}: give one of {SPECS}"
        raise BadInput(msg)
    workers = asked.get("workers", [None])[-1]
    if workers is None:
        return known.scheme, known.netloc, None
    if not workers.isdecimal() or not int(workers):
        msg = f"executor is {spec!r}: workers is no whole number of at least 1"
        raise BadInput(msg)
    return known.scheme, known.netloc, int(workers)
