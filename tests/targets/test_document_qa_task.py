"""Document QA scored on labelled questions, and optimized by the ordinary loop."""

from __future__ import annotations

import json

import pytest

from llm_optimize import optimize
from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.errors import BadInput, ModelUnavailable
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.retrieval.chunking import Document
from llm_optimize.retrieval.lexical import LexicalEmbedding
from llm_optimize.targets.document_qa import ANSWER_PROMPT, NOT_FOUND, DocumentQA
from llm_optimize.targets.qa_candidate import QACandidate
from llm_optimize.targets.qa_questions import question, read_questions
from llm_optimize.targets.qa_task import DocumentTask, changes

DOCUMENTS = [
    Document("cats.md", "# Sleep\n\nCats sleep on the sofa.\n\n# Food\n\nCats eat fish."),
    Document("dogs.md", "Dogs bark at the postman."),
]
QUESTIONS = [
    question("Where do cats sleep?", "on the sofa", "Cats sleep on the sofa."),
    question("What do cats eat?", ["fish", "a fish"], ["Cats eat fish."]),
    question("Whom do dogs bark at?", "the postman", "bark at the postman"),
    question("Who wrote the opera?"),
]
REPLIES = {
    "Where": "On the sofa [1].",
    "What": "They eat fish [1][9].",
    "Whom": NOT_FOUND,
    "Who ": "Mozart [1].",
}
HOW = QACandidate(size=100, k=2)


def said(request):
    """Answer by the question's first word."""
    asked = request.messages[-1].content.rpartition("Question: ")[2]
    return next(reply for word, reply in REPLIES.items() if asked.startswith(word))


def task(function=said, **settings):
    """Return the task with a scripted reader."""
    return DocumentTask(DocumentQA(DOCUMENTS, ScriptedModel(function), LexicalEmbedding()), QUESTIONS, **settings)


def test_the_metrics_are_those_counted_by_hand() -> None:
    """F1, exact, hit at 1, reciprocal rank, unanswerable ones found out, citations that were not shown."""
    outcome = task(depth=1)(HOW)
    assert isinstance(outcome, Evaluation)
    assert outcome.examples == pytest.approx((1.0, 2 * 1 / (3 + 1), 0.0, 0.0))
    assert outcome.score == pytest.approx(sum(outcome.examples) / 4)
    got = outcome.metrics
    assert (got["exact"], got["found_out"], got["bad_citations"]) == (0.25, 0.0, 0.25)
    assert (got["hit@1"], got["mrr"]) == (1.0, 1.0)
    assert outcome.answers == ("On the sofa [1].", "They eat fish [1][9].", NOT_FOUND, "Mozart [1].")
    assert outcome.usage.calls == 0  # the study counts calls where they are made
    for remark in ("[9]", "said that they do not", "and it gave one"):
        assert remark in outcome.feedback
    assert "the postman" not in outcome.feedback.replace("bark at the postman", "")


def test_a_chunk_is_a_hit_only_with_the_whole_evidence() -> None:
    """Chunks that tear a quotation are none."""
    torn = task()(QACandidate(size=100, k=1, overlap=0.0))
    assert torn.metrics["hit@3"] == 1.0
    long = [Document("d", f"Start. {'word ' * 20}the answer is {'very ' * 25}long. End.")]
    asked = [question("What is it?", "long", f"the answer is {'very ' * 25}long.")]
    qa = DocumentQA(long, ScriptedModel(lambda _: "long"), LexicalEmbedding())
    small, large = (DocumentTask(qa, asked)(QACandidate(size=size, by="size", overlap=0.0)) for size in (100, 500))
    assert (small.metrics["hit@3"], small.metrics["mrr"], large.metrics["hit@3"]) == (0.0, 0.0, 1.0)
    assert "was not found" in small.feedback


def test_a_judge_may_score() -> None:
    """It sees question, right and given answer; questions without one are scored without it."""
    seen = []

    def judge(text):
        seen.append(text)
        return (0.5, "so so")

    outcome = task(judge=judge, measure="judge", parallel=1)(HOW)
    assert outcome.examples == (0.5, 0.5, 0.5, 0.0)
    assert outcome.metrics["judge"] == 0.375
    assert outcome.metrics["f1"] == pytest.approx(0.375)
    assert seen[1] == "Question: What do cats eat?\nRight answer: fish / a fish\nGiven answer: They eat fish [1][9]."
    assert task(measure="exact")(HOW).score == 0.25


