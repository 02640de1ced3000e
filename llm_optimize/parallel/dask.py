"""Dask distributed: its client's own executor, which survives lost workers and grows with the cluster."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from llm_optimize.core.protocols import Executor

__all__ = ["DaskEngine", "is_client"]

_LOCAL = "local"
_PATIENCE_S = 5
_REMEDY = 'pip install "llm-optimize[distributed]"'


@dataclass(slots=True)
class DaskEngine:
    """A client and its executor.

    Attributes:
        executor: gives real futures of the standard library.
        lost: what its futures raise where a call has ended several workers.
        started: what was started here, to be closed in this order.
    """

    executor: Executor
    lost: tuple[type[BaseException], ...]
    started: list[Any] = field(default_factory=list)

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
            cluster = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0")
            client = distributed.Client(cluster)
            return cls._with(client, [client, cluster])
        if workers is not None:
            msg = f"executor: the cluster dask://{place} has its own number of workers; leave ?workers= out"
            raise BadInput(msg)
        try:
            client = distributed.Client(f"tcp://{place}", timeout=_PATIENCE_S)
        except (OSError, ValueError) as error:
            msg = f"executor: no Dask scheduler answers at {place} ({error}); start one with `dask scheduler`"
            raise BadInput(msg) from error
        return cls._with(client, [client])

    @classmethod
    def of(cls, client: Any) -> DaskEngine:  # noqa: ANN401 - its package is optional
        """Use a client of the user's, who also closes it."""
        return cls._with(client, [])

    @classmethod
    def _with(cls, client: Any, started: list[Any]) -> DaskEngine:  # noqa: ANN401 - as above
        from distributed.scheduler import KilledWorker  # noqa: PLC0415 - loaded by the client already

        return cls(client.get_executor(pure=False), (KilledWorker,), started)

    def close(self) -> None:
        """Close what was started here."""
        for thing in self.started:
            thing.close()


def is_client(thing: object) -> bool:
    """Return whether this is a Dask client, without loading Dask."""
    module = sys.modules.get("distributed")
    return module is not None and isinstance(thing, module.Client)
