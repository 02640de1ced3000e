"""A tool that lets a model look things up in documents before it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from llm_optimize.core.checks import check_whole
from llm_optimize.llm.tools import Tool, ToolFailed, as_tool, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Searchable", "search_documents"]

_MOST = 20
_SHOWN = 1_500  # characters of a passage
_DESCRIPTION = 900
_NOTHING = "(nothing was found: try other words)"


class Searchable(Protocol):
    """Documents that can be asked, such as :class:`~llm_optimize.retrieval.store.DocumentStore`."""

    def search(self, query: str, k: int, kind: Any) -> Sequence[Any]:  # noqa: ANN401 - this floor knows no other's types
        """Return up to ``k`` results, best first, each with ``chunk`` (text, heading, link) and ``score``."""
        ...


def search_documents(
    store: Searchable, *, k: int = 5, kind: str = "hybrid", about: str = "", name: str = "search_documents"
) -> Tool:
    """Return a tool with which a model searches documents while it makes a proposal.

    What the documents say is told as it stands there: give documents that you trust, as a model may take an
    instruction in them for yours. What a candidate is scored on does not belong there.

    Args:
        store: the documents; they may change between calls, and the next call sees it.
        k: passages in a result at most, 1 to 20; the model may ask for fewer.
        kind: ``dense``, ``bm25`` or ``hybrid``.
        about: what the documents are, in a clause, so that the model knows when to look.
        name: the tool's.

    Returns:
        A tool with the arguments ``query`` and, optionally, ``count``.

    Raises:
        BadInput: a setting cannot work.

    Example:
        >>> from llm_optimize.retrieval.chunking import Document
        >>> from llm_optimize.retrieval.store import DocumentStore
        >>> store = DocumentStore(None)
        >>> store.add([Document("cats.md", "Cats sleep all day.")])
        >>> print(search_documents(store, kind="bm25").call('{"query": "when do cats sleep"}').result)
        [1] cats.md
        Cats sleep all day.
    """
    check_whole("k", k, 1, _MOST)

    def search(query: str, count: int = k) -> str:
        if not query.strip():
            msg = "query is empty: say what to look for"
            raise ToolFailed(msg)
        found = store.search(query, min(max(count, 1), k), kind)
        return "\n\n".join(_told(number, one.chunk) for number, one in enumerate(found, start=1)) or _NOTHING

    told = f"Search documents{f' ({about})' if about else ''} and get the passages that fit best, each with its link. "
    told += f"Give a question or words in `query`, and in `count` how many passages, at most {k}."
    return as_tool(search, name=name, description=cut(told, _DESCRIPTION))


def _told(number: int, chunk: Any) -> str:  # noqa: ANN401 - as above
    head = " > ".join(filter(None, (chunk.link, chunk.heading)))
    return f"[{number}] {head}\n{cut(chunk.text, _SHOWN)}"
