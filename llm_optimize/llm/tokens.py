"""How many tokens a text is, without ever waiting long for the answer.

Three sources. tiktoken, for the names that its own table knows: loaded on first use, in a daemon thread with a
deadline, because without its rank files it asks the network and, where packets vanish, hangs for ever
(openai/tiktoken#513). Else an estimate that cuts the text into pieces about the size of tokens: within about 15 % of
o200k on English, code, JSON, traces and tables, where "characters / 4" undercounts lists of numbers 2 times and more.
Both are corrected by a running factor from the prompt tokens that real replies report, which covers any tokenizer.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_optimize.llm.gate import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.core.chat import Message

__all__ = ["TokenCounter", "estimate_tokens"]

_LOG = logging.getLogger("llm_optimize")
_PIECES = re.compile(
    r" ?[_A-Za-z]?[a-z]{1,8}"  # a word with the blank before it; long words are several pieces
    r"|[0-9]{1,3}"
    r"| ?[A-Z]{1,2}"
    r"| ?[!-/:-@\[-`{-~]{1,3}\n?"  # punctuation, often merged with its neighbours and the line's end
    r"|\n *| +"
    r"|[\u0370-\u06ff]{1,3}"  # Greek, Cyrillic, Hebrew, Arabic
    r"|[^\x00-\x7f]|.",
    re.DOTALL,
)
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_PER_MESSAGE = 4  # role and separators around each message of OpenAI's chat format
_PER_REPLY = 3  # the answer's opening
_CACHED_TEXTS = 4096
_LONG_TEXT = 1000  # characters; a longer text is counted paragraph by paragraph, most of which an earlier prompt had
_TRUSTED_PROMPT = 32  # below it a chat template's own tokens would pass for the tokenizer's
_MEMORY = 0.8  # weight of the earlier replies against the newest
_FACTORS = (0.25, 4.0)
_LOADING_SECONDS = 5.0


def estimate_tokens(text: str) -> int:
    """Return about how many tokens ``text`` is for a current tokenizer.

    Example:
        >>> estimate_tokens("w=3, b=17, f=412")
        11
    """
    pieces = len(_PIECES.findall(text))
    return pieces if text.isascii() else pieces + len(_ASTRAL.findall(text))


class TokenCounter:
    """Counts for one model; safe to use from many threads; a pickled one forgets its correction.

    Args:
        model: its name; tiktoken is used where it knows it, by itself or behind a gateway's prefix (``openai/gpt-5``).
        deadline: seconds that loading tiktoken's ranks may take, once per process.

    Example:
        >>> TokenCounter("qwen3").count("w=3, b=17")
        7
    """

    def __init__(self, model: str = "", *, deadline: float = _LOADING_SECONDS) -> None:
        """Load nothing yet."""
        self._model = model
        self._deadline = deadline
        self._lock = threading.Lock()
        self._estimated = 0.0
        self._actual = 0.0
        self._cached = lru_cache(_CACHED_TEXTS)(self._measure)

    def __reduce__(self) -> tuple[Callable[..., TokenCounter], tuple[str]]:
        """Pickle the model's name only."""
        return TokenCounter, (self._model,)

    @property
    def source(self) -> str:
        """What counts: ``tiktoken:o200k_base`` or ``estimate``; loads tiktoken if need be."""
        return _ENCODINGS.find(self._model, self._deadline)[0]

    @property
    def factor(self) -> float:
        """What counts are multiplied by, from the replies seen; between 0.25 and 4."""
        with self._lock:
            return self._actual / self._estimated if self._estimated else 1.0

    def count(self, text: str) -> int:
        """Return the tokens of ``text``."""
        return round(self._raw(text) * self.factor)

    def plain(self, text: str) -> int:
        """Return the tokens of ``text`` before any correction: the same however many replies were seen."""
        return self._raw(text)

    def count_messages(self, messages: Sequence[Message]) -> int:
        """Return the prompt tokens of a chat, the format's own included."""
        return round(self._raw_messages(messages) * self.factor)

    def plain_messages(self, messages: Sequence[Message]) -> int:
        """Return the prompt tokens of a chat without the correction."""
        return self._raw_messages(messages)

    def observe(self, messages: Sequence[Message], actual: int) -> None:
        """Learn from a reply that ``messages`` were ``actual`` prompt tokens; short prompts teach nothing."""
        estimated = self._raw_messages(messages)
        if estimated < _TRUSTED_PROMPT or actual <= 0:
            return
        lowest, highest = _FACTORS
        with self._lock:
            self._estimated = self._estimated * _MEMORY + estimated
            self._actual = self._actual * _MEMORY + min(max(actual, lowest * estimated), highest * estimated)

    def _raw_messages(self, messages: Sequence[Message]) -> int:
        return sum(self._raw(message.content) + _PER_MESSAGE for message in messages) + _PER_REPLY

    def _raw(self, text: str) -> int:
        if len(text) < _LONG_TEXT:
            return self._cached(text)
        *paragraphs, last = text.split("\n\n")
        return sum(self._cached(paragraph + "\n\n") for paragraph in paragraphs) + self._cached(last)

    def _measure(self, text: str) -> int:
        return _ENCODINGS.find(self._model, self._deadline)[1](text)


class _Encodings:
    """tiktoken's encodings of this process, each loaded or given up on once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, Callable[[str], int] | None] = {}
        self._by_model: dict[str, tuple[str, Callable[[str], int]]] = {}

    def find(self, model: str, deadline: float) -> tuple[str, Callable[[str], int]]:
        """Return (source, counting function) for a model."""
        known = self._by_model.get(model)
        if known is not None:
            return known
        with self._lock:
            if model not in self._by_model:
                self._by_model[model] = self._look_up(model, deadline)
            return self._by_model[model]

    def _look_up(self, model: str, deadline: float) -> tuple[str, Callable[[str], int]]:
        name = _encoding_name(model)
        if name and name not in self._by_name:
            self._by_name[name] = _load(name, deadline)
        counting = self._by_name.get(name)
        source = f"tiktoken:{name}" if counting else "estimate"
        _LOG.info("tokens of %r are counted by %s", model, source)
        return source, counting or estimate_tokens


_ENCODINGS = _Encodings()


def _encoding_name(model: str) -> str:
    if not model:
        return ""
    from tiktoken.model import encoding_name_for_model  # noqa: PLC0415 - loaded by those who count for an OpenAI model

    try:
        return encoding_name_for_model(model.rpartition("/")[2])
    except KeyError:
        return ""


def _load(name: str, deadline: float) -> Callable[[str], int] | None:
    if requests.local_only and not os.environ.get("TIKTOKEN_CACHE_DIR"):
        return None
    loaded: list[Any] = []
    thread = threading.Thread(target=_fetch, args=(name, loaded), daemon=True, name=f"tiktoken-{name}")
    thread.start()
    thread.join(deadline)
    encoding = loaded[0] if loaded else f"no answer within {deadline:g} s"
    if isinstance(encoding, str):
        _LOG.warning("tiktoken's %s is not to be had (%s): token counts are estimated", name, encoding)
        return None
    return lambda text: len(encoding.encode_ordinary(text))


def _fetch(name: str, loaded: list[Any]) -> None:
    import tiktoken  # noqa: PLC0415 - loaded by those who count for an OpenAI model

    try:
        loaded.append(tiktoken.get_encoding(name))
    except (OSError, ValueError) as error:  # no network (requests' errors are OSErrors), a damaged file
        loaded.append(f"{type(error).__name__}: {error}".partition("\n")[0][:200])
