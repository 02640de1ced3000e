"""The endpoint that a sweep asks: a URL with a model's name, a key, further headers, a proxy, a time limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.core.checks import check_number
from llm_optimize.errors import BadInput
from llm_optimize.llm.clients import client_of
from llm_optimize.llm.endpoint import check_url, resolve, split_name
from llm_optimize.llm.gate import is_loopback
from llm_optimize.llm.limited import Limited
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.retrying import Retrying

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.protocols import ChatModel

__all__ = ["Endpoint", "base_of"]

_PATH = "/chat/completions"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Whom to ask, and how.

    Attributes:
        model: the name that the server knows it by, ``URL#name``, or a chat model of your own.
        url: the server, with or without ``/chat/completions`` at its end; None for the environment's.
        api_key: sent as ``Authorization: Bearer ...``; None for the environment's, servers of one's own need none.
        headers: further headers of each request.
        proxy: the URL of a proxy; None for the environment's.
        timeout: seconds for one answer.
        prices: dollars per million tokens by model: ``{"my-model": (in, out)}``.
        attempts: how often a call that fails is made at most, with growing waits in between.

    Raises:
        BadInput: one of these cannot work.
    """

    model: Any
    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    proxy: str | None = None
    timeout: float = 60.0
    prices: Mapping[str, Sequence[float]] | None = None
    attempts: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check_number("timeout", self.timeout, 0, above=True)
        if self.proxy is not None:
            check_url(self.proxy, "proxy")
        if not isinstance(self.model, str) and (self.url or self.headers or self.proxy or self.api_key):
            msg = "url, api_key, headers, proxy: they are for a model given by its name; yours has its own"
            raise BadInput(msg)

    @property
    def name(self) -> str:
        """The model's name."""
        return split_name(self.model)[0] if isinstance(self.model, str) else llm.model_name(self.model)

    @property
    def base_url(self) -> str:
        """The server's base URL; empty where a chat model of your own has none.

        Raises:
            BadInput: no URL, or no key where one is needed.
        """
        if not isinstance(self.model, str):
            return str(getattr(self.model, "base_url", None) or "")
        given = self.url if self.url is not None else split_name(self.model)[1]
        return resolve(None if given is None else base_of(given), self.api_key).base_url

    def chat(self) -> OpenAIChat | None:
        """Return the bare model behind the endpoint, without retries; None for a chat model of your own."""
        if not isinstance(self.model, str):
            return self.model if isinstance(self.model, OpenAIChat) else None
        url = self.base_url
        if not self.headers and self.proxy is None:
            return OpenAIChat(self.name, url, self.api_key, timeout=self.timeout)
        key = resolve(url, self.api_key).api_key
        return OpenAIChat(self.name, timeout=self.timeout, client=client_of(url, key, self.headers, self.proxy))

    def connect(self) -> ChatModel:
        """Return the model with everything that stands between a study and the socket.

        Nothing is answered from a cache: a repeat is there to show how answers differ. A server on this machine costs
        nothing unless ``prices`` says so.
        """
        chat = self.chat()
        target = self.model if chat is None else Limited(Retrying(chat, attempts=self.attempts))
        prices = {self.name: (0.0, 0.0)} if self.prices is None and is_loopback(self.base_url) else self.prices
        return llm.connect(target, prices=prices, role="target", cache=False)


def base_of(url: str) -> str:
    """Return the base URL of an endpoint that was given with its path.

    Raises:
        BadInput: it is no URL.

    Example:
        >>> base_of("http://localhost:11434/v1/chat/completions")
        'http://localhost:11434/v1'
    """
    return check_url(check_url(url, "url").removesuffix(_PATH), "url")
