"""Which server, with which key: names, URLs and the environment, read when a call is made and checked in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from llm_optimize.errors import BadInput
from llm_optimize.llm.gate import is_loopback

__all__ = ["OPENAI_URL", "Endpoint", "check_seconds", "check_url", "environment_url", "resolve", "split_name"]

OPENAI_URL = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to send a request.

    Attributes:
        base_url: ends without a slash, usually with ``/v1``.
        api_key: never printed.
    """

    base_url: str
    api_key: str = field(repr=False)

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(self.base_url)


def split_name(name: str) -> tuple[str, str | None]:
    """Split ``URL#model`` into (model, URL); a plain model name has no URL.

    Raises:
        BadInput: empty, or a URL without a model name.

    Example:
        >>> split_name("http://127.0.0.1:11434/v1#qwen3")
        ('qwen3', 'http://127.0.0.1:11434/v1')
    """
    if "://" not in name:
        if not name.strip():
            msg = "model: the name is empty; give one such as 'gpt-5' or 'http://127.0.0.1:11434/v1#qwen3'"
            raise BadInput(msg)
        return name.strip(), None
    url, _, model = name.partition("#")
    if not model.strip():
        msg = f"model: {name!r} names a server but no model; add the model's name, as in '{url}#qwen3'"
        raise BadInput(msg)
    return model.strip(), check_url(url, "model")


def environment_url() -> str | None:
    """Return the server that the environment names, or None."""
    return os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or None


def resolve(base_url: str | None, api_key: str | None) -> Endpoint:
    """Fill in from the environment what was not given.

    Args:
        base_url: None means ``OPENAI_BASE_URL``, else ``OPENAI_API_BASE``, else OpenAI itself.
        api_key: None means ``OPENAI_API_KEY``; any server but OpenAI's may do without one.

    Raises:
        BadInput: no URL that a request can be sent to, or no usable key.
    """
    url = check_url(base_url or environment_url() or OPENAI_URL, "base_url")
    key = (api_key or os.environ.get("OPENAI_API_KEY") or "").strip()
    if not key and urlsplit(url).hostname == urlsplit(OPENAI_URL).hostname:
        msg = "OPENAI_API_KEY is not set: set it, or OPENAI_BASE_URL to a compatible server, or pass model='URL#name'"
        raise BadInput(msg)
    if not key.isascii() or not (key or " ").isprintable():
        msg = "OPENAI_API_KEY holds a character that no key has (a line break, a quote from a document?): copy it again"
        raise BadInput(msg)
    return Endpoint(url, key or "none")


def check_url(url: str, field_name: str) -> str:
    """Return ``url`` without a slash at its end.

    Raises:
        BadInput: it is no http(s) URL with a host.
    """
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        msg = (
            f"{field_name}: {url!r} is not a server's URL; write it like 'http://127.0.0.1:11434/v1' or '{OPENAI_URL}'"
        )
        raise BadInput(msg)
    return url.strip().rstrip("/")


def check_seconds(timeout: object) -> float:
    """Return a timeout as seconds.

    Raises:
        BadInput: it is no number above 0.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        msg = f"timeout: {timeout!r} is no number of seconds; give one above 0, such as 120"
        raise BadInput(msg)
    return float(timeout)
