"""A client of the openai SDK with headers and a proxy of the caller's own."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import openai

__all__ = ["client_of"]


def client_of(base_url: str, api_key: str, headers: Mapping[str, str], proxy: str | None = None) -> openai.OpenAI:
    """Return a client, the same for equal arguments; it makes no retries of its own.

    Args:
        base_url: of the endpoint.
        api_key: for the ``Authorization`` header; one in ``headers`` wins.
        headers: sent with each request.
        proxy: the URL of a proxy, or None for what the environment names.
    """
    return _client(base_url, api_key, tuple(sorted(headers.items())), proxy)


@lru_cache(maxsize=16)
def _client(base_url: str, api_key: str, headers: tuple[tuple[str, str], ...], proxy: str | None) -> openai.OpenAI:
    import openai  # noqa: PLC0415 - heavy: only loaded by those who call a model

    http = None if proxy is None else openai.DefaultHttpxClient(proxy=proxy)
    return openai.OpenAI(
        base_url=base_url, api_key=api_key, default_headers=dict(headers), http_client=http, max_retries=0
    )
