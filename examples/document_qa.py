"""Optimize document QA: chunk size, overlap, ranking, how many chunks, the threshold, and the prompt, as one candidate.

Shows: documents and labelled questions, some of which the documents do not answer; :class:`DocumentTask` as the
function to maximize; a typed start whose numbers and choices the numeric engine tunes while the model rewrites the
prompt; the best against the start on sealed questions, with intervals.
Needs: nothing. Two stand-ins take the place of a chat model: one rewrites the prompt, one answers, and it can only use
the contexts that it is given. Words take the place of meaning; better is a model: ``python examples/document_qa.py
local:PATH`` (a sentence-transformers folder) or ``URL#name`` (an endpoint for embeddings). Costs: nothing, then.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from documents.standins import BARE, Reader, rewrite

from llm_optimize import ScriptedModel, optimize
from llm_optimize.llm.embedding import OpenAIEmbedding
from llm_optimize.retrieval.cached import CachedEmbedding
from llm_optimize.retrieval.chunking import Document
from llm_optimize.retrieval.opening import open_embedding
from llm_optimize.scorers.splits import split
from llm_optimize.targets.document_qa import DocumentQA
from llm_optimize.targets.qa_candidate import QACandidate
from llm_optimize.targets.qa_questions import read_questions
from llm_optimize.targets.qa_task import DocumentTask, changes

TASK = "Questions about an island hostel are answered from its documents. x says how they are looked up and answered."
QUESTION = "Which x should be tried next, so that more answers are right?"
MAX_STEPS = 40
FOLDER = Path(__file__).parent / "documents"
LINK = "https://harrow-point.example/"

x0 = QACandidate(size=120, overlap=0.0, by="size", retrieval="bm25", k=1, prompt=BARE)


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
