"""Chat Completions through the openai SDK: one reply or one error of ours; no retries of what failed.

What an endpoint refuses is left out and asked again at once (:mod:`llm_optimize.llm.quirks`). Where somebody listens
(``Scope.heard``) the reply is streamed. Each request is sent at the endpoint's pace (:mod:`llm_optimize.llm.pace`).

The SDK (600 ms to import) is loaded by the first call. One client per endpoint and process is shared by all models:
making one costs 20 ms and its own connections. Its retries are off, since those of
:mod:`llm_optimize.llm.retrying` would multiply with them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_optimize.core.chat import Message, Request
from llm_optimize.core.metering import current_scope
from llm_optimize.errors import ModelError, ModelRefused, ModelUnavailable
from llm_optimize.llm.complaints import complaint
from llm_optimize.llm.endpoint import check_seconds, resolve
from llm_optimize.llm.failures import RetryLater, is_unknown_model, translate
from llm_optimize.llm.gate import requests, time_left
from llm_optimize.llm.pace import pace_for
from llm_optimize.llm.posting import Post
from llm_optimize.llm.quirks import Adapting, quirks
from llm_optimize.llm.wire import chat_body, messages_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    import openai

    from llm_optimize.core.chat import Reply

__all__ = ["OpenAIChat"]

_CONNECT_SECONDS = 10.0
_LISTING_SECONDS = 5.0
_LISTED = 8
_NOT_ABOUT_FIELDS = frozenset({401, 403, 404, 407, 408, 429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """A model behind any server that speaks Chat Completions; a value that pickles, except with a client of yours.

    Attributes:
        model: the name that the server knows it by.
        base_url: None means ``OPENAI_BASE_URL``, else OpenAI; read at each call.
        api_key: None means ``OPENAI_API_KEY``, read at each call; servers other than OpenAI may do without.
        settings: fields of the request body, such as ``temperature``; those of a request win.
        timeout: seconds for one answer; a shorter limit of :func:`~llm_optimize.llm.gate.within` wins.
        client: an ``openai.OpenAI`` of your own, used instead of ``base_url`` and ``api_key``.

    Example:
        >>> OpenAIChat("qwen3", base_url="http://127.0.0.1:11434/v1").name
        'qwen3'
    """

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 120.0
    client: Any = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model

    def complete(self, request: Request) -> Reply:
        """Ask once.

        Raises:
            BadInput: the endpoint or a setting cannot work; nothing was sent.
            ModelRefused: the key, the model's name or a setting is wrong; it names which.
            ContextTooLong: the messages are too long.
            ModelUnavailable: no connection, no answer in time, a rate limit, a failing server.
            BadReply: an answer that is no chat completion.
        """
        import openai  # noqa: PLC0415 - heavy: only loaded by those who call a model

        client, url, key = self._connected()
        settings = {**self.settings, **request.settings}
        model = str(settings.get("model") or self.model)
        wanted = chat_body(model, request, settings)
        scope = current_scope()
        if scope is not None and scope.heard and hasattr(client.chat.completions, "with_streaming_response"):
            wanted |= {"stream": True, "stream_options": {"include_usage": True}}
        adapting = Adapting(quirks.of(url, model), wanted)
        while True:
            post = Post(client, url, adapting.body(), request, scope)
            try:
                with pace_for(url, key, model).attempt() as attempt:
                    reply = post.send(attempt, self._timeout(settings))
            except openai.APIStatusError as error:
                if not adapting.refused(complaint(error)):
                    raise self._failure(error, url, model) from error
            except openai.OpenAIError as error:
                raise self._failure(error, url, model) from error
            else:
                adapting.answered(reply)
                return reply

    def offered(self) -> tuple[str, ...]:
        """Return the names of the models that the server lists.

        Raises:
            ModelUnavailable: it cannot be reached.
            ModelRefused: it refuses the key, or has no list.
        """
        import openai  # noqa: PLC0415 - heavy: only loaded by those who call a model

        client, url, _ = self._connected()
        try:
            listed: Any = client.get("/models", cast_to=object, options={"timeout": _LISTING_SECONDS})
        except openai.OpenAIError as error:
            raise translate(error, url, self.model) from error
        except ValueError:
            return ()
        models = listed.get("data") if isinstance(listed, dict) else None
        known = models if isinstance(models, list) else ()
        return tuple(str(model["id"]) for model in known if isinstance(model, dict) and "id" in model)

    def preflight(self) -> None:
        """Find out for free whether a call can work; one token is spent only to confirm that a name is unknown.

        Raises:
            BadInput: the endpoint cannot work.
            ModelUnavailable: the server cannot be reached.
            ModelRefused: it does not accept the key, or has no model of this name.
        """
        import openai  # noqa: PLC0415 - heavy: only loaded by those who call a model

        client, url, _ = self._connected()
        try:
            names = self.offered()
        except ModelError as error:
            self._judge_listing(error)
            return
        if not names or _is_among(self.model, names):
            return
        try:
            probe = messages_body((Message("user", "Hi"),))
            body = {"max_tokens": 1}
            client.chat.completions.create(model=self.model, messages=probe, extra_body=body, timeout=_LISTING_SECONDS)  # type: ignore[arg-type] # as above
        except openai.OpenAIError as error:
            if is_unknown_model(error):
                raise ModelRefused(_unknown(self.model, url, names)) from error
        except ValueError:
            return  # an answer of some kind: the first real call will say what is wrong with it

    def objection(self, fields: Mapping[str, Any]) -> str | None:
        """Return what the server says against a tiny request with these fields, None where it answers.

        Unlike :meth:`complete` this leaves nothing out that is refused, and remembers nothing.

        Raises:
            BadInput: the endpoint cannot work.
            ModelUnavailable: the server cannot be reached, or is busy.
            ModelRefused: it does not accept the key.
        """
        import openai  # noqa: PLC0415 - heavy: only loaded by those who call a model

        client, url, _ = self._connected()
        said: Any = messages_body((Message("user", "Hi"),))
        try:
            client.chat.completions.create(
                model=self.model, messages=said, extra_body=dict(fields), timeout=self._timeout({})
            )
        except openai.APIStatusError as error:
            if error.status_code in _NOT_ABOUT_FIELDS:
                raise translate(error, url, self.model) from error
            return str(error)
        except openai.OpenAIError as error:
            raise translate(error, url, self.model) from error
        except ValueError:
            return None  # an answer of some kind
        return None

    def _judge_listing(self, error: ModelError) -> None:
        # Many servers have no list of models; only no connection and a refused key say that a chat would fail too.
        status = getattr(error.__cause__, "status_code", None)
        if status in (401, 403) or (status is None and isinstance(error, ModelUnavailable | ModelRefused)):
            raise error

    def _failure(self, error: openai.OpenAIError, url: str, model: str) -> ModelError:
        if not is_unknown_model(error):
            return translate(error, url, model)
        try:
            names = self.offered()
        except ModelError:
            names = ()
        if not names or _is_among(model, names):  # then the complaint is about something else that the model cannot do
            return translate(error, url, model)
        return ModelRefused(_unknown(model, url, names))

    @property
    def address(self) -> tuple[str, str]:
        """The base URL and the model's name: what the facts of :data:`llm_optimize.llm.quirks.quirks` are kept by.

        Raises:
            BadInput: the endpoint cannot work.
        """
        model = str(self.settings.get("model") or self.model)
        if self.client is not None:
            return str(self.client.base_url).rstrip("/"), model
        return resolve(self.base_url, self.api_key).base_url, model

    def _connected(self) -> tuple[openai.OpenAI, str, str]:
        if self.client is not None:
            url = str(self.client.base_url).rstrip("/")
            requests.check(url)
            return self.client.with_options(max_retries=0), url, str(getattr(self.client, "api_key", ""))
        endpoint = resolve(self.base_url, self.api_key)
        requests.check(endpoint.base_url)
        client = _client(endpoint.base_url, endpoint.api_key, os.getpid())
        return client, endpoint.base_url, endpoint.api_key

    def _timeout(self, settings: Mapping[str, Any]) -> openai.Timeout:
        import openai  # noqa: PLC0415 - heavy: only loaded by those who call a model

        given = (settings.get("timeout"), settings.get("request_timeout"), self.timeout)
        wanted = check_seconds(next(value for value in given if value is not None))
        left = time_left()
        if left == 0:
            msg = "no time is left for a model call"
            raise RetryLater(msg)
        seconds = wanted if left is None else min(wanted, left)
        return openai.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))


@lru_cache(maxsize=16)
def _client(base_url: str, api_key: str, _process: int) -> openai.OpenAI:
    # The process id is part of the key because a forked child must not use its parent's sockets.
    import openai  # noqa: PLC0415 - heavy: only loaded by those who call a model

    return openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0)


def _is_among(model: str, names: tuple[str, ...]) -> bool:
    # Google lists "models/gemini-2.5-flash", Ollama "qwen3:latest", for names that they accept without.
    return any(name in (model, f"{model}:latest") or name.endswith(f"/{model}") for name in names)


def _unknown(model: str, url: str, names: tuple[str, ...]) -> str:
    listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    return f"model: {url} has no model {model!r}; it offers {listed}: choose one of its models"
