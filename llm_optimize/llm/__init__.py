"""Talking to models: any server that speaks Chat Completions, any object with ``complete``, any old model object.

::

    from llm_optimize import llm

    llm.default_llm_options.update(model_name="gpt-5", temperature=0.7)
    model = llm.get_default_llm()                                  # reads the dict at each call
    model = llm.connect("http://127.0.0.1:11434/v1#qwen3")         # Ollama, llama.cpp, vLLM, ...

``connect`` shows what stands between a study and the socket; each layer is the same one-method protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.core.protocols import ChatModel
from llm_optimize.llm.cache_stores import open_cache
from llm_optimize.llm.cached import Cached
from llm_optimize.llm.endpoint import check_url, split_name
from llm_optimize.llm.gate import requests
from llm_optimize.llm.limited import Limited
from llm_optimize.llm.model import as_chat_model, model_name
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.options import DefaultChat, default_llm_options, have_model, require_model
from llm_optimize.llm.priced import Priced
from llm_optimize.llm.recorded import Recorded
from llm_optimize.llm.replay import is_recorded, replayed
from llm_optimize.llm.retrying import Retrying
from llm_optimize.llm.traced import Traced

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from llm_optimize.llm.cache_stores import CacheStore

__all__ = [
    "LLMModel",
    "as_chat_model",
    "connect",
    "default_llm_options",
    "get_default_llm",
    "have_model",
    "layers",
    "model_name",
    "preflight",
    "requests",
    "require_model",
]

LLMModel = ChatModel
"""The predecessor's name for a chat model."""


def connect(
    model: object = None,
    *,
    base_url: str | None = None,
    prices: Mapping[str, Sequence[float]] | None = None,
    role: str = "",
    cache: CacheStore | str | os.PathLike[str] | Literal[False] | None = None,
) -> ChatModel:
    """Return a model ready for a study: its replies are recorded, priced and, for servers, asked for again.

    Args:
        model: as for :func:`as_chat_model`; None for the default model. Its options are read at each call, and hold
            for a model given by name too.
        base_url: the server for a name or the default model; None for the options' or the environment's.
        prices: dollars per million tokens by model, ``{"my-model": (in, out, cached)}``.
        role: under which its cost is booked, such as ``judge`` or ``target``; empty for ``proposer`` in proposals and
            ``scorer`` in evaluations.
        cache: where replies to requests that repeat (temperature 0, or a seed) are kept: a file's path, which many
            runs and processes may share; an object with ``get`` and ``put``; None for the file that the environment's
            ``LLM_OPTIMIZE_CACHE`` names, else memory (neither for a chat model of your own); False for no cache, as
            ``LLM_OPTIMIZE_CACHE=off``.

    Raises:
        BadInput: ``model`` is nothing that can be asked, or ``cache`` nothing that replies can be kept in.
        StoreError: the cache's file cannot be opened.
    """
    chat = _plain(model, base_url)
    if isinstance(chat, Recorded | Traced):
        return chat
    if isinstance(chat, OpenAIChat | DefaultChat):
        chat = Limited(Retrying(chat))
    priced = Priced(chat, prices, role)
    kept = open_cache(cache) if cache is not None or isinstance(chat, Limited) else None
    return Traced(Recorded(priced if kept is None else Cached(priced, kept)))


def get_default_llm() -> ChatModel:
    """Return the default model; changes of :data:`default_llm_options` reach it also after it was made.

    Raises:
        BadInput: neither a key nor a server is known.
    """
    require_model()
    return connect()


def layers(model: ChatModel) -> Iterator[ChatModel]:
    """Yield ``model`` and, one by one, what it wraps."""
    held: Any = model
    while held is not None:
        yield held
        held = getattr(held, "inner", None)


def preflight(model: ChatModel) -> None:
    """Find out for free whether ``model`` can answer; nothing is known about models that offer no such check.

    Raises:
        BadInput: its endpoint cannot work.
        ModelUnavailable: its server cannot be reached.
        ModelRefused: its server does not accept the key, or has no such model.
    """
    for layer in layers(model):
        check = getattr(layer, "preflight", None)
        if callable(check):
            check()
            return


def _plain(model: object, base_url: str | None) -> ChatModel:
    if model is None or isinstance(model, str):
        named = DefaultChat().named if model is None else model
        if is_recorded(named):
            return replayed(named)
        if model is not None:
            split_name(model)
        return DefaultChat(model, check_url(base_url, "base_url") if base_url else None)
    options = DefaultChat().now()
    return as_chat_model(model, settings=options.settings, default_name=options.model)
