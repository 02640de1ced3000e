"""Reward models behind HTTP and on this machine."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from llm_optimize import optimize
from llm_optimize.errors import BadInput, BadReply, ModelRefused, ModelUnavailable
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.scorers.classifier import ClassifierReward
from llm_optimize.scorers.combining import Minimize
from llm_optimize.scorers.reward_model import HttpReward
from llm_optimize.scorers.scaling import Linear, Sigmoid
from llm_optimize.testing.server import Answer, ScriptedServer

if TYPE_CHECKING:
    from pathlib import Path


def test_the_raw_value_is_the_score_and_a_scaling_is_stated(json_server: Any) -> None:
    """The text goes where the body has its slot, the value comes from the stated place, and both figures are kept."""
    with json_server(lambda path, body: (200, [{"label": "reward", "score": len(body["inputs"][1])}])) as server:
        body = {"inputs": ["Why is it cold?", "{text}"], "parameters": {"top_k": 1}}
        raw = HttpReward(f"{server.url}/classify", body, path="0.score")
        scaled = HttpReward(f"{server.url}/classify", body, path="0.score", scaling=Linear(0, 8))
        assert (raw("four").score, raw("four").metrics) == (4.0, {"raw": 4.0})
        assert (scaled("four").score, scaled("four").metrics) == (0.5, {"raw": 4.0})
        assert (scaled("nine chars").score, Minimize(raw)("four").score) == (1.0, -4.0)
    path, sent, headers = server.requests[0]
    assert (path, sent) == ("/classify", {"inputs": ["Why is it cold?", "four"], "parameters": {"top_k": 1}})
    assert headers["authorization"] == "Bearer none"


def test_the_key_and_headers_are_the_endpoints_own(json_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chat model's key is never sent to a reward endpoint; its own is, and is not printed."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-chat")
    with json_server(lambda path, body: (200, {"score": 1})) as server:
        scorer = HttpReward(server.url, api_key="own-key", headers={"X-Team": "blue"})
        scorer("text")
        HttpReward(server.url)("text")
    sent = [(headers["authorization"], headers.get("x-team")) for _, _, headers in server.requests]
    assert sent == [("Bearer own-key", "blue"), ("Bearer none", None)]
    assert "own-key" not in repr(scorer)
    assert "sk-of-the-chat" not in str(server.requests)


def test_a_busy_endpoint_is_asked_again() -> None:
    """A 503 and a 429 are waited out, as for a chat; the score is that of the answer in the end."""
    answers = [Answer("busy", status=503), Answer("slow down", status=429, headers={"Retry-After": "0"})]
    with ScriptedServer(lambda body, i: answers[i] if i < 2 else Answer(raw=b'{"score": 2.5}')) as server:
        outcome = HttpReward(f"{server.url}/chat/completions")("text")
        assert [received.status for received in server.requests] == [503, 429, 200]
    assert (outcome.score, outcome.usage.calls) == (2.5, 1)


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (401, {"error": {"message": "no such key"}}, ModelRefused),
        (404, {"detail": "nothing here"}, ModelRefused),
        (200, {"points": 1}, BadReply),
        (200, {"score": "high"}, BadReply),
        (200, {"score": True}, BadReply),
        (200, b'{"score": NaN}', BadReply),
        (200, b"not JSON", BadReply),
        (200, [], BadReply),
    ],
)
def test_trouble_is_an_error_and_never_a_score(json_server: Any, status: int, answer: Any, error: type) -> None:
    """What says nothing about the text raises one of our errors, with the URL in it."""
    with (
        json_server(lambda path, body: (status, answer)) as server,
        pytest.raises(error, match=server.url),
    ):
        HttpReward(server.url, deadline=2)("text")


def test_no_answer_in_time_is_unavailable() -> None:
    """A silent endpoint ends within the deadline, as unavailable."""
    with (
        ScriptedServer(lambda body, i: Answer(raw=b'{"score": 1}', delay=30)) as server,
        pytest.raises(ModelUnavailable),
    ):
        HttpReward(f"{server.url}/chat/completions", timeout=0.2, deadline=0.3)("text")


def test_a_resumed_study_asks_for_no_reward_twice(json_server: Any, tmp_path: Path) -> None:
    """Rewards are written down before anything builds on them, and booked as the judge's."""
    with json_server(lambda path, body: (200, {"score": len(body["text"])})) as server:
        scorer = HttpReward(server.url, scaling=Sigmoid())

        def dies(text: str) -> Any:
            scorer(text)
            raise BadReply("the process dies here")

        ask: dict[str, Any] = {"x0": "start", "max_steps": 0, "verbose": False, "study": "one"}
        ask |= {"store": tmp_path / "s.db", "model": ScriptedModel([])}
        with pytest.raises(BadReply, match="dies here"):
            optimize.run("t", "q", dies, **ask)
        result = optimize.run("t", "q", scorer, **ask)
        assert len(server.requests) == 1
    assert result.best_score == pytest.approx(0.9933, abs=1e-4)
    assert result.account.by_role()["judge"].calls == 1


