"""Attempts that broke off after they were sent: nobody knows whether the provider charged for them.

What is decided here: an attempt whose connection broke or timed out once it stood, one that a gateway gave up waiting
for (408, 504, 524), and an answer with status 200 that is no chat completion may have been charged. Any other error
status, a refused connection and a failed handshake were not. The layer that knows the price is told through
:func:`watching` before the next attempt is made, so that this one is counted first.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from llm_optimize.errors import BadReply, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["broke_off", "may_have_cost", "watching"]

_GAVE_UP_WAITING = frozenset({408, 504, 524})
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"})
_TELL: ContextVar[Callable[[], None] | None] = ContextVar("llm_optimize_lost_attempt", default=None)


@contextmanager
def watching(tell: Callable[[], None]) -> Iterator[None]:
    """Have ``tell`` called for each attempt of this block that may have been charged without a reply."""
    token = _TELL.set(tell)
    try:
        yield
    finally:
        _TELL.reset(token)


def broke_off(error: Exception) -> None:
    """Report a failed attempt; what the watcher raises comes through, so it can forbid the next one."""
    tell = _TELL.get()
    if tell is not None and may_have_cost(error):
        tell()


def may_have_cost(error: BaseException) -> bool:
    """Return whether the attempt that ended with ``error`` may have been charged.

    Example:
        >>> may_have_cost(BadReply("status 200 but no chat completion")), may_have_cost(ModelUnavailable("no time"))
        (True, False)
    """
    if isinstance(error, BadReply):
        return True
    causes = list(_causes(error))
    status = next((code for one in causes if (code := getattr(one, "status_code", None)) is not None), None)
    if not isinstance(error, ModelUnavailable) or not causes:
        return False
    if status is not None:
        return status in _GAVE_UP_WAITING
    return not any(type(one).__name__ in _NEVER_SENT for one in causes)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__
