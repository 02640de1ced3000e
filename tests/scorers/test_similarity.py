"""Likeness to references, by every measure, and by vectors over HTTP."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, get_args

import pytest

from llm_optimize import optimize
from llm_optimize.core.types import Failure
from llm_optimize.errors import BadInput, BadReply, ModelRefused
from llm_optimize.llm.embedding import OpenAIEmbedding
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.scorers.combining import Minimize
from llm_optimize.scorers.similarity import Kind, Similarity, token_f1

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCAL = [kind for kind in get_args(Kind) if kind != "cosine"]
REFERENCE = "The cat sat on the mat, and then it slept until noon."


def moved() -> tuple[str, str]:
    """Two texts of 301 characters that differ by one letter that moved to the other end."""
    body = "abcdefghij" * 30
    return f"z{body}", f"{body}z"


def test_the_pair_that_autojunk_ruins_scores_above_099_by_default() -> None:
    """Frequent characters count by default; the original's heuristic, which drops them, is there under its name."""
    one, other = moved()
    assert Similarity(other)(one).score > 0.99
    assert Similarity(other, "ratio_autojunk")(one).score < 0.01


@pytest.mark.parametrize("kind", LOCAL)
def test_every_measure_has_the_same_interface(kind: Any) -> None:
    """Equal texts score 1, others less and at least 0; the measure's name stands in the metrics; several references."""
    one = Similarity(REFERENCE, kind)
    near, far = one(REFERENCE.replace("noon", "dawn")).score, one("Xyz!").score
    assert one(f" {REFERENCE}\n").score == pytest.approx(1.0)
    assert 0 <= far < near < 1
    assert list(one("Xyz!").metrics) == [kind]
    several = Similarity(["Something quite different stands here.", REFERENCE], kind)
    assert several(REFERENCE).score == pytest.approx(1.0)
    assert Similarity(several.references, kind, take="mean")(REFERENCE).score < 1
    assert Minimize(one)(REFERENCE).score == pytest.approx(-1.0)
    assert one("").score == 0.0


@pytest.mark.parametrize("kind", ["ratio", "edit", "token_f1", "rouge_l", "chrf"])
@pytest.mark.parametrize("text", ["Зимой идёт снег", "天気がいいです", "Füße übers Öl"])
def test_no_alphabet_counts_for_nothing(kind: Any, text: str) -> None:
    """Equal texts in any script score 1."""
    assert Similarity(text, kind)(text).score == pytest.approx(1.0)


def test_known_values() -> None:
    """Figures that can be checked by hand, or are the libraries' own."""
    assert Similarity("kitten", "edit")("sitting").score == pytest.approx(1 - 3 / 7)
    assert Similarity("diet")("tide").score == 0.25
    assert Similarity("tide")("diet").score == 0.5
    assert token_f1("the cat", "a CAT!") == 1.0
    assert Similarity("a b c d", "rouge_l")("a c d x").score == pytest.approx(0.75)
    assert Similarity("the cat is on the mat", "bleu")("the cat is on a mat").score == pytest.approx(0.5372849659)


def test_the_feedback_names_the_measure_and_the_nearest_and_not_the_reference() -> None:
    """What the proposer reads tells how near, by which measure, and not the expected text."""
    feedback = Similarity(["secret one", "secret two"])("secret two!").feedback
    assert feedback == "similarity to the references (ratio, max): 0.952; nearest is number 2 of 2"


def test_a_text_that_would_take_minutes_is_not_compared() -> None:
    """Beyond the limit a text is a failure at once, and a reference is refused."""
    outcome = Similarity("short", longest=10)("x" * 11)
    assert outcome == Failure("too_long", "the text has 11 characters; at most 10 are compared: shorten it")
    with pytest.raises(BadInput, match=r"^longest .* at least 11"):
        Similarity("x" * 11, longest=10)


@pytest.mark.parametrize("kind", LOCAL)
def test_it_prints_and_pickles(kind: Any) -> None:
    """A scorer is a value."""
    scorer = Similarity(REFERENCE, kind)
    assert pickle.loads(pickle.dumps(scorer)) == scorer
    assert f"kind='{kind}'" in repr(scorer)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"references": []}, "references"),
        ({"references": ["a", ""]}, "references"),
        ({"kind": "levenshtein"}, "kind"),
        ({"take": "min"}, "take"),
        ({"kind": "cosine"}, "model"),
        ({"model": OpenAIEmbedding("e", "http://127.0.0.1:1/v1")}, "model"),
    ],
)
def test_bad_input_names_the_field(change: dict[str, Any], named: str) -> None:
    """What cannot work is refused when the scorer is made."""
    with pytest.raises(BadInput, match=f"^{named}"):
        Similarity(**{"references": "r", **change})


