"""The eight steps of document QA in one call: what comes back, what is shown, what is dropped, what is cited."""

from __future__ import annotations

import pickle
import re

import pytest

from llm_optimize.core.metering import Scope, entered
from llm_optimize.errors import BadInput, ModelUnavailable
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.retrieval.chunking import Chunking, Document
from llm_optimize.retrieval.lexical import LexicalEmbedding
from llm_optimize.targets.document_qa import ANSWER_PROMPT, NOT_FOUND, DocumentQA
from llm_optimize.targets.qa_candidate import QACandidate
from llm_optimize.testing.server import ScriptedServer

LINK = "https://docs.example/"
TEXTS = {
    "cats.md": "# Sleep\n\nCats sleep all day on the sofa.\n\n# Food\n\nCats eat fish and mice.",
    "dogs.md": "# Barking\n\nDogs bark at the postman every day.",
    "züge.md": "# Züge\n\nDer Zug nach Köln fährt um neun Uhr.",
}
DOCUMENTS = [Document(name, text, LINK + name) for name, text in TEXTS.items()]
HOW = QACandidate(size=200, overlap=0.0, k=2)


def pipeline(*replies, documents=DOCUMENTS, **settings):
    """Return a pipeline and its scripted model."""
    model = ScriptedModel(replies)
    return DocumentQA(documents, model, LexicalEmbedding(), **settings), model


@pytest.mark.parametrize("retrieval", ["dense", "bm25", "hybrid"])
def test_one_call_brings_answer_contexts_scores_and_links(retrieval) -> None:
    """The question finds its chunk, the model sees its text under a number, the answer links to the place."""
    qa, model = pipeline("On the sofa [1].")
    answer = qa.ask("Where do cats sleep?", HOW.model_copy(update={"retrieval": retrieval}))
    assert (answer.outcome, answer.text, answer.plain) == ("answered", "On the sofa [1].", "On the sofa.")
    assert answer.links == (f"{LINK}cats.md#sleep",)
    assert (answer.cited, answer.unknown, answer.dropped) == ((1,), (), ())
    assert answer.contexts[0].chunk.text.endswith("Cats sleep all day on the sofa.")
    assert [one.score for one in answer.contexts] == sorted((one.score for one in answer.contexts), reverse=True)
    assert 0 < answer.contexts[0].support <= 1
    prompt = model.requests[0].messages[-1].content
    assert "[1] cats.md > Sleep\n# Sleep\n\nCats sleep all day on the sofa." in prompt
    assert "Question: Where do cats sleep?" in prompt
    assert answer.prompt_tokens == TokenCounter("scripted").plain_messages(model.requests[0].messages)
    assert answer.usage.calls == 1
    assert answer.ranking[: len(answer.contexts)] == answer.contexts


def test_it_works_over_http_and_is_booked_as_target() -> None:
    """A real endpoint answers; what it cost is in the answer and on the study's account."""
    with ScriptedServer(lambda _body, _index: "At nine [1].") as server:
        qa = DocumentQA(DOCUMENTS, f"{server.url}#small", LexicalEmbedding(), settings={"temperature": 0})
        scope = Scope("study", "evaluation/0")
        with entered(scope):
            answer = qa.ask("Wann fährt der Zug nach Köln?", HOW)
        assert answer.links == (f"{LINK}züge.md#züge",)
        assert answer.usage.calls == scope.usage.calls == 1
        assert server.requests[0].body["temperature"] == 0
        copy = pickle.loads(pickle.dumps(qa))  # as a process pool makes one, without what was connected and embedded
        assert copy.ask("Wann fährt der Zug nach Köln?", HOW).links == answer.links


def test_the_token_limit_holds_and_what_was_dropped_is_said() -> None:
    """The best contexts that fit are shown, in order; the others are named; no prompt passes the limit."""
    long = [Document(f"d{n}", f"cats {'word ' * (20 * n)}") for n in range(1, 8)]
    for limit in (150, 300, 600):
        model = ScriptedModel(lambda _: "ok")
        qa = DocumentQA(long, model, LexicalEmbedding(), prompt_tokens=limit)
        answer = qa.ask("cats?", QACandidate(size=2000, k=7, retrieval="bm25"))
        sent = model.requests[0].messages
        assert answer.prompt_tokens == TokenCounter("scripted").plain_messages(sent) <= limit
        assert answer.dropped
        assert len(answer.contexts) + len(answer.dropped) == 7
        for one in answer.dropped:
            assert one.chunk.text not in sent[-1].content
        numbers = re.findall(r"^\[(\d+)\] d\d", sent[-1].content, re.MULTILINE)
        assert numbers == [str(number) for number in range(1, len(answer.contexts) + 1)]


def test_nothing_that_fits_is_not_in_the_documents() -> None:
    """Contexts that are all too long are dropped, and no model is asked to guess."""
    qa, model = pipeline(documents=[Document("d", "cats " * 300)], prompt_tokens=120)
    answer = qa.ask("cats?", QACandidate(size=2000, retrieval="bm25"))
    assert (answer.outcome, len(answer.dropped), model.requests) == ("not_in_documents", 1, [])


def test_a_prompt_too_long_without_contexts_is_refused() -> None:
    """The question itself does not fit."""
    qa, model = pipeline(prompt_tokens=60)
    with pytest.raises(BadInput, match="without any context"):
        qa.ask("why " * 100, HOW)
    assert model.requests == []


