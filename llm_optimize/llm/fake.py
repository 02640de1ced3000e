"""A model that says what it is told to say: for tests, examples and trying out a set-up without a key."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from llm_optimize.core.chat import Reply
from llm_optimize.core.types import Usage
from llm_optimize.errors import ModelRefused
from llm_optimize.llm.wire import estimated_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.core.chat import Request

__all__ = ["ScriptedModel"]


class ScriptedModel:
    """Answers from a list, one after the other, or by a function; keeps what it was asked. Safe for many threads.

    Attributes:
        requests: every request in order of arrival.
        name: for origin strings.
        free: whether its replies cost nothing; then no price is looked up.

    Example:
        >>> from llm_optimize.core.chat import Message, Request
        >>> model = ScriptedModel(["hello"])
        >>> model.complete(Request((Message("user", "hi"),))).text
        'hello'
    """

    def __init__(
        self,
        replies: Sequence[str | Reply | Exception] | Callable[[Request], str | Reply | Exception],
        *,
        name: str = "scripted",
        free: bool = True,
    ) -> None:
        """Say what to answer.

        Args:
            replies: texts, replies or errors to raise; or a function of the request that returns one of them.
                Replies without usage get a plausible one.
            name: for origin strings.
            free: False prices its replies like those of a real model of this name.
        """
        self.name = name
        self.free = free
        self.requests: list[Request] = []
        self._function = replies if callable(replies) else None
        self._listed = () if callable(replies) else tuple(replies)
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Reply:
        """Give the next answer.

        Raises:
            ModelRefused: the list has no answer left.
            Exception: the one that stands in the script.
        """
        with self._lock:
            index = len(self.requests)
            self.requests.append(request)
        said = self._function(request) if self._function is not None else self._at(index)
        if isinstance(said, Exception):
            raise said
        reply = Reply(said, model=self.name) if isinstance(said, str) else said
        if reply.usage != Usage():
            return reply
        return replace(reply, usage=replace(estimated_usage(request, reply, 0.0), estimated=False))

    def _at(self, index: int) -> str | Reply | Exception:
        if index < len(self._listed):
            return self._listed[index]
        return ModelRefused(f"the script holds {len(self._listed)} replies and was asked for one more")
