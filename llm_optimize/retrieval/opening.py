"""The embedding model that a word on a command line or in an argument means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput
from llm_optimize.retrieval.lexical import LexicalEmbedding
from llm_optimize.retrieval.local import LocalEmbedding

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.protocols import EmbeddingModel

__all__ = ["open_embedding"]

_LOCAL = "local:"


def open_embedding(given: object, endpoint: Callable[[str], EmbeddingModel] | None = None) -> EmbeddingModel:
    """Return the embedding model that ``given`` means.

    Args:
        given: ``lexical``; ``local:PATH``, a folder with a sentence-transformers model (or its name); any other text, a
            name or ``URL#name``, is handed to ``endpoint``; an object with ``embed`` is returned as it is.
        endpoint: makes the model of a name, such as :class:`~llm_optimize.llm.embedding.OpenAIEmbedding`.

    Raises:
        BadInput: none of these, or a name without ``endpoint``.

    Example:
        >>> open_embedding("lexical").name
        'lexical-1024-3.4'
    """
    if not isinstance(given, str):
        if callable(getattr(given, "embed", None)) and not isinstance(given, type):
            return given  # type: ignore[return-value]  # it has what makes it one
        msg = f"embedding is {given!r}: give 'lexical', 'local:PATH', a name, URL#name, or an object with embed(texts)"
        raise BadInput(msg)
    word = given.strip()
    if word == "lexical":
        return LexicalEmbedding()
    if word.startswith(_LOCAL):
        return LocalEmbedding(word.removeprefix(_LOCAL).strip())
    if not word or endpoint is None:
        msg = f"embedding is {given!r}: give 'lexical' or 'local:PATH'" + (", a name or URL#name" if endpoint else "")
        raise BadInput(msg)
    return endpoint(word)
