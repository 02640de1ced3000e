"""Optimize document QA: chunk size, overlap, ranking, how many chunks, the threshold, and the prompt, as one candidate.

Shows: documents and labelled questions, some of which the documents do not answer; :class:`DocumentTask` as the
function to maximize; a typed start whose numbers and choices the numeric engine tunes while the model rewrites the
prompt; the best against the start on sealed questions, with intervals.
Needs: nothing. Two stand-ins take the place of a chat model: one rewrites the prompt, one answers, and it can only use
the contexts that it is given. The words of the texts take the place of their meaning; better is a model of your own:
``python examples/document_qa.py local:PATH`` (a sentence-transformers folder) or ``URL#name`` (an endpoint).
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize import ScriptedModel, optimize
from llm_optimize.llm.embedding import OpenAIEmbedding
from llm_optimize.retrieval.cached import CachedEmbedding
from llm_optimize.retrieval.chunking import Document
from llm_optimize.retrieval.opening import open_embedding
from llm_optimize.retrieval.words import words
from llm_optimize.scorers.splits import split
from llm_optimize.targets.document_qa import ANSWER_PROMPT, NOT_FOUND, DocumentQA
from llm_optimize.targets.qa_candidate import QACandidate
from llm_optimize.targets.qa_questions import read_questions
from llm_optimize.targets.qa_task import DocumentTask, changes

if TYPE_CHECKING:
    from llm_optimize import Request
    from llm_optimize.core.protocols import EmbeddingModel

TASK = "Questions about an island hostel are answered from its documents. x says how they are looked up and answered."
QUESTION = "Which x should be tried next, so that more answers are right?"
MAX_STEPS = 40
FOLDER = Path(__file__).parent / "documents"
LINK = "https://harrow-point.example/"

x0 = QACandidate(size=120, overlap=0.0, by="size", retrieval="bm25", k=1, prompt="{{context}}\n\n{{question}}")
_BRIEF = "\nUse as few words as possible."
_PROMPTS = (f"{x0.prompt}{_BRIEF}", ANSWER_PROMPT, f"{ANSWER_PROMPT}{_BRIEF}", f"Be kind.\n{ANSWER_PROMPT}")
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


def main(embedding: str = "lexical") -> None:
    """Search on one part of the questions, compare on the sealed part."""
    home = Path(os.environ.get("LLM_OPTIMIZE_HOME", ".llm_optimize"))
    vectors = CachedEmbedding(open_embedding(embedding, OpenAIEmbedding), home / "vectors.db")
    documents = [Document(path.name, path.read_text("utf-8"), LINK + path.name) for path in sorted(FOLDER.glob("*.md"))]
    parts = split(read_questions(FOLDER / "questions.jsonl"), train=0, validation=0.5, sealed=0.5, seed=3)
    qa = DocumentQA(documents, ScriptedModel(Reader(vectors)), vectors)
    task = DocumentTask(qa, parts.validation)
    result = optimize.run(TASK, QUESTION, task, x0, MAX_STEPS, ScriptedModel(rewrite), verbose=False)
    best = QACandidate.model_validate_json(result.best.text)
    sealed = task.on(parts.sealed.open())
    print(f"{vectors.name}, {len(parts.validation)} questions to search on, {len(sealed.questions)} sealed\n\n{best}\n")
    for change in changes(sealed.per_question(x0), sealed.per_question(best), ("hit@3", "mrr", "exact", "f1")):
        print(change)
    answer = qa.ask("How do I treat the sting of a jellyfish?", best)
    print(f"\n{answer.question} {answer.text}\n{answer.outcome}; see {', '.join(answer.links) or 'nothing'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