def test_scorers_print_and_pickle(json_server: Any) -> None:
    """Reward models are values that travel to other processes."""
    with json_server(lambda path, body: (200, {"score": 3})) as server:
        scorer = HttpReward(server.url, scaling=Linear(0, 4))
        assert pickle.loads(pickle.dumps(scorer)) == scorer
        assert pickle.loads(pickle.dumps(scorer))("text").score == 0.75
    assert "scaling=Linear(low=0, high=4, clip=True)" in repr(scorer)
    local = ClassifierReward("folder", prompt="Why?", scaling=Sigmoid())
    assert pickle.loads(pickle.dumps(local)) == local


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"url": "nowhere"}, "url"),
        ({"body": {"text": "no slot"}}, "body"),
        ({"path": "."}, "path"),
        ({"timeout": 0}, "timeout"),
        ({"deadline": float("inf")}, "deadline"),
    ],
)
def test_bad_input_names_the_field(change: dict[str, Any], named: str) -> None:
    """What cannot work is refused when the scorer is made."""
    with pytest.raises(BadInput, match=f"^{named}"):
        HttpReward(**{"url": "http://127.0.0.1:1", **change})


@pytest.mark.parametrize(
    "make", [lambda: Linear(1, 1), lambda: Linear(0, float("nan")), lambda: Sigmoid(width=0), lambda: Sigmoid("1")]
)
def test_a_scaling_without_extent_is_refused(make: Any) -> None:
    """A scale needs two ends, a curve a width."""
    with pytest.raises(BadInput, match="give"):
        make()


def test_a_sigmoid_holds_for_any_raw_value() -> None:
    """No raw value overflows, and the order is kept."""
    scores = [Sigmoid(1, 2)(raw) for raw in (-1e300, -1, 1, 3, 1e300)]
    assert scores == sorted(scores)
    assert (scores[0], scores[2], scores[-1]) == (0.0, 0.5, 1.0)


def test_without_the_libraries_the_remedy_is_named(tmp_path: Path) -> None:
    """Where torch is not installed, or the folder holds no model, the error says what to do."""
    with pytest.raises(BadInput, match=r"pip install 'llm-optimize\[reward\]'|cannot be loaded"):
        ClassifierReward(tmp_path)("text")
    with pytest.raises(BadInput, match=r"^model"):
        ClassifierReward(" ")
    with pytest.raises(BadInput, match=r"^longest"):
        ClassifierReward("folder", longest=0)


HAVE_TORCH = find_spec("torch") is not None and find_spec("transformers") is not None
needs_torch = pytest.mark.skipif(not HAVE_TORCH, reason="torch and transformers (extra reward) are not installed")


def tiny(folder: Path, labels: int) -> Path:
    """Save a random classifier of 2,000 weights with a word-piece tokenizer; the same each time."""
    import torch  # noqa: PLC0415 - an extra that most test runs do without
    import transformers  # noqa: PLC0415 - as above

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "why", "is", "it", "cold", "air", "thin", "up", "here"]
    folder.mkdir()
    folder.joinpath("vocab.txt").write_text("\n".join(words), "utf-8")
    transformers.BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), model_max_length=16).save_pretrained(folder)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.BertConfig(
        vocab_size=len(words), max_position_embeddings=16, num_labels=labels, initializer_range=1.0, **sizes
    )
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@needs_torch
def test_a_local_classifier_gives_its_logit_or_a_labels_probability(tmp_path: Path) -> None:
    """One label: the logit. Several: the softmax of the one that is named, and they add up to 1."""
    reward = ClassifierReward(tiny(tmp_path / "one", 1), prompt="why is it cold", scaling=Sigmoid())
    outcome = reward("air is thin up here")
    assert outcome.score == Sigmoid()(outcome.metrics["raw"])
    assert outcome.metrics["cut"] == 0.0
    assert reward("air is thin up here") == outcome != reward("it is")
    assert ClassifierReward(reward.model)("air is thin up here").score != outcome.metrics["raw"]
    several = tiny(tmp_path / "three", 3)
    shares = [ClassifierReward(several, label=label)("it is cold").score for label in (0, "LABEL_1", 2)]
    assert sum(shares) == pytest.approx(1.0, abs=1e-6)
    for label in (None, 3, "LABEL_9", True):
        with pytest.raises(BadInput, match="LABEL_0, LABEL_1, LABEL_2"):
            ClassifierReward(several, label=label)("it is cold")


@needs_torch
def test_a_long_text_is_cut_and_says_so(tmp_path: Path) -> None:
    """Only the text is cut, not what it answers; a prompt that leaves no room is refused."""
    folder = tiny(tmp_path / "one", 1)
    long = ClassifierReward(folder, prompt="why is it cold")("air is thin up here " * 20)
    assert long.metrics["cut"] == 1.0
    with pytest.raises(BadInput, match=r"^prompt"):
        ClassifierReward(folder, prompt="why " * 20)("air")
