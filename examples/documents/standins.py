"""What stands in for chat models in ``document_qa.py``: one rewrites the prompt, one answers from what it is given."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from llm_optimize.retrieval.words import words
from llm_optimize.targets.document_qa import ANSWER_PROMPT, NOT_FOUND

if TYPE_CHECKING:
    from llm_optimize import Request
    from llm_optimize.core.protocols import EmbeddingModel

BARE = "{{context}}\n\n{{question}}"
_BRIEF = "\nUse as few words as possible."
_PROMPTS = (f"{BARE}{_BRIEF}", ANSWER_PROMPT, f"{ANSWER_PROMPT}{_BRIEF}", f"Be kind.\n{ANSWER_PROMPT}")
_SURE = 0.3  # likeness of question and sentence below which the reader, if asked to, says that it does not know


class Reader:
    """Answers with the sentence of its prompt's contexts that is most like the question; it knows nothing else."""

    def __init__(self, embedding: EmbeddingModel) -> None:
        """Compare by this model."""
        self.embedding = embedding

    def __call__(self, request: Request) -> str:
        """Read the contexts, numbered in brackets, and the question, the last line that ends with its mark."""
        prompt = request.messages[-1].content
        asked = re.findall(r"[^\n]*\?", prompt)[-1].removeprefix("Question:").strip()
        found = []
        for block in re.split(r"\n(?=\[\d+\] )", f"\n{prompt.rpartition(asked)[0]}")[1:]:
            number = block[1 : block.index("]")]
            lines = [line for line in block.splitlines()[1:] if not line.startswith(("#", "Question:"))]
            found += [(one, number) for line in lines for one in re.split(r"(?<=[.!?;])\s+", line) if words(one)]
        if not found:
            return NOT_FOUND
        rows = self.embedding.embed([asked, *(one for one, _ in found)])
        likeness = rows[1:] @ rows[0]
        if likeness.max() < _SURE and NOT_FOUND in prompt:
            return NOT_FOUND
        sentence, number = found[likeness.argmax()]
        return f"{shortened(sentence, asked) if _BRIEF.strip() in prompt else sentence} [{number}]"


def shortened(sentence: str, asked: str) -> str:
    """Leave out what the question has said already, from both ends."""
    known, rest = {*words(asked), "the", "a", "is", "are", "was", "and", "only"}, sentence.strip(" .;").split()
    while len(rest) > 1 and set(words(rest[0])) <= known:
        rest = rest[1:]
    while len(rest) > 1 and set(words(rest[-1])) <= known:
        rest = rest[:-1]
    return " ".join(rest)


def rewrite(request: Request) -> str:
    """Answer as a model that tries one prompt after the other in the best candidate so far."""
    said = "\n".join(message.content for message in request.messages)
    shown = [found.start() for found in re.finditer(r'\{\s*"size": \d', said)]
    fields = json.JSONDecoder().raw_decode(said[shown[-1] :])[0]
    prompt = _PROMPTS[len(request.messages) // 2 % len(_PROMPTS)]
    return f"Another prompt.\n```json\n{json.dumps(fields | {'prompt': prompt})}\n```"