def test_below_the_threshold_no_model_is_called() -> None:
    """What the documents do not hold costs nothing; a lower threshold asks."""
    qa, model = pipeline("I guess so.")
    answer = qa.ask("Who composed the opera?", HOW.model_copy(update={"threshold": 0.6}))
    assert (answer.outcome, answer.text, answer.plain, answer.links) == ("not_in_documents", NOT_FOUND, "", ())
    assert (answer.usage.calls, answer.contexts, model.requests) == (0, (), [])
    assert answer.ranking
    assert qa.ask("Who composed the opera?", HOW).outcome == "answered"


@pytest.mark.parametrize("reply", [NOT_FOUND, f'"{NOT_FOUND.title()}."', f"Sorry: {NOT_FOUND} [1]", ""])
def test_a_model_may_say_that_it_is_not_there(reply) -> None:
    """Its words become the one outcome, with the contexts that it was shown."""
    answer = pipeline(reply)[0].ask("Where do cats sleep?", HOW)
    assert (answer.outcome, answer.text, answer.cited) == ("not_in_documents", NOT_FOUND, ())
    assert answer.contexts


def test_words_that_merely_sound_like_it_are_an_answer() -> None:
    """A sentence about a thing that is not in the documents is none."""
    assert pipeline("The key is not in the documents bag.")[0].ask("cats sleep?", HOW).outcome == "answered"


@pytest.mark.parametrize(
    ("reply", "cited", "unknown"),
    [
        ("Sofa [1], fish [2].", (1, 2), ()),
        ("Sofa [2; 1] and [1].", (2, 1), ()),
        ("Sofa [7] [1] [0].", (1,), ("[7]", "[0]")),
        ("See [cats.md] for it.", (1,), ()),
        ("See [dogs.md] for it.", (), ("dogs.md",)),
        (f"See {LINK}cats.md#food.", (1,), ()),
        (f"See {LINK}dogs.md and https://evil.example/x.", (), (f"{LINK}dogs.md", "https://evil.example/x")),
        ("A [link](1) and [sic] are no citations.", (), ()),
        ("None at all.", (), ()),
    ],
)
def test_citations_are_checked_against_the_contexts(reply, cited, unknown) -> None:
    """Numbers, names and addresses: those that were shown, and those that were not."""
    answer = pipeline(reply)[0].ask("Where do cats sleep or eat fish?", HOW)
    assert {one.chunk.document for one in answer.contexts} == {"cats.md"}
    assert (answer.cited, answer.unknown) == (cited, unknown)
    shown = tuple(one.chunk.link for one in answer.contexts)
    assert answer.links == (tuple(shown[number - 1] for number in cited) or shown)


def test_no_documents_and_no_question() -> None:
    """An empty store has an answer; an empty question is refused."""
    qa, model = pipeline(documents=[])
    assert qa.ask("Anything?", HOW).outcome == "not_in_documents"
    assert qa.ask("?!", HOW).outcome == "not_in_documents"
    for empty in ("", " \n"):
        with pytest.raises(BadInput, match="question is empty"):
            qa.ask(empty, HOW)
    assert model.requests == []


@pytest.mark.parametrize(
    ("prompt", "told"),
    [("{{context}}", "{{question}}"), ("{{question}}", "{{context}}"), (ANSWER_PROMPT + "{{name}}", "{{name}}")],
)
def test_a_prompt_keeps_its_slots(prompt, told) -> None:
    """A lost or invented slot is named, before anything is spent."""
    with pytest.raises(BadInput, match=re.escape(told)):
        pipeline()[0].ask("x?", HOW.model_copy(update={"prompt": prompt}))


def test_slots_in_documents_and_questions_stay_as_they_are() -> None:
    """Text that looks like a slot is text."""
    qa, model = pipeline("ok", documents=[Document("d", "The word {{question}} is a slot.")])
    qa.ask("What is the slot {{context}}?", HOW)
    assert "The word {{question}} is a slot." in model.requests[0].messages[-1].content
    assert "What is the slot {{context}}?" in model.requests[0].messages[-1].content


def test_the_documents_are_embedded_once_per_chunking() -> None:
    """Questions cost one embedding each; going back to a chunking costs none for documents."""

    class Counting:
        name = "counting"

        def __init__(self):
            self.asked = 0

        def embed(self, texts):
            self.asked += len(texts)
            return LexicalEmbedding().embed(texts)

    counting = Counting()
    qa = DocumentQA(DOCUMENTS, ScriptedModel(lambda _: "ok"), counting)
    chunks = len(qa.store(Chunking(200, 0)))
    assert counting.asked == chunks
    for size in (200, 300, 200):
        qa.ask("Where do cats sleep?", QACandidate(size=size, overlap=0.0))
    assert counting.asked == 2 * chunks + 3
    assert pickle.loads(pickle.dumps(HOW)) == HOW


def test_trouble_with_the_model_is_no_answer() -> None:
    """It passes through as what it is."""
    with pytest.raises(ModelUnavailable):
        pipeline(ModelUnavailable("down"))[0].ask("Where do cats sleep?", HOW)
    with pytest.raises(BadInput, match="documents"):
        pipeline(documents=[Document("a", "x"), Document("a", "y")])
