"""The one retry layer: rate limits, timeouts and failing servers are waited out, within one total deadline.

What cannot be cured by asking again (a wrong key, an unknown model, a malformed or too long request) is never asked
again. The waits are the endpoint's own (``Retry-After``, of any length that fits the deadline), else exponential
with full jitter. tenacity (34 ms to import) is loaded by the first call.

A rate limit is not waited out here when the call stands in the queue of :class:`~llm_optimize.llm.limited.Limited`:
there the endpoint's pace is known, and the others that wait for it. Time in that queue does not count.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from llm_optimize.core.metering import current_clock
from llm_optimize.errors import BadInput, BadReply, ModelError, ModelUnavailable
from llm_optimize.llm.attempts import broke_off
from llm_optimize.llm.failures import RetryLater
from llm_optimize.llm.gate import time_left, wait, within
from llm_optimize.llm.pace import current_place
from llm_optimize.llm.wrapper import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable

    import tenacity

    from llm_optimize.core.chat import Reply, Request
    from llm_optimize.core.protocols import ChatModel

__all__ = ["Retrying"]

_LOG = logging.getLogger("llm_optimize")


@dataclass(frozen=True, slots=True)
class Retrying(Wrapper):
    """A model that asks ``inner`` again where that can help.

    Attributes:
        inner: the model.
        deadline: seconds for all attempts and waits of one call together; extended to ``inner.timeout`` where that is
            longer, so that a slow model is not cut off. A wait that would end beyond it is not begun.
        attempts: how often to ask at most; each attempt also ends at the deadline.
        bad_replies: how many answers that are no chat completion are asked again.
        first_wait: seconds, doubled with each attempt up to ``longest_wait``, times a random factor; where the
            endpoint names no wait.
        longest_wait: see ``first_wait``.
        sleep: how to wait; the default is ended by :meth:`llm_optimize.llm.gate.Requests.interrupt`.

    Example:
        >>> from llm_optimize.core.chat import Message, Request
        >>> from llm_optimize.llm.fake import ScriptedModel
        >>> flaky = ScriptedModel([RetryLater("busy", 0.0), "hello"])
        >>> Retrying(flaky).complete(Request((Message("user", "hi"),))).text
        'hello'
    """

    inner: ChatModel
    deadline: float = 300.0
    attempts: int = 10
    bad_replies: int = 2
    first_wait: float = 0.5
    longest_wait: float = 30.0
    sleep: Callable[[float], None] = field(default=wait, repr=False)

    def __post_init__(self) -> None:
        """Refuse a policy that would never ask.

        Raises:
            BadInput: see the message.
        """
        if not self.deadline > 0 or self.attempts < 1:
            msg = f"deadline and attempts: {self.deadline!r} and {self.attempts!r}; give seconds above 0 and at least 1"
            raise BadInput(msg)

    def complete(self, request: Request) -> Reply:
        """Ask until there is a reply, or asking again cannot help, or the deadline is near.

        Raises:
            ModelError: the last attempt's error, with the number of attempts and the seconds they took.
        """
        import tenacity  # noqa: PLC0415 - loaded by those who call a model

        clock = current_clock()
        begun, deadline = clock.monotonic(), max(self.deadline, float(getattr(self.inner, "timeout", 0.0)))
        rules = (
            _TooManyBadReplies(self.bad_replies),
            tenacity.stop_after_attempt(self.attempts),
            _is_too_late,
        )
        policy = tenacity.Retrying(
            sleep=self.sleep,
            stop=lambda state: any(rule(state) for rule in rules),
            wait=self._wait,
            retry=tenacity.retry_if_exception(_curable),
            before_sleep=_log_retry,
            retry_error_callback=lambda state: _give_up(state, clock.monotonic() - begun, deadline),
        )
        with within(deadline, pausable=True):
            return policy(self._attempt, request)

    def _attempt(self, request: Request) -> Reply:
        try:
            return self.inner.complete(request)
        except ModelError as error:
            broke_off(error)
            raise

    def _wait(self, state: tenacity.RetryCallState) -> float:
        import tenacity  # noqa: PLC0415 - loaded by those who call a model

        asked = getattr(_error(state), "retry_after", None)
        if asked is not None:
            return float(asked)
        return tenacity.wait_random_exponential(multiplier=self.first_wait, max=self.longest_wait)(state)


class _TooManyBadReplies:
    """A stop rule of tenacity's kind, made anew for each call because it counts."""

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        self._allowed -= isinstance(_error(state), BadReply)
        return self._allowed < 0


def _is_too_late(state: tenacity.RetryCallState) -> bool:
    left = time_left()  # not the time since the beginning: that in the queue is given on top
    return left is not None and state.upcoming_sleep >= left


def _curable(error: BaseException) -> bool:
    place = current_place()
    if place is not None and place.refused:
        return False  # the queue asks again, in its turn
    return isinstance(error, ModelUnavailable | BadReply)


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


def _log_retry(state: tenacity.RetryCallState) -> None:
    pause = state.next_action.sleep if state.next_action is not None else 0.0
    error = _error(state)
    status = getattr(error.__cause__, "status_code", None) if error is not None else None
    kind = type(error).__name__ + (f", status {status}" if status else "")  # its text may quote the prompt
    _LOG.info("attempt %d failed, next in %.1f s: %s", state.attempt_number, pause, kind)


def _give_up(state: tenacity.RetryCallState, seconds: float, deadline: float) -> NoReturn:
    error = _error(state)
    times = "1 attempt" if state.attempt_number == 1 else f"{state.attempt_number} attempts"
    asked = getattr(error, "retry_after", None)
    too_long = asked is not None and seconds + asked >= deadline
    waiting = f"; it asks to wait {asked:.0f} s, beyond the deadline of {deadline:.0f} s" if too_long else ""
    message = f"{error} (gave up after {times} over {seconds:.1f} s{waiting})"
    raise (BadReply(message) if isinstance(error, BadReply) else RetryLater(message, asked)) from error