def test_settings_that_cannot_work_are_a_failure_and_trouble_is_trouble() -> None:
    """A prompt without a slot is the candidate's doing; an endpoint that is down is not."""
    outcome = task()(HOW.model_copy(update={"prompt": "{{question}}"}))
    assert isinstance(outcome, Failure)
    assert "{{context}}" in outcome.message
    with pytest.raises(ModelUnavailable):
        task(lambda _: ModelUnavailable("down"))(HOW)


def test_labels_are_checked_before_anything_is_asked() -> None:
    """Evidence that stands nowhere, half a label, an example without one, a measure without its judge."""
    qa = DocumentQA(DOCUMENTS, ScriptedModel([]), None)
    with pytest.raises(BadInput, match="stands in no document"):
        DocumentTask(qa, [question("x?", "y", "not there")])
    for wrong in ({"answers": "y"}, {"evidence": "y"}):
        with pytest.raises(BadInput, match="neither"):
            question("x?", **wrong)
    with pytest.raises(BadInput, match="give a text"):
        question(" ")
    with pytest.raises(BadInput, match="judge"):
        DocumentTask(qa, QUESTIONS, measure="judge")
    with pytest.raises(BadInput, match="questions"):
        DocumentTask(qa, [])


def test_questions_are_read_from_a_file(tmp_path) -> None:
    """One per line; a line that is none is named."""
    path = tmp_path / "q.jsonl"
    rows = [{"question": "a?", "answers": "b", "evidence": "b c"}, {"question": "d?"}]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    assert [(one["question"], one.expected.answers) for one in read_questions(path)] == [("a?", ("b",)), ("d?", ())]
    for wrong, told in (("{}", "line 1"), ("[1]", "line 1"), ("nope", "line 1"), ("", "empty")):
        path.write_text(wrong)
        with pytest.raises(BadInput, match=told):
            read_questions(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_questions(tmp_path / "none")


def test_changes_have_intervals() -> None:
    """Means, paired interval, and only the questions that have the metric."""
    start = [{"f1": 0.0, "mrr": 0.0}] * 10 + [{"f1": 1.0}]
    best = [{"f1": 1.0, "mrr": 0.5}] * 10 + [{"f1": 1.0}]
    f1, mrr = changes(start, best, ("f1", "mrr"))
    assert (f1.n, mrr.n) == (11, 10)
    assert (mrr.start, mrr.best) == (0.0, 0.5)
    assert 0 < f1.low < f1.best - f1.start < f1.high <= 1
    assert str(mrr) == "mrr: 0.000 at the start, 0.500 at the best (+0.500, 95 % +0.500 to +0.500; 10 questions)"
    with pytest.raises(BadInput, match="none"):
        changes(start, best, ("none",))


def test_the_ordinary_loop_improves_the_candidate() -> None:
    """Numbers and choices by the engine, the prompt by the model; the best is a candidate and better than the start."""
    text = " ".join(f"The code of room {number} is {number * 37}." for number in range(40))
    documents = [Document("rooms", text), Document("noise", " ".join(f"A room has a code {n}." for n in range(60)))]
    asked = [
        question(f"What is the code of room {n}?", str(n * 37), f"of room {n} is {n * 37}.") for n in range(0, 40, 4)
    ]

    def read(request):
        prompt = request.messages[-1].content
        number = prompt.rpartition("room ")[2].split("?")[0]
        held = f"of room {number} is "
        answer = prompt.partition(held)[2].split(".")[0] if held in prompt else "unknown"
        return answer if "briefly" in prompt else f"I think that the code is {answer}"

    def write(request):
        return f"Brief.\n```json\n{QACandidate(prompt=f'{ANSWER_PROMPT} briefly').model_dump_json()}\n```"

    qa = DocumentQA(documents, ScriptedModel(read), LexicalEmbedding())
    start = QACandidate(size=100, by="size", overlap=0.0, k=1)
    score = DocumentTask(qa, asked)
    result = optimize.run("t", "q", score, start, 20, ScriptedModel(write), verbose=False, store=None)
    best = QACandidate.model_validate_json(result.best.text)
    origins = {trial.candidate.origin.partition(":")[0] for trial in result.history.trials}
    assert origins == {"start", "numeric", "chat"}
    assert result.best.score > result.history.trials[0].score + 0.2
    assert best.prompt.endswith("briefly")
    found = changes(score.per_question(start), score.per_question(best), ("f1",))
    assert found[0].low > 0
