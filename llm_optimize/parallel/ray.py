"""Ray, behind the standard library's ``submit``: one remote call per submit, made again where a worker is lost."""

from __future__ import annotations

import importlib
import time
from math import inf
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

__all__ = ["RayEngine"]

_LOCAL = "local"
_REMEDY = 'pip install "llm-optimize[ray]"'
_REMEDIES = "start one with `ray start --head`, and where it wants a token set RAY_AUTH_MODE=token"
_RETRIES = 3
_COUNTED_S = 1.0  # how old the number of workers may be


class RayEngine:
    """An executor over a Ray cluster; each call takes one processor of it."""

    def __init__(self, ray: Any, *, close: bool) -> None:  # noqa: ANN401 - the module, which is optional
        """Use a Ray that is connected.

        Args:
            ray: the module.
            close: whether :meth:`close` ends the connection.
        """
        self._ray = ray
        self._closes = close
        self.lost: tuple[type[BaseException], ...] = (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.OutOfMemoryError,
        )
        self._call = ray.remote(max_retries=_RETRIES)(_apply)
        self._counted = -inf, 1

    @classmethod
    def opened(cls, place: str, workers: int | None) -> RayEngine:
        """Connect to a cluster, or start one on this machine.

        Args:
            place: ``host:port`` of a Ray client server, or ``local``.
            workers: calls at once of a local one; None for one per processor.

        Raises:
            BadInput: Ray is not installed, or the cluster cannot be reached.
        """
        try:
            ray: Any = importlib.import_module("ray")  # heavy: only loaded by those who use it
        except ImportError as error:
            msg = f"executor: ray:// needs Ray ({error}): {_REMEDY}"
            raise BadInput(msg) from error
        if ray.is_initialized():
            return cls(ray, close=False)
        if place != _LOCAL and workers is not None:
            msg = f"executor: the cluster ray://{place} has its own number of workers; leave ?workers= out"
            raise BadInput(msg)
        try:
            if place == _LOCAL:
                ray.init(
                    "local", num_cpus=workers, include_dashboard=False, log_to_driver=False, configure_logging=False
                )
            else:
                ray.init(f"ray://{place}", log_to_driver=False)
        except (OSError, RuntimeError, ValueError) as error:  # ValueError: Ray without what its client needs
            msg = f"executor: no Ray cluster at {place} ({error}); {_REMEDIES}"
            raise BadInput(msg) from error
        return cls(ray, close=True)

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:  # noqa: ANN401 - any function, any arguments
        """Have a worker call ``fn``; the future is the standard library's."""
        future: Future[Any] = self._call.remote(fn, *args).future()
        return future

    def workers(self) -> int:
        """Return how many calls the cluster can make at once, as of a second ago; at least 1."""
        at, count = self._counted
        if time.monotonic() - at > _COUNTED_S:
            count = max(1, int(self._ray.cluster_resources().get("CPU", 0)))
            self._counted = time.monotonic(), count
        return count

    def close(self) -> None:
        """End what was started here; a cluster that was running before goes on."""
        if self._closes:
            self._ray.shutdown()


def _apply(fn: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401 - as above
    return fn(*args)
