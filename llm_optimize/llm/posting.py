"""One HTTP request for a chat's reply, whole or streamed, and what its headers tell the endpoint's pace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.metering import current_clock
from llm_optimize.errors import BadReply, ModelError
from llm_optimize.llm.failures import one_line
from llm_optimize.llm.streaming import read_stream
from llm_optimize.llm.wire import read_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    import openai

    from llm_optimize.core.chat import Reply, Request
    from llm_optimize.core.metering import Scope
    from llm_optimize.llm.pace import Attempt

__all__ = ["Post"]

_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Post:
    """A request that is ready to be sent.

    Attributes:
        client: the SDK's, without retries.
        url: the endpoint, for messages.
        body: the whole body; with ``stream`` the reply is streamed to ``scope``.
        request: what is asked, for the idempotency key and for the estimate of unreported tokens.
        scope: who hears a streamed reply.
    """

    client: openai.OpenAI
    url: str
    body: Mapping[str, Any]
    request: Request
    scope: Scope | None

    def send(self, attempt: Attempt, timeout: openai.Timeout) -> Reply:
        """Return the reply.

        Args:
            attempt: is told what came back.
            timeout: for connecting, and for each wait for more of the reply.

        Raises:
            openai.OpenAIError: no answer, or one with an error status.
            RetryLater: a stream broke off or stalled.
            BadReply: an answer that is no chat completion.
            ContextTooLong: an answer with status 200 that says so.
        """
        import openai  # noqa: PLC0415 - heavy: only loaded by those who call a model

        clock = current_clock()
        begun = clock.monotonic()
        try:
            headers, answer = self._sent(timeout)
        except openai.APIStatusError as error:
            (attempt.refused if error.status_code == _TOO_MANY else attempt.accepted)(error.response.headers)
            raise
        try:
            reply = read_reply(answer, self.request, self.url, clock.monotonic() - begun)
        except ModelError:
            attempt.accepted(headers)
            raise
        attempt.accepted(headers, reply.usage)
        return reply

    def _sent(self, timeout: openai.Timeout) -> tuple[Mapping[str, str], object]:
        fields = dict(self.body)
        key = self.request.idempotency_key
        named: dict[str, Any] = {name: fields.pop(name) for name in ("model", "messages", "stream") if name in fields}
        named |= {"extra_body": fields, "extra_headers": {"Idempotency-Key": key} if key else None, "timeout": timeout}
        if self.scope is not None and named.get("stream"):
            return self._streamed(self.scope, named)
        return self._whole(named)

    def _whole(self, named: Mapping[str, Any]) -> tuple[Mapping[str, str], object]:
        completions: Any = self.client.chat.completions
        raw = getattr(completions, "with_raw_response", None)
        try:
            if raw is None:  # an object that only looks like the SDK's client
                return {}, completions.create(**named)
            response = raw.create(**named)
            return response.headers, response.parse()
        except ValueError as error:  # the SDK lets a body that says it is JSON and is not through
            msg = f"{self.url} answered with malformed JSON ({one_line(str(error))}): no chat endpoint, or cut off"
            raise BadReply(msg) from error

    def _streamed(self, scope: Scope, named: Mapping[str, Any]) -> tuple[Mapping[str, str], object]:
        completions: Any = self.client.chat.completions
        with completions.with_streaming_response.create(**named) as response:
            content_type = response.headers.get("content-type", "")
            return response.headers, read_stream(response.iter_bytes(), content_type, scope, self.url)
