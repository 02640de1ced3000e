"""Parent policies in whole studies: killed and resumed, and asked by many threads at once."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_optimize import Evaluation, MaxSteps, MemoryStore, Problem, Study
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.parents.crossover import Crossover
from llm_optimize.proposers.parents.features import Feature
from llm_optimize.proposers.parents.islands import Islands
from llm_optimize.proposers.parents.pareto_front import ParetoFront
from llm_optimize.proposers.parents.restart import Restart
from llm_optimize.proposers.parents.softmax import Softmax
from llm_optimize.stores.sqlite import SQLiteStore
from llm_optimize.testing.proposer_contract import START, answer

POLICIES = {
    "front": ParetoFront,
    "islands": lambda: Islands(count=3, migrate_every=4, features=(Feature("size", 0, 1, bins=3),)),
    "restart": lambda: Restart(Softmax(), after=3),
    "crossover": lambda: Crossover(ParetoFront(), rate=0.5),
}


def score(text):
    """Return a score, example scores and a metric that depend on the text alone."""
    draw = random.Random(text.strip())
    examples = tuple(draw.random() for _ in range(5))
    return Evaluation(sum(examples) / 5, metrics={"size": draw.random()}, examples=examples)


def study(store, policy, steps):
    """Return a study whose model answers by the whole request, so that any other prompt leads to other candidates."""
    proposer = ChatProposer(ScriptedModel(answer), parent=policy)
    return Study(Problem("t", "q", START), proposer, score, store=store, stop=MaxSteps(steps), seed=6)


def summary(history):
    """Return what was proposed, and on what it was built."""
    return [(trial.text, trial.candidate.parent, trial.score) for trial in history.trials]


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_a_study_in_three_sessions_is_the_study_in_one(make, tmp_path):
    """Stopped twice and resumed from disk by fresh objects, it tries the same candidates with the same parents."""
    whole = study(MemoryStore(), make(), 30)
    whole.run()
    for steps in (7, 18, 30):
        with SQLiteStore(tmp_path / "studies.db") as store:
            session = study(store, make(), steps)
            session.run()
            parts = summary(session.history)
    assert parts == summary(whole.history)
    assert len(parts) == 31
    assert len({parent for _, parent, _ in parts}) > 3


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_many_threads_may_ask_one_policy(make):
    """Eight threads that hold different states of a study get what each would get alone."""
    whole = study(MemoryStore(), Softmax(), 60)
    whole.run()
    shared = make()
    states = [whole.history.as_of(told).assuming(0, told) for told in range(1, 61)] * 3
    random.Random(1).shuffle(states)
    alone = [[trial.id for trial in make().choose(state, 0)] for state in states]
    with ThreadPoolExecutor(8) as pool:
        together = [
            [trial.id for trial in chosen] for chosen in pool.map(lambda state: shared.choose(state, 0), states)
        ]
    assert together == alone