def vectors(_path: str, body: Any) -> tuple[int, Any]:
    """Count the letters a, b and c of each text; the rows come in the wrong order, as a server may send them."""
    rows = [
        {"index": index, "embedding": [text.count("a"), text.count("b"), text.count("c")]}
        for index, text in enumerate(body["input"])
    ]
    return 200, {"data": rows[::-1], "usage": {"prompt_tokens": 7 * len(rows)}}


def test_cosine_by_an_endpoint_of_embeddings(json_server: Any) -> None:
    """The nearest reference counts; the references are sent once, the text each time it is new."""
    with json_server(vectors) as server:
        model = OpenAIEmbedding("tiny", f"{server.url}/v1", api_key="own")
        scorer = Similarity(["aabb", "c"], "cosine", model=model)
        assert [round(scorer(text).score, 6) for text in ("ab", "cc", "aaa", "ab")] == [1.0, 1.0, 0.707107, 1.0]
        assert Similarity("ab", "cosine", model=model)("xyz").score == 0.0
    paths, bodies, headers = zip(*server.requests, strict=True)
    assert set(paths) == {"/v1/embeddings"}
    assert [body["input"] for body in bodies] == [["aabb", "c"], ["ab"], ["cc"], ["aaa"], ["xyz"]]
    assert all(body["encoding_format"] == "float" for body in bodies)
    assert headers[0]["authorization"] == "Bearer own"


def test_vectors_come_in_batches_as_float32_rows(json_server: Any) -> None:
    """Shape (n, d), one row per text in the order of the texts, also over several requests, and for no text at all."""
    with json_server(vectors) as server:
        model = OpenAIEmbedding(f"{server.url}/v1#tiny", batch=2, settings={"dimensions": 3})
        rows = model.embed(["a", "bb", "ccc"])
        assert model.embed([]).shape == (0, 0)
        travelled = pickle.loads(pickle.dumps(model))
        assert travelled == model
        assert travelled.embed(["b"]).tolist() == [[0.0, 1.0, 0.0]]
    assert (rows.dtype.name, rows.tolist()) == ("float32", [[1, 0, 0], [0, 2, 0], [0, 0, 3]])
    assert [len(body["input"]) for _, body, _ in server.requests] == [2, 1, 1]
    assert server.requests[0][1]["dimensions"] == 3


def test_embeddings_are_booked_in_the_study(json_server: Any) -> None:
    """The account knows what the vectors cost."""
    with json_server(vectors) as server:
        scorer = Similarity("aabb", "cosine", model=OpenAIEmbedding("tiny", f"{server.url}/v1"))
        result = optimize.run(
            "t", "q", scorer, x0="ab", max_steps=0, model=ScriptedModel([]), verbose=False, store=None
        )
    spent = result.account.by_role()["embedding"]
    assert (spent.calls, spent.tokens_in) == (2, 14)


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (401, {"error": {"message": "no"}}, ModelRefused),
        (200, {"data": []}, BadReply),
        (200, {"data": [{"index": 0, "embedding": ["x"]}]}, BadReply),
        (200, {"rows": 1}, BadReply),
        (200, [1], BadReply),
    ],
)
def test_an_endpoint_without_vectors_is_an_error(json_server: Any, status: int, answer: Any, error: type) -> None:
    """What is no answer of vectors is never a score."""
    with json_server(lambda path, body: (status, answer)) as server, pytest.raises(error):
        Similarity("ab", "cosine", model=OpenAIEmbedding("tiny", f"{server.url}/v1"))("ab")


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"batch": True}, {"timeout": 0}, {"model": " "}])
def test_an_embedding_model_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    """The line names the field."""
    with pytest.raises(BadInput, match=f"^{next(iter(wrong))}"):
        OpenAIEmbedding(**{"model": "tiny", **wrong})


def test_any_object_with_embed_will_do() -> None:
    """The protocol is one method; a hashing or local model fits."""

    class Letters:
        def embed(self, texts: Sequence[str]) -> list[list[float]]:
            return [[float("a" in text), float("b" in text)] for text in texts]

    assert Similarity(["a", "b"], "cosine", take="mean", model=Letters())("a").score == 0.5
