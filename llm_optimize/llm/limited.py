"""Calls that wait for their turn instead of being refused: first come first served, at the endpoint's own pace.

The waiting is done in :mod:`llm_optimize.llm.pace`, attempt by attempt, so a retry stands in the queue like any other
request, at the place of its call. A refusal by a rate limit counts neither as one of the attempts nor against the
deadline of the retries: as long as the endpoint lets others through, it is only a matter of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.metering import current_clock
from llm_optimize.errors import BadInput, ModelUnavailable
from llm_optimize.llm.failures import RetryLater
from llm_optimize.llm.pace import Place, queued
from llm_optimize.llm.tokens import estimate_tokens
from llm_optimize.llm.wrapper import Wrapper

if TYPE_CHECKING:
    from llm_optimize.core.chat import Reply, Request
    from llm_optimize.core.protocols import ChatModel

__all__ = ["Limited"]


@dataclass(frozen=True, slots=True)
class Limited(Wrapper):
    """A model whose calls queue for its endpoint's rate limit; many may share an endpoint, in any threads.

    Attributes:
        inner: the model.
        patience: seconds for which a call is refused, or told to wait, while the endpoint lets nobody through; then
            it is given up. The time in the queue behind other calls does not count, however long it is.
        refusals: how often, in the same sense, at most.

    Example:
        >>> from llm_optimize.core.chat import Message, Request
        >>> from llm_optimize.llm.fake import ScriptedModel
        >>> Limited(ScriptedModel(["hello"])).complete(Request((Message("user", "hi"),))).text
        'hello'
    """

    inner: ChatModel
    patience: float = 300.0
    refusals: int = 10

    def __post_init__(self) -> None:
        """Refuse a limit that gives up at once.

        Raises:
            BadInput: see the message.
        """
        if not self.patience > 0 or self.refusals < 1:
            msg = f"patience and refusals: {self.patience!r} and {self.refusals!r}; give seconds above 0 and at least 1"
            raise BadInput(msg)

    def complete(self, request: Request) -> Reply:
        """Answer when it is this call's turn.

        Raises:
            RetryLater: the endpoint's limit lets nobody through for longer than the patience.
            ModelError: as ``inner``.
        """
        place = Place(lambda: _prompt_tokens(request), self._output(request), self.patience)
        with queued(place):
            while True:
                try:
                    return self.inner.complete(request)
                except ModelUnavailable as error:
                    if not place.refused:
                        raise
                    self._check_hope(place, error)

    def _check_hope(self, place: Place, error: ModelUnavailable) -> None:
        seconds = current_clock().monotonic() - place.since
        if place.refusals < self.refusals and seconds < self.patience:
            return
        times = "once" if place.refusals == 1 else f"{place.refusals} times"
        msg = f"{error} (gave up: refused {times} over {seconds:.1f} s while no other request was let through)"
        raise RetryLater(msg, getattr(error, "retry_after", None)) from error

    def _output(self, request: Request) -> int | None:
        settings = {**getattr(self.inner, "settings", {}), **request.settings}
        capped = settings.get("max_completion_tokens") or settings.get("max_tokens")
        return capped if isinstance(capped, int) else None


def _prompt_tokens(request: Request) -> int:
    return sum(estimate_tokens(message.content) for message in request.messages)
