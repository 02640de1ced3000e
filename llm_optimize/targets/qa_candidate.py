"""The candidate of a document-QA search: how documents are cut, looked up and answered from, as one pydantic value.

This is the one file of the part that loads pydantic, so nothing but its users imports it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llm_optimize.targets.document_qa import ANSWER_PROMPT

__all__ = ["QACandidate"]


class QACandidate(BaseModel):
    """What a search may change: the numbers and choices by the numeric engine, the prompt by the chat model.

    Attributes:
        size: characters in a chunk.
        overlap: share of a chunk that the next one repeats.
        by: what chunks end at, see :class:`~llm_optimize.retrieval.chunking.Chunking`.
        retrieval: ranking by meaning, by words, or by both.
        k: chunks that are shown to the model.
        threshold: support below which no chunk is shown; with none left, the answer is "not in the documents".
        prompt: with the slots ``{{question}}`` and ``{{context}}``.

    Example:
        >>> QACandidate(size=500, k=4).retrieval
        'dense'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(default=800, ge=100, le=2000)
    overlap: float = Field(default=0.1, ge=0.0, le=0.5)
    by: Literal["size", "paragraphs", "headings"] = "headings"
    retrieval: Literal["dense", "bm25", "hybrid"] = "dense"
    k: int = Field(default=3, ge=1, le=10)
    threshold: float = Field(default=0.0, ge=0.0, le=0.6)
    prompt: str = ANSWER_PROMPT
