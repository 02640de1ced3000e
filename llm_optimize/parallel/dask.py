"""Dask distributed: its client's own executor, which survives lost workers and grows with the cluster.

What lies between two evaluations of a worker is the way of a result to the study and of the next candidate back. As
Dask comes, half of it is waiting: a client holds a message back for 10 ms after another one, such as "that result is
no longer needed", and has results fetched by the scheduler. A client that is opened here does neither where it can.
"""

from __future__ import annotations

import importlib
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4
from weakref import WeakValueDictionary

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from llm_optimize.core.protocols import Executor

__all__ = ["DaskEngine", "is_client"]

_LOCAL = "local"
_PATIENCE_S = 5
_HELD_BACK_S = 0.001  # a message after another one; as many hops of Dask's own have it
_COUNTED_S = 1.0  # how old the number of workers may be; asking costs a way there and back
# What waits is kept at the scheduler, for whichever worker is free first, and not at the one that is less busy now.
_LOCAL_SETTINGS = {"distributed.scheduler.worker-saturation": 1.0}
_REMEDY = 'pip install "llm-optimize[distributed]"'


@dataclass(slots=True)
class DaskEngine:
    """A client and its executor.

    Attributes:
        executor: gives real futures of the standard library.
        lost: what its futures raise where a call has ended several workers.
        client: the client.
        started: what was started here, to be closed in this order.
    """

    executor: Executor
    lost: tuple[type[BaseException], ...]
    client: Any
    started: list[Any] = field(default_factory=list)
    _threads: int = field(default=1, init=False)
    _counted_at: float = field(default=-inf, init=False)

    @classmethod
    def opened(cls, place: str, workers: int | None) -> DaskEngine:
        """Connect to a scheduler, or start a cluster of processes on this machine.

        Args:
            place: ``host:port``, or ``local``.
            workers: processes of a local cluster; None for one per processor.

        Raises:
            BadInput: Dask is not installed, the scheduler cannot be reached, or has workers of its own number.
        """
        try:
            distributed: Any = importlib.import_module("distributed")  # heavy: only loaded by those who use it
        except ImportError as error:
            msg = f"executor: dask:// needs Dask distributed ({error}): {_REMEDY}"
            raise BadInput(msg) from error
        if place == _LOCAL:
            # Its usual port may be another cluster's; it says which one it has taken.
            with importlib.import_module("dask").config.set(_LOCAL_SETTINGS):
                cluster = distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0"
                )
            client = distributed.Client(cluster, direct_to_workers=True)
            client.sync(_hasten, client)
            return cls._with(client, [client, cluster])
        if workers is not None:
            msg = f"executor: the cluster dask://{place} has its own number of workers; leave ?workers= out"
            raise BadInput(msg)
        try:
            client = distributed.Client(f"tcp://{place}", timeout=_PATIENCE_S)
        except (OSError, ValueError) as error:
            msg = f"executor: no Dask scheduler answers at {place} ({error}); start one with `dask scheduler`"
            raise BadInput(msg) from error
        client.sync(_hasten, client)
        return cls._with(client, [client])

    @classmethod
    def of(cls, client: Any) -> DaskEngine:  # noqa: ANN401 - its package is optional
        """Use a client of the user's, who also closes it."""
        return cls._with(client, [])

    @classmethod
    def _with(cls, client: Any, started: list[Any]) -> DaskEngine:  # noqa: ANN401 - as above
        from distributed.scheduler import KilledWorker  # noqa: PLC0415 - loaded by the client already

        # A client of the user's may listen to these events itself, and would no longer hear of them.
        executor = _Noting(client) if started else client.get_executor(pure=False)
        engine = cls(executor, (KilledWorker,), client, started)
        if not client.asynchronous:
            client.sync(engine._count)
        return engine

    def workers(self) -> int:
        """Return how many calls the cluster can make at once, as of a second or two ago; at least 1.

        Nothing waits for the answer: a scheduler that is gone is for the evaluations to tell.
        """
        if time.monotonic() - self._counted_at > _COUNTED_S:
            self._counted_at = time.monotonic()
            self.client.loop.add_callback(self._count)
        return max(1, self._threads)

    async def _count(self) -> None:
        if self.client.status != "running":
            return
        with suppress(OSError):
            self._threads = (await self.client.scheduler.identity(n_workers=0))["total_threads"]

    def close(self) -> None:
        """Close what was started here."""
        for thing in self.started:
            thing.close()


class _Noting:
    """Dask's executor; its futures know how many workers were lost that were, or would next have been, at the call."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - its package is optional
        self._executor = client.get_executor(pure=False)
        self._flying: WeakValueDictionary[str, Any] = WeakValueDictionary()
        client.subscribe_topic("all", self._hear)

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:  # noqa: ANN401 - any function, any arguments
        key = f"{getattr(fn, '__name__', 'call')}-{uuid4()}"
        future = self._executor.submit(fn, *args, key=key)
        future.workers_lost = 0
        self._flying[key] = future
        return cast("Future[Any]", future)

    def _hear(self, event: tuple[float, Any]) -> None:
        told = event[1]
        if not isinstance(told, dict) or told.get("action") != "remove-worker":
            return
        for key in (*told["processing-tasks"], *told["lost-computed-tasks"]):
            future = self._flying.get(key)
            if future is not None:
                future.workers_lost += 1


def is_client(thing: object) -> bool:
    """Return whether this is a Dask client, without loading Dask."""
    module = sys.modules.get("distributed")
    return module is not None and isinstance(thing, module.Client)


async def _hasten(client: Any) -> None:  # noqa: ANN401 - its package is optional
    stream = client.scheduler_comm
    stream.interval = min(stream.interval, _HELD_BACK_S)
