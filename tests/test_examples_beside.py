"""The examples of what stands beside the loop, executed as those of the loop are: see test_examples.py."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from helpers.running_examples import EXAMPLES, run

from llm_optimize.testing.server import ScriptedServer


def test_find_parameters() -> None:
    """The search on a stand-in ends with the German heading, the settings, and a ready request body."""
    shown = run(str(EXAMPLES / "find_parameters.py"), "--demo", "--n-iter", "3").stdout.splitlines()
    assert shown[-2] == "Beste gefundene Parameter:"
    best = ast.literal_eval(shown[-1])
    assert best["params"].keys() == {"temperature", "top_p", "frequency_penalty", "presence_penalty", "top_k"}
    assert json.loads(Path("results/best.json").read_text(encoding="utf-8"))["body"]["max_tokens"] == 700


def test_sweep_prompts() -> None:
    """All eight pairs are ranked, the better prompt first, with their spread; the files and the page are there."""
    run(str(EXAMPLES / "sweep_prompts.py"), "--demo")
    rows = json.loads(Path("results/results.json").read_text(encoding="utf-8"))
    assert len(rows) == 8
    assert rows[0]["prompt"].startswith("Retell")
    assert all(row["n"] == 2 and row["spread"] is not None for row in rows)
    assert "<html" in Path("results/index.html").read_text(encoding="utf-8")


def test_distill_prompts(tmp_path) -> None:
    """Hard questions are improved, the training files written; a second start asks nothing and writes the same."""

    def answer(body, _):
        last = body["messages"][-1]["content"]
        if body["messages"][0]["role"] == "system":
            return f"<prompt>Please tell: {last.partition('>')[2].partition('<')[0].strip()}</prompt>"
        return last.partition("B) ")[2].partition("\n")[0] if last.startswith("Please") else "no idea"

    with ScriptedServer(answer) as server:
        environment = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "test", "LLM_OPTIMIZE_MODEL": "scripted"}
        first = run(str(EXAMPLES / "distill_prompts.py"), **environment).stdout
        asked = len(server.requests)
        assert (
            run(str(EXAMPLES / "distill_prompts.py"), **environment).stdout.splitlines()[-4:] == first.splitlines()[-4:]
        )
        assert len(server.requests) == asked == server.charged
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert all(row["messages"][-1]["content"].startswith("Please tell: ") for row in rows)
    assert "best: 2 improved, 4 kept as they were" in first


def test_document_qa() -> None:
    """Settings of document QA that were searched for find and answer more of the sealed questions than the start."""
    printed = run(str(EXAMPLES / "document_qa.py")).stdout
    shown = r"^{}: (\S+) at the start, (\S+) at the best \(\S+ 95 % \S+ to \S+; \d+ questions\)$"
    for name in ("hit@3", "f1"):
        start, best = re.search(shown.format(name), printed, re.MULTILINE).groups()
        assert float(best) > float(start)
