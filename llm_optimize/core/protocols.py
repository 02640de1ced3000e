"""Every seam of the loop on one page: implement one of these, hand the object over, nothing to register.

Objects are protocols; what users write as functions (scorers, stop rules, observers) are plain callables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from llm_optimize.core.events import Event
from llm_optimize.core.history import History
from llm_optimize.core.types import Evaluation, Failure, Proposal

if TYPE_CHECKING:
    from concurrent.futures import Future

    from llm_optimize.core.chat import Piece, Reply, Request

__all__ = [
    "ChatModel",
    "EmbeddingModel",
    "ExchangeLog",
    "Executor",
    "Listener",
    "Observer",
    "Ownable",
    "Proposer",
    "ReplyLog",
    "Roomy",
    "Scorer",
    "Shelving",
    "Stopper",
    "Store",
]

Scorer = Callable[[str], Evaluation | Failure | float | tuple[float, str]]
"""Text in; a finite number (higher is better), (number, feedback) or an Evaluation out; raising makes a Failure."""

Stopper = Callable[[History], str | None]
"""Why the study should end now, or None to go on. A pure function of the history, so a resume changes nothing."""

Observer = Callable[[Event], None]
"""Sees every event after it is on disk; cannot steer. One that raises is logged and left alone."""


@runtime_checkable
class Proposer(Protocol):
    """Has ideas. Stateless: whatever it needs is in the history, so a resumed study carries on the same."""

    def propose(self, history: History, n: int) -> Proposal:
        """Return up to ``n`` drafts.

        Args:
            history: the past; draw random numbers from ``(history.seed, history.slot)`` only.
            n: how many drafts are wanted, at least 1.

        Returns:
            Drafts with their price. No drafts and a note when nothing usable came, for example after a refusal.

        Raises:
            ModelError: the model could not answer; the study ends with its best so far.
            BudgetExceeded: the next call would pass a cap.
        """
        ...


@runtime_checkable
class Store(Protocol):
    """An append-only log per study; two methods and a listing."""

    def append(self, study: str, event: Event) -> int:
        """Write the event durably and return its sequence number (1, 2, ... within the study).

        Raises:
            StoreError: it could not be written; then nothing was.
        """
        ...

    def read(self, study: str, after: int = 0) -> Iterable[tuple[int, Event]]:
        """Yield (sequence number, event) in order, beginning behind ``after``; nothing for an unknown study."""
        ...

    def studies(self) -> Sequence[str]:
        """Return the names of all studies, oldest first."""
        ...


@runtime_checkable
class Shelving(Protocol):
    """Events by number, and a place for what a log was folded to; a store may offer it, for long studies."""

    def fetch(self, study: str, sequences: Sequence[int]) -> Mapping[int, Event]:
        """Return the events with these sequence numbers; those that the log does not hold are missing.

        Raises:
            StoreError: one cannot be read.
        """
        ...

    def keep_fold(self, study: str, body: bytes) -> None:
        """Keep the bytes in place of those kept before.

        Raises:
            StoreError: they could not be written.
        """
        ...

    def kept_fold(self, study: str) -> bytes | None:
        """Return the bytes kept, or None."""
        ...

    def twin(self) -> Shelving:
        """Return another one on the same logs, which stays open when this one is closed."""
        ...


@runtime_checkable
class ReplyLog(Protocol):
    """Paid model replies by key, on disk before anything builds on them; a store may offer it."""

    def remember(self, study: str, key: str, body: str) -> None:
        """Write ``body`` durably under ``key``; the first body written stays.

        Raises:
            StoreError: it could not be written.
        """
        ...

    def recall(self, study: str, key: str) -> str | None:
        """Return the body under ``key``, or None."""
        ...


@runtime_checkable
class ExchangeLog(ReplyLog, Protocol):
    """A reply log that can also keep what was asked, and list what it holds."""

    def remember_all(self, study: str, entries: Mapping[str, str]) -> None:
        """Write all bodies by key durably, in one transaction: all of them or none; the first under a key stays.

        Raises:
            StoreError: they could not be written.
        """
        ...

    def keys(self, study: str, prefix: str = "") -> Sequence[str]:
        """Return the keys that begin with ``prefix``, in the order in which they were first written."""
        ...


@runtime_checkable
class Ownable(Protocol):
    """A store that several processes can open: one owner runs a study, the others read it and append guidance."""

    def claim(self, study: str) -> None:
        """Become the owner.

        Raises:
            StudyOwned: another live process owns the study.
        """
        ...

    def release(self, study: str) -> None:
        """Stop being the owner; no effect for one who is not."""
        ...


@runtime_checkable
class Listener(Protocol):
    """An observer that also wants to know what a model says while it says it; then replies are streamed."""

    def hear(self, piece: Piece) -> None:
        """Take in a part of a reply; called from the thread that waits for it, so it must be quick."""
        ...


class ChatModel(Protocol):
    """Anything that completes a chat; cache, retry, price and record are wrappers of this same method."""

    def complete(self, request: Request) -> Reply:
        """Answer, once.

        Raises:
            ModelError: no answer (see the tree in :mod:`llm_optimize.errors`); never an empty string instead.
        """
        ...


class EmbeddingModel(Protocol):
    """Turns texts into vectors."""

    def embed(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - numpy is optional, so its array type cannot be named
        """Return an array of shape (len(texts), d), float32, one row per text."""
        ...


class Executor(Protocol):
    """The standard library's contract, as far as the loop uses it: any ``concurrent.futures.Executor`` fits."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:  # noqa: ANN401 - any function, any arguments
        """Start ``fn(*args)`` and return a future with ``add_done_callback`` and ``result``."""
        ...


@runtime_checkable
class Roomy(Protocol):
    """An executor that knows how many evaluations it can make use of."""

    def room(self) -> int:
        """Return how many are to be kept in flight now, at least 1; cheap, since it is asked at every step."""
        ...
