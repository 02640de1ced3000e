"""OPRO's procedure: what is asked, what is counted, and the one command that prints the tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench_opro import Who, regression, run, salesman
from opro import Begun, Opro
from opro_standins import RATES, line, standin, tour
from opro_tables import REGRESSION_PAPER, TSP_PAPER, mean_and
from tasks import tsp

from llm_optimize import Candidate, History, Message, NumericProposer, Request, ScriptedModel, Trial
from llm_optimize.errors import ModelUnavailable
from llm_optimize.testing.server import ScriptedServer

BENCH = Path(__file__).parent / "bench_opro.py"


def ran(one, model, steps=50):
    return run(one, Begun(one.starts, one.opro(model)), 0, steps)


def test_a_step_is_eight_calls_with_one_prompt_and_is_evaluated_to_its_end():
    """The true pair as the first reply ends the run after its step; all eight replies count, and the five starts."""
    model = ScriptedModel(["[2, 30]", *(f"[1, {b}]" for b in range(7))])
    done = ran(regression(2, 30, 0), model)
    assert (done.steps, done.unique, done.found, done.gap) == (1, 5 + 8, True, 0)
    assert len({request.messages for request in model.requests}) == 1
    assert [request.key for request in model.requests] == [f"opro-{index}" for index in range(8)]
    assert model.requests[0].settings == {"temperature": 1.0, "max_tokens": 1024}
    assert done.usage.calls == 8


def test_invalid_and_repeated_replies_are_counted_and_cost_no_evaluation():
    """Prose, a refusal in words and a shown pair are told apart from what was new; the steps go on."""
    first = ["I cannot.", "", "[18, 15]", "[18.2, 15]", "[3, 3]", "(3, 3)", "w=4, b=4", "[5, 5]"]
    done = ran(regression(2, 30, 0), ScriptedModel([*first, *["[2, 30]"] * 8]))
    assert (done.steps, done.unique, done.invalid, done.repeated) == (2, 5 + 3 + 1, 2, 3 + 7)


def test_a_run_without_any_candidate_uses_up_its_steps():
    """Steps that bring nothing count as steps, as in the paper, and end neither early nor never."""
    done = ran(regression(2, 30, 0), ScriptedModel(lambda _: "I do not know."), steps=7)
    assert (done.steps, done.unique, done.found, done.invalid) == (7, 5, False, 56)


def test_a_failing_endpoint_loses_no_reply_that_came():
    """An error after the first reply keeps what came before it; an error at the first one is the caller's."""
    one = regression(2, 30, 0)
    some = one.opro(ScriptedModel(["[1, 1]", ModelUnavailable("gone")]))
    history_free = Opro(ScriptedModel([ModelUnavailable("gone")]), some.prompt, some.read, 20)
    assert [draft.text for draft in some.propose(History.empty(), 8).drafts] == ["w=1, b=1"]
    with pytest.raises(ModelUnavailable):
        history_free.propose(History.empty(), 8)


def test_an_engine_alone_finds_the_line_that_took_models_more_than_a_hundred_pairs():
    """The Gaussian process needs fewer pairs for w=36, b=-1 than the 116 of the paper's best model, starts included."""
    one = regression(36, -1, 0)
    done = run(one, Begun(one.starts, NumericProposer(one.tune, "gp")), 0, 20)
    assert done.found
    assert done.unique < 116
    assert done.usage.calls == 0


@pytest.mark.parametrize("engine", [None, "random"])
def test_a_stand_in_gets_better_than_its_starts(engine):
    """Alone and mixed with an engine, on a line and on a tour, the stand-in improves what it is shown."""
    who = Who(lambda seed, answer: standin(answer, seed), engine, "paper")
    for one, answer in ((regression(2, 30, 0), line), (salesman(10, 0, keys=engine is not None), tour)):
        start = min((one.goal - one.score(text).score) / abs(one.goal) for text in one.starts)
        assert run(one, who.proposer(one, 0, answer), 0, 6).gap < start


def test_the_same_seed_repeats_a_run():
    """Two runs with the same seed are equal in every count, and one with another seed is not."""
    one = salesman(10, 1, keys=False)
    first, again, other = (ran(one, standin(tour, seed), steps=4) for seed in (1, 1, 2))
    assert (first.gap, first.usage.tokens, first.repeated) == (again.gap, again.usage.tokens, again.repeated)
    assert (first.gap, first.usage.tokens) != (other.gap, other.usage.tokens)


def test_the_stand_ins_fail_at_the_stated_rates():
    """Of 4,000 replies the shares that decline, say nothing, repeat and leave a point out are those stated."""
    one = tsp.instance(10, 0)
    prompt = one.prompt([trial(index, tsp.written(start), one) for index, start in enumerate(one.starts)])
    model = standin(tour, 3)
    replies = [model.complete(Request((Message("user", prompt),), key="a")).text for _ in range(4000)]
    traces = [tsp.read_trace(reply, 10) if "<trace>" in reply else () for reply in replies]
    shares = {
        "declines": sum("cannot help" in reply for reply in replies),
        "says nothing": sum("should be close" in reply for reply in replies),
        "repeats": sum(reply.startswith("<trace>") for reply in replies),
        "leaves one out": traces.count(None),
    }
    for name, count in shares.items():
        assert count / 4000 == pytest.approx(RATES[name], abs=0.01)


def trial(index, text, score):
    return Trial(Candidate(index, text), score(text))


def test_one_command_asks_a_real_endpoint_and_prints_the_papers_table_beside_the_run():
    """Over HTTP: the paper's figures, then steps, pairs, calls and tokens of the run."""
    with ScriptedServer(lambda body, index: "[15, 14]") as server:
        flags = ("--task", "regression", "--quick", "--temperature", "0.5", "--shown", "3")
        shown = command("--model", f"{server.url}#scripted", *flags)
        asked = server.requests[-1].body
    assert (asked["temperature"], asked["messages"][0]["content"].count("value:")) == (0.5, 3)
    assert "w, b = 15, 14" in shown
    assert " | ".join(f"{cell:>13}" for cell in REGRESSION_PAPER[15, 14][:3]) in shown
    assert "steps    1.0 +- 0.0   found 2 of 2" in shown
    assert "pairs    6.0 +- 0.0       8.0 calls" in shown
    assert "STAND-IN" not in shown


def test_our_own_prompt_runs_in_the_same_table():
    """With --prompt ours the package's chat proposer asks, and its candidates are counted in the same way."""
    with ScriptedServer(lambda body, index: "So:\n```\nw=15, b=14\n```") as server:
        shown = command("--model", f"{server.url}#scripted", "--prompt", "ours", "--task", "regression", "--quick")
    assert "found 2 of 2" in shown


def test_the_stand_in_says_that_it_is_none():
    """A table made by a function says so in its first line, with the rates at which it fails."""
    shown = command("--task", "tsp", "--quick")
    assert shown.startswith("Proposals by a STAND-IN, no language model")
    assert "declines 3%" in shown
    assert f"NN {TSP_PAPER[10][0]}, FI {TSP_PAPER[10][1]}" in shown
    assert mean_and([1.0, 3.0], error=True) == "2.0 +- 1.0"


def command(*words):
    done = subprocess.run(
        [sys.executable, str(BENCH), *words], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
