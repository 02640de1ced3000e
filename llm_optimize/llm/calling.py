"""A JSON body to any endpoint and its JSON back, with the SDK's connections and our own errors: for what is no chat."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput, BadReply
from llm_optimize.llm.failures import RetryLater, one_line, translate
from llm_optimize.llm.gate import requests, time_left

if TYPE_CHECKING:
    from collections.abc import Mapping

    import openai

__all__ = ["Caller", "check_positive"]

_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Caller:
    """An endpoint that takes JSON and answers with JSON.

    Attributes:
        url: the whole URL.
        api_key: sent as ``Authorization: Bearer``; never printed.
        timeout: seconds for one answer.
        headers: further headers, never printed.
    """

    url: str
    api_key: str = field(repr=False)
    timeout: float = 60.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def post(self, body: Mapping[str, Any], model: str) -> tuple[Any, float]:
        """Send ``body`` once; return the answer and the seconds that it took.

        Args:
            body: what is sent.
            model: the model's name, for messages.

        Raises:
            ModelUnavailable: no connection, no answer in time, a rate limit, a failing server.
            ModelRefused: the key or the body is wrong, or requests are switched off.
            BadReply: the answer is no JSON.
        """
        import openai  # noqa: PLC0415 - heavy: only loaded by those who call an endpoint

        requests.check(self.url)
        client, begun = _client(self.url, self.api_key, os.getpid()), time.monotonic()
        options: Any = {"timeout": self._timeout(), "headers": dict(self.headers)}
        try:
            answer: Any = client.post(self.url, cast_to=object, body=dict(body), options=options)
        except openai.OpenAIError as error:
            raise translate(error, self.url, model) from error
        except ValueError as error:  # the SDK lets a body that says it is JSON and is not through
            msg = f"{self.url} answered with malformed JSON ({one_line(str(error))})"
            raise BadReply(msg) from error
        if not isinstance(answer, dict | list):
            msg = f"{self.url} answered {one_line(repr(answer))} instead of a JSON object or array: check the URL"
            raise BadReply(msg)
        return answer, time.monotonic() - begun

    def _timeout(self) -> openai.Timeout:
        import openai  # noqa: PLC0415 - heavy: only loaded by those who call an endpoint

        left = time_left()
        if left == 0:
            msg = f"no time is left for a call of {self.url}"
            raise RetryLater(msg)
        seconds = self.timeout if left is None else min(self.timeout, left)
        return openai.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))


def check_positive(name: str, number: object) -> None:
    """Make sure that ``number`` is finite and above 0.

    Raises:
        BadInput: it is not.
    """
    fits = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) and number > 0
    if not fits:
        msg = f"{name} is {number!r}: give a number above 0"
        raise BadInput(msg)


@lru_cache(maxsize=16)
def _client(url: str, api_key: str, _process: int) -> openai.OpenAI:
    # The process id is part of the key because a forked child must not use its parent's sockets.
    import openai  # noqa: PLC0415 - heavy: only loaded by those who call an endpoint

    return openai.OpenAI(base_url=url, api_key=api_key, max_retries=0)
