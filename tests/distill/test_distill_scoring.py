"""How answers are scored in a distill run: what counts as wrong, and what open answers are measured by."""

from __future__ import annotations

import json
import math
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from llm_optimize import distill
from llm_optimize.distill.asking import read_length
from llm_optimize.testing.server import Answer, ScriptedServer

QUICK = distill.Settings(samples=2, wrong=2)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def items(server, fixtures):
    """An item of each kind of answer: one of several options, and an open one."""
    judged = distill.Judged(f"{server.url}#judge")
    choices = distill.read_items("mmlu", fixtures / "mmlu.csv")
    return [choices[0], distill.read_items("alpaca", fixtures / "alpaca.json", open_scorer=judged)[0]]


def test_no_usable_answer_counts_as_wrong_and_a_failed_judge_as_nothing(tmp_path):
    """Cut off, refused and empty answers score 0 without the scorer; a scorer that fails says nothing of the prompt."""
    answers = [Answer("C", finish_reason="length"), Answer(None, refusal="no"), "", "B"]
    (tmp_path / "q.csv").write_text("Which?,one,two,three,four,B\n")
    (item,) = distill.read_items("mmlu", tmp_path / "q.csv")
    settings = distill.Settings(samples=4, wrong=4)
    with ScriptedServer(lambda _, index: answers[index]) as server:
        done = distill.run([item], tmp_path / "one", f"{server.url}#m", settings=settings, parallel=1)
    (record,) = lines(tmp_path / "one" / "samples.jsonl")
    notes = [(one["note"], one["score"]) for one in record["answers"]]
    assert notes == [("cut off", 0.0), ("refused", 0.0), ("empty", 0.0), ("", 1.0)]
    assert (done.report.counts.unusable, done.report.counts.hard) == (3, 0)

    def broken(_):
        raise ValueError("out of order")

    with ScriptedServer(lambda *_: "B") as server:
        failing = replace(item, scorer=broken)
        done = distill.run([failing], tmp_path / "two", f"{server.url}#m", settings=settings)
    assert (done.report.counts.failed, done.report.counts.unscored, done.report.counts.hard) == (4, 1, 0)
    assert "1 could not be scored" in str(done)


def test_the_length_estimate_is_bounded_and_bounds_answers(items, server, fixtures, tmp_path):
    """Open items are asked for their length once, and their answers carry a limit made of it; others do not."""
    assert [read_length(text, 10, 400) for text in ("30", "1,200 words", "0", "many")] == [30, 400, 10, 125]
    settings = replace(QUICK, estimate_length=True, rounds=1)
    done = distill.run(items, tmp_path / "run", f"{server.url}#scripted", settings=settings)
    assert lines(tmp_path / "run" / "lengths.jsonl") == [{"id": "alpaca-0", "words": 30}]
    assert done.report.usage["length"].calls == 1
    limits = {
        one.body["messages"][-1]["content"][:20]: one.body.get("max_tokens") or one.body.get("max_completion_tokens")
        for one in server.requests
        if one.body["model"] == "scripted"
    }
    assert limits[items[0].prompt[:20]] == 1024
    assert limits[items[1].asked(items[1].prompt)[:20]] == 120


@contextmanager
def reward_endpoint(seen):
    """A reward model over HTTP: 3 for a good answer, else -3."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append(body)
            said = json.dumps({"score": 3.0 if "GOOD" in body["text"] else -3.0}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}/reward"
        http.shutdown()
        thread.join()


def test_open_answers_are_scored_by_a_reward_model(server, fixtures, tmp_path):
    """It sees the original prompt for every version; the raw value is in the record, the score is its sigmoid."""
    seen = []
    with reward_endpoint(seen) as url:
        items = distill.read_items("alpaca", fixtures / "alpaca.json", open_scorer=distill.Rewarded(url))[:3]
        done = distill.run(items, tmp_path / "run", f"{server.url}#scripted", settings=QUICK)
    assert {one["prompt"] for one in seen} == {item.asked(item.prompt) for item in items}
    assert done.report.counts.hard >= 1
    answers = [one for line in lines(tmp_path / "run" / "samples.jsonl") for one in line["answers"]]
    assert {(one["metrics"]["raw"], round(one["score"], 3)) for one in answers} <= {(3.0, 0.953), (-3.0, 0.047)}
    assert done.report.total.calls == server.counts()["charged"] + len(seen)


def test_open_answers_are_scored_by_likeness(tmp_path):
    """Without a model the reference answer is compared with; from the given score on an answer is right."""
    (tmp_path / "a.json").write_text('[{"instruction": "Say hello.", "input": "", "output": "hello there you"}]')
    (item,) = distill.read_items("alpaca", tmp_path / "a.json", open_scorer=distill.Likeness(), right=0.9)
    assert item.scorer("hello there you").score == 1
    assert item.scorer("hello").score == pytest.approx(0.5)
    assert item.right == 0.9


def test_open_answers_are_scored_by_a_local_classifier(tmp_path):
    """A sequence classifier on this machine reads prompt and answer; the raw value is kept, the score its sigmoid."""
    torch = pytest.importorskip("torch", reason="the extra reward is not installed")
    transformers = pytest.importorskip("transformers", reason="the extra reward is not installed")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "say", "hello", "there"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizerFast(str(tmp_path / "vocab.txt"))
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(vocab_size=len(words), num_labels=1, max_position_embeddings=64, **sizes)
    model = transformers.BertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path / "reward")
    tokenizer.save_pretrained(tmp_path / "reward")
    with torch.inference_mode():
        raw = float(model(**tokenizer("say hello", "hello there", return_tensors="pt")).logits[0, 0])
    scored = distill.LocalReward(tmp_path / "reward")("say hello", "not used")("hello there")
    assert scored.metrics["raw"] == pytest.approx(raw, abs=1e-5)
    assert scored.score == pytest.approx(1 / (1 + math.exp(-raw)), abs=1e-5)
