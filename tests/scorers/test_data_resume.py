"""A data set inside a study: killed and resumed it comes to the same scores at the same cost; budgets hold."""

from __future__ import annotations

import importlib.util
import random
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.warm import Session

from llm_optimize import Budget, History, MemoryStore, Minimize, ScriptedModel, SQLiteStore, llm, optimize
from llm_optimize.core.chat import Message, Request
from llm_optimize.scorers.dataset import SEEN, DatasetScorer
from llm_optimize.scorers.example import Example
from llm_optimize.scorers.racing import Racing
from llm_optimize.testing.server import ScriptedServer

SESSION = Path(__file__).parent.parent / "helpers" / "dataset_session.py"
SKILLS = (0.4, 0.1, 0.7, 0.5, 0.0, 0.75, 0.9, 0.2, 0.85)  # the share of words that each prompt gets right


def load_session():
    """Import the helper, to run a session in this process."""
    spec = importlib.util.spec_from_file_location("dataset_session", SESSION)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def served(latency=0.0):
    """Serve proposals in turn, and answers that are right for a share of the words that depends on the prompt."""
    proposals, lock = iter(range(1, len(SKILLS))), threading.Lock()

    def answer(body, index):
        if "Proposals, please." in body["messages"][0]["content"]:
            with lock:
                return f"```\n{next(proposals)}: {{{{word}}}}\n```"
        prompt, _, word = body["messages"][-1]["content"].strip().partition(": ")
        is_right = random.Random(word).random() < SKILLS[int(prompt)]
        return word.upper() if is_right else "no"

    with ScriptedServer(answer, latency=latency) as server:
        yield server


