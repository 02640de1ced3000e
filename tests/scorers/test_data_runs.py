"""Whole optimizations on the fixtures: MMLU, Alpaca and HumanEval, with a scripted proposer and a scripted target.

The target is a server; what it answers depends on what the prompt asks for, so a better prompt really scores higher.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_optimize import Failure, Sandbox, ScriptedModel, optimize
from llm_optimize.scorers.answers import ExactAnswer
from llm_optimize.scorers.choice import MultipleChoice
from llm_optimize.scorers.code_tests import from_humaneval
from llm_optimize.scorers.dataset import SEEN
from llm_optimize.scorers.loaders import CHOICES, read_alpaca, read_humaneval, read_mmlu
from llm_optimize.scorers.prompt_task import PromptTask
from llm_optimize.scorers.racing import FixedGate, Racing
from llm_optimize.scorers.splits import split
from llm_optimize.testing.server import ScriptedServer

FIXTURES = Path(__file__).parent.parent / "fixtures"


def find(examples, said, field):
    """Return the example that a prompt is about: the one whose field stands last in it."""
    return max(examples, key=lambda one: said.rfind(one[field]))


def optimized(task, proposals, sealed, steps=None):
    """Run a whole optimization with these proposals and the verdict on sealed examples."""
    model = ScriptedModel([f"```\n{text}\n```" for text in proposals])
    return optimize.run(
        task.description, "Better?", task, x0=task.start, max_steps=steps or len(proposals), model=model, store=None,
        verbose=False, final=task.on(sealed.open()),
    )  # fmt: skip


def test_mmlu() -> None:
    """The prompt that asks for a letter wins; the verdict rests on sealed questions; the calls are the target's."""
    examples = read_mmlu(FIXTURES / "mmlu.csv")
    parts = split(examples, train=0, validation=0.6, sealed=0.4, seed=2)

    def answer(body, index):
        said = body["messages"][-1]["content"]
        one = find(examples, said, "question")
        return f"The answer is {one.expected}." if "letter" in said else "I had rather not say."

    def metric(output, example):
        return MultipleChoice(example.expected, [example[letter] for letter in CHOICES])(output)

    template = "{{question}}\n" + "\n".join(f"{letter}. {{{{{letter}}}}}" for letter in CHOICES)
    with ScriptedServer(answer) as server:
        task = PromptTask(template, f"{server.url}#scripted", parts.validation, metric, racing=Racing(), parallel=4)
        result = optimized(
            task,
            [f"Please.\n{template}", "Which letter is right?", f"{template}\nAnswer with the letter."],
            parts.sealed,
            steps=2,
        )
        charged = server.charged
    assert (result.best.id, result.best.score, result.history.trial(0).score) == (2, 1.0, 0.0)
    assert all("{{question}}" in trial.text for trial in result.history.trials)  # the other was asked for again
    assert result.best.outcome.metrics["answered"] == 1.0
    assert result.gain.basis == f"{len(parts.sealed)} sealed examples"
    assert result.gain.low > 0
    assert charged == result.account.by_role()["target"].calls
    assert charged == 3 * len(parts.validation) + 2 * len(parts.sealed)


def test_alpaca() -> None:
    """A plain answer beats a chatty one at the fixed gate; a prompt that is no better sees the minibatch only."""
    examples = read_alpaca(FIXTURES / "alpaca.json")
    parts = split(examples, train=0, validation=0.6, sealed=0.4, seed=1)

    def answer(body, index):
        said = body["messages"][-1]["content"]
        one = max(examples, key=lambda one: f"{one['instruction']}\n{one['input']}" in said)
        return one.expected if body["messages"][0]["content"] == "Be brief." else f"Sure! It is {one.expected}."

    def metric(output, example):
        return ExactAnswer(example.expected, case=False)(output)

    template = "{{instruction}}\n{{input}}"
    with ScriptedServer(answer) as server:
        task = PromptTask(template, f"{server.url}#scripted", parts.validation, metric, racing=FixedGate(6), parallel=4)
        proposals = [f"[system]\nBe nice.\n[user]\n{template}", f"[system]\nBe brief.\n[user]\n{template}"]
        result = optimized(task, proposals, parts.sealed)
    trials = [result.history.trial(id_).outcome for id_ in range(3)]
    assert [one.score for one in trials] == [0.0, pytest.approx(0.0, abs=1e-9), 1.0]
    assert [one.metrics[SEEN] for one in trials] == [len(parts.validation), 6, len(parts.validation)]
    assert result.best.id == 2
    assert "Sure! It is" in trials[0].feedback
    assert "expected:" not in trials[0].feedback
    assert str(result.gain).startswith("gain 1")


def test_humaneval() -> None:
    """Code is run against hidden tests in the sandbox; the prompt that asks for code alone wins."""
    examples = read_humaneval(FIXTURES / "humaneval.jsonl")
    parts = split(examples, train=0, validation=0.6, sealed=0.4, seed=0)

    def answer(body, index):
        said = body["messages"][-1]["content"]
        one = find(examples, said, "prompt")
        if "code alone" in said:
            return one.expected["canonical_solution"]
        return "    return None\n" if "something" in said else "Here is the code that you asked for."

    template = "{{prompt}}"
    with Sandbox() as box, ScriptedServer(answer) as server:

        def metric(output, example):
            return from_humaneval({**example.inputs, **example.expected}, reveal=False, box=box)(output)

        task = PromptTask(template, f"{server.url}#scripted", parts.validation, metric, parallel=2)
        result = optimized(task, [f"Do something.\n{template}", f"Answer in code alone.\n{template}"], parts.sealed)
    assert [one.score for one in result.history.trials] == [0.0, 0.0, 1.0]
    assert result.best.outcome.metrics["passed"] == 1.0
    assert sorted(result.history.sealed) == [0, 2]
    assert result.history.sealed[2].score == 1.0
    shown = result.history.trial(1).feedback
    assert not any(one.expected["canonical_solution"].strip() in shown for one in examples)
    assert not isinstance(result.history.trial(0).outcome, Failure)


def test_every_solution_of_the_fixture_passes_its_own_tests() -> None:
    """The fixture is right: each canonical solution passes, and an empty body does not."""
    with Sandbox() as box:
        for one in read_humaneval(FIXTURES / "humaneval.jsonl"):
            scorer = from_humaneval({**one.inputs, **one.expected}, box=box)
            assert scorer(one.expected["canonical_solution"]).score == 1.0
            assert scorer("    pass\n").score < 1.0
