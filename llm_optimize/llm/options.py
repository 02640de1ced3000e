"""The default model's options: a plain dict that callers update, read again at each call.

The model's name is the dict's where a caller has changed it, else ``LLM_OPTIMIZE_MODEL``, else ``gpt-4``. Server and
key are the dict's (``base_url`` or the predecessor's ``openai_api_base``; ``api_key`` or ``openai_api_key``), else the
environment's. ``timeout`` (or ``request_timeout``) is for the client; every other entry goes to the request body.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.llm.endpoint import check_seconds, environment_url, split_name
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.replay import is_recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_optimize.core.chat import Reply, Request

__all__ = ["DefaultChat", "default_llm_options", "have_model", "require_model"]

_FIRST_NAME = "gpt-4"

default_llm_options: dict[str, Any] = {"model_name": _FIRST_NAME}
"""Options of the model that is used when none is named; update it, for example ``model_name="gpt-5"``."""


@dataclass(frozen=True, slots=True)
class DefaultChat:
    """The model that :data:`default_llm_options` and the environment describe at the moment of each call.

    Attributes:
        model: a name, or ``URL#name``, that wins over the options and the environment, or None.
        base_url: a server that wins over the options and the environment, or None.
        frozen: options instead of the dict; a pickled model carries those of the process that it comes from.
    """

    model: str | None = None
    base_url: str | None = None
    frozen: Mapping[str, Any] | None = None

    def __reduce__(self) -> tuple[Callable[..., DefaultChat], tuple[str | None, str | None, dict[str, Any]]]:
        """Pickle the options as they are now: another process has a dict of its own."""
        return DefaultChat, (self.model, self.base_url, dict(self._options))

    @property
    def name(self) -> str:
        """The model's name at this moment."""
        return self.now().model

    @property
    def settings(self) -> Mapping[str, Any]:
        """The fields of the request body at this moment."""
        return self.now().settings

    @property
    def timeout(self) -> float:
        """The seconds for one answer at this moment."""
        return self.now().timeout

    @property
    def named(self) -> str:
        """The name, as it was given, that is in force at this moment; may stand for a URL or a recording."""
        return self.model or _name(self._options.get("model_name"), self._options.get("model"))

    @property
    def address(self) -> tuple[str, str]:
        """The base URL and the model's name at this moment."""
        return self.now().address

    @property
    def _options(self) -> Mapping[str, Any]:
        return default_llm_options if self.frozen is None else self.frozen

    def now(self) -> OpenAIChat:
        """Return the model that the options describe at this moment.

        Raises:
            BadInput: an option that cannot work.
        """
        options = {name: value for name, value in self._options.items() if value is not None}
        optional = _name(options.pop("model_name", None), options.pop("model", None))
        name, named_url = split_name(self.model or optional)
        urls = (options.pop("base_url", None), options.pop("openai_api_base", None))
        keys = (options.pop("api_key", None), options.pop("openai_api_key", None))
        timeouts = (options.pop("timeout", None), options.pop("request_timeout", None))
        timeout = next((value for value in timeouts if value is not None), None)
        url, key = self.base_url or named_url or urls[0] or urls[1], keys[0] or keys[1]
        more = {} if timeout is None else {"timeout": check_seconds(timeout)}
        return OpenAIChat(name, url, key, options, **more)

    def complete(self, request: Request) -> Reply:
        """Answer as :meth:`OpenAIChat.complete <llm_optimize.llm.openai.OpenAIChat.complete>`."""
        return self.now().complete(request)

    def preflight(self) -> None:
        """Check as :meth:`OpenAIChat.preflight <llm_optimize.llm.openai.OpenAIChat.preflight>`."""
        self.now().preflight()


def have_model() -> bool:
    """Return whether a model can be had without naming one: a key or a server is known."""
    options = default_llm_options
    named = _name(options.get("model_name"), options.get("model"))
    given = ("api_key", "openai_api_key", "base_url", "openai_api_base")
    known = any(options.get(name) for name in given) or os.environ.get("OPENAI_API_KEY") or environment_url()
    return bool(known) or "://" in named or is_recorded(named)


def require_model() -> None:
    """Make sure that a model can be had without naming one.

    Raises:
        BadInput: neither a key nor a server is known.
    """
    if not have_model():
        msg = (
            "model: there is none; set OPENAI_API_KEY, or OPENAI_BASE_URL to a compatible server, "
            "or pass model='http://127.0.0.1:11434/v1#qwen3'"
        )
        raise BadInput(msg)


def _name(model_name: object, model: object) -> str:
    given = model if model_name in (None, _FIRST_NAME) and model else model_name
    if given in (None, _FIRST_NAME):
        given = os.environ.get("LLM_OPTIMIZE_MODEL") or _FIRST_NAME
    if not isinstance(given, str):
        msg = f"default_llm_options: model_name is {given!r}; give a name such as 'gpt-5'"
        raise BadInput(msg)
    return given