def outcomes(path):
    """Return (score, examples seen) of each trial as the log has them."""
    history = History.empty()
    with SQLiteStore(path) as store:
        for _, event in store.read("data"):
            history = history.after(event)
    return [(trial.score, trial.outcome.metrics[SEEN], trial.outcome.examples) for trial in history.trials]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a study comes to that nobody kills: outcomes, and what the server charged."""
    path = tmp_path_factory.mktemp("data") / "studies.db"
    with served() as server:
        load_session().main(str(path), server.url)
        return outcomes(path), server.counts()["charged"]


def test_racing_saves_calls_in_a_study(undisturbed) -> None:
    """Bad prompts see few examples, and the best is one that saw all."""
    rows, charged = undisturbed
    assert len(rows) == len(SKILLS)
    assert max(rows)[1:] == (30, max(rows)[2])
    assert min(seen for _, seen, _ in rows) == 3
    assert charged == sum(seen for _, seen, _ in rows) + len(SKILLS) - 1 < 30 * len(SKILLS)


def test_a_study_killed_in_the_middle_of_evaluations(undisturbed, tmp_path) -> None:
    """Whenever it is killed, the scores, the races and the calls that are charged are those of an undisturbed run."""
    path, draw = tmp_path / "studies.db", random.Random(6)
    kills = 0
    with served(latency=0.01) as server:
        for _ in range(5):
            process = Session(SESSION, path, server.url, errors=tmp_path / "errors")
            target = len(server.requests) + draw.randint(5, 22)
            while len(server.requests) < target and process.poll() is None:
                time.sleep(0.001)  # between two looks
            process.kill()
            process.wait(60)
            kills += process.returncode == -signal.SIGKILL
        last = Session(SESSION, path, server.url, errors=tmp_path / "errors")
        errors = last.wait(120)
        assert last.returncode == 0, errors
        charged = server.counts()["charged"]
    assert kills == 5
    assert (outcomes(path), charged) == undisturbed


@pytest.mark.parametrize(("tokens", "pending"), [(200, [0]), (1500, [])])
def test_a_budget_that_ends_in_the_middle(undisturbed, tmp_path, tokens, pending) -> None:
    """No cap is passed, a candidate half evaluated stays pending, and a resume pays only for what is missing."""
    path, session = tmp_path / "studies.db", load_session()
    with served() as server:
        result = session.main(str(path), server.url, Budget(tokens=tokens))
        assert "budget tokens" in result.reason
        assert 0 < server.tokens_in + server.tokens_out <= tokens
        assert result.usage.tokens == server.tokens_in + server.tokens_out
        assert [one.id for one in result.history.pending] == pending
        assert result.history.steps < session.STEPS
        resumed = session.main(str(path), server.url)
        assert (outcomes(path), server.counts()["charged"]) == undisturbed
        assert resumed.usage.tokens == server.tokens_in + server.tokens_out


def test_every_thread_spends_in_the_studys_name() -> None:
    """Calls of all threads are in the account, under their role; a race looks at the history it began from."""
    target = llm.connect(ScriptedModel(lambda request: request.messages[0].content), role="target")

    def run(text, example):
        return target.complete(Request((Message("user", f"{text} {example['n']}"),))).text

    def metric(output, example):
        return output.startswith("good")

    scorer = DatasetScorer(run, [Example({"n": n}) for n in range(40)], metric, racing=Racing(), parallel=4)
    model = ScriptedModel([f"```\n{word}\n```" for word in ("bad", "worse")])
    result = optimize.run("t", "q", scorer, x0="good", max_steps=2, model=model, store=MemoryStore(), verbose=False)
    assert [trial.outcome.metrics[SEEN] for trial in result.history.trials] == [40, 3, 3]
    assert result.account.by_role()["target"].calls == 46
    assert result.best.id == 0


def test_another_data_set_is_not_raced_against(tmp_path) -> None:
    """After the examples were changed between two sessions, the next candidate is scored on all of them."""

    def scorer(shift):
        examples = [Example({"n": n + shift}) for n in range(20)]
        return DatasetScorer(lambda text, example: float(text), examples, lambda output, _: output, racing=Racing())

    def session(shift, steps, *texts):
        model = ScriptedModel([f"```\n{text}\n```" for text in texts])
        return optimize.run(
            "t", "q", scorer(shift), x0="0.9", max_steps=steps, model=model, store=tmp_path / "s.db", study="data",
            verbose=False,
        )  # fmt: skip

    session(0, 1, "0.1")
    session(5, 3, "0.2", "0.15")
    assert [seen for _, seen, _ in outcomes(tmp_path / "s.db")] == [20, 3, 20, 3]


@pytest.mark.parametrize("sign", [1, -1])
def test_inside_another_scorer_nobody_is_raced(sign) -> None:
    """Where less is better, a candidate that is better for the study is not stopped for being lower."""
    examples = [Example({"n": n}) for n in range(20)]
    scorer = DatasetScorer(lambda text, example: float(text), examples, lambda output, _: output, racing=Racing())
    model = ScriptedModel([f"```\n{sign * 5 - 1}\n```", f"```\n{sign * 5 - 2}\n```"])
    result = optimize.run(
        "t", "q", Minimize(scorer), x0=str(sign * 5), max_steps=2, model=model, store=None, verbose=False
    )
    assert [trial.outcome.metrics[SEEN] for trial in result.history.trials] == [20, 20, 20]
    assert result.best.score == 2 - sign * 5


def test_asking_again_in_a_study_measures_all_examples() -> None:
    """A re-test of a candidate is no race: it is asked for by whoever wants to know it exactly."""
    examples = [Example({"n": n}) for n in range(30)]
    scorer = DatasetScorer(
        lambda text, example: float(len(text)) + random.Random(f"{text} {example['n']}").random(), examples,
        lambda output, _: output, racing=Racing(),
    )  # fmt: skip
    model = ScriptedModel([f"```\n{text}\n```" for text in ("aa", "ccc", "dd", "e")])
    result = optimize.run(
        "t", "q", scorer, x0="bb", max_steps=4, model=model, store=None, verbose=False, noise="auto", seed=1
    )
    fresh = [one for outcomes in result.history.fresh.values() for one in outcomes]
    assert fresh
    assert {one.metrics[SEEN] for one in fresh} == {30}
    assert result.best.text.strip() == "ccc"
