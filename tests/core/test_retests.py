"""A candidate may be evaluated again: the log, the history that it folds into, budgets, and a killed run."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import Counter
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize import Budget, Draft, MaxSteps, MemoryStore, Problem, Proposal, SQLiteStore, Study
from llm_optimize.core.events import Opened, Proposed, Retold, Stopped, Told, dump, load
from llm_optimize.core.history import History
from llm_optimize.core.noise import Noise
from llm_optimize.core.types import Candidate, Evaluation, Failure, Usage

PROBLEM = Problem("task", "question", "0")


def told(*scores):
    """A history of so many candidates, each told once."""
    history = History.empty().after(Opened(PROBLEM))
    for number, score in enumerate(scores):
        candidate = Candidate(number, f"text {number}", origin="start" if number == 0 else "test")
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, Evaluation(score)))
    return history


def again(history, number, score, part="again"):
    """One more evaluation of a candidate."""
    return history.after(Retold(number, Evaluation(score), history.retold, part))


def test_a_score_is_the_mean_of_all_evaluations():
    """Number, mean and spread are those of all scores; the first outcome stays as it was."""
    history = again(again(told(1.0, 5.0), 1, 2.0), 1, 2.0)
    trial = history.trial(1)
    assert (trial.n, trial.score, trial.outcome.score) == (3, 3.0, 5.0)
    assert trial.spread == pytest.approx(3**0.5)
    assert history.sigma == pytest.approx(3**0.5)
    assert history.evaluations == 4
    assert history.retests == 2


def test_equal_scores_stay_as_they_are():
    """An int that repeats itself is the same int, and there is no noise."""
    history = again(told(3), 0, 3)
    assert history.trial(0).score == 3
    assert isinstance(history.trial(0).score, int)
    assert history.sigma == 0


def test_the_best_is_chosen_cautiously_where_scores_vary():
    """A single high score does not beat a mean of many that is hardly lower."""
    history = told(0.0, 10.0, 10.5)
    assert history.best.id == 2
    for score in (8.0, 12.0, 8.0, 12.0):
        history = again(history, 1, score)
    assert history.best.id == 1
    assert [trial.id for trial in history.top(3)] == [1, 2, 0]


def test_earlier_histories_do_not_see_later_tests():
    """A history is a value: what comes after it does not change it, and two that part ways do not mix."""
    before = told(1.0, 2.0)
    left, right = again(before, 0, 3.0), again(before, 1, 0.0)
    assert [trial.score for trial in before.trials] == [1.0, 2.0]
    assert [trial.score for trial in left.trials] == [2.0, 2.0]
    assert [trial.score for trial in right.trials] == [1.0, 1.0]
    assert before.sigma is None
    after = left.after(Proposed((Candidate(2, "new"),), slot=5)).after(Told(2, Evaluation(9.0)))
    assert [trial.score for trial in again(after, 2, 1.0).as_of(2).trials] == [2.0, 2.0]
    assert [trial.score for trial in after.as_of(1).trials] == [1.0]


def test_a_failure_on_a_second_look_is_counted_and_is_no_score():
    """The mean is that of the scores; the failure is on record."""
    history = told(4.0).after(Retold(0, Failure("raised", "no")))
    assert (history.trial(0).score, history.trial(0).n, history.trial(0).tally.failed) == (4.0, 1, 1)


def test_an_unknown_candidate_cannot_be_evaluated_again():
    """Such a log is damaged."""
    with pytest.raises(ValueError, match="never before"):
        told(1.0).after(Retold(7, Evaluation(1.0)))


def test_costs_of_all_evaluations_are_counted():
    """Usage and account hold what re-tests have cost, under the scorer."""
    usage = Usage(calls=1, tokens_in=10)
    history = (
        told(1.0).after(Retold(0, Evaluation(1.0, usage=usage), 0)).after(Retold(0, Evaluation(1.0, usage=usage), 1))
    )
    assert history.usage.tokens == 20
    assert history.account.by_role()["scorer"].calls == 2


def test_the_new_fact_survives_the_log(tmp_path):
    """What is written is read again, from memory and from SQLite; the table of costs knows it."""
    event = Retold(3, Evaluation(1.5, "well", {"m": 2.0}, (1.0, 2.0), Usage(2, 3)), 4, "sealed", 0.5, 7.0)
    failed = Retold(3, Failure("timeout", "late"), 5)
    assert load(*dump(event)) == event
    assert load(*dump(failed)) == failed
    with SQLiteStore(tmp_path / "s.db") as store:
        store.append("study", event)
        assert [one for _, one in store.read("study")] == [event]
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        assert connection.execute("SELECT calls, tokens_in FROM usage_by_study").fetchall() == [(2, 3)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 90), st.integers(0, 90))
def test_leaders_are_those_that_sorting_would_find(seed, trials, tests):
    """Whatever is told and tested again in whatever order, top(k) is what a sort of everything says."""
    dice = random.Random(seed)
    history, number = told(dice.gauss(0, 1)), 1
    for step in dice.sample([True] * trials + [False] * tests, trials + tests):
        if step:
            history = history.after(Proposed((Candidate(number, str(number)),), slot=number))
            history = history.after(Told(number, Evaluation(round(dice.gauss(0, 1), 1))))
            number += 1
        else:
            history = again(history, dice.randrange(number), dice.gauss(0, 1))
    sigma = history.sigma or 0.0
    order = sorted(history.trials, key=lambda one: (sigma / one.n**0.5 - one.score, one.id))
    known = min(len(order), 5)
    # Among hundreds of candidates only the 64 highest means and the 64 highest repeated ones are looked at.
    assert [one.id for one in history.top(known)] == [one.id for one in order[:known]]
    assert history.best.id == order[0].id


class Jumps:
    """A proposer whose drafts depend on the best so far and on the slot."""

    def propose(self, history, n):
        dice = random.Random(f"{history.seed} {history.slot}")
        return Proposal(tuple(Draft(f"{float(history.best.text) + dice.gauss(0, 1):.6f}") for _ in range(n)))


class Noisy:
    """Noise that depends on the text and on how often it was scored, as the log of the study counts it."""

    def __init__(self, dies_at=None):
        self.seen = Counter()
        self.dies_at = dies_at
        self.kept_here = threading.Lock()  # cannot be pickled, so every evaluation is made in this process

    def __call__(self, text):
        if sum(self.seen.values()) == self.dies_at:
            raise KeyboardInterrupt
        dice = random.Random(f"{text} {self.seen[text]}")
        self.seen[text] += 1
        return float(text) + dice.gauss(0, 1)


def facts(store):
    """What happened, without clocks and sessions."""
    events = [event for _, event in store.read("study") if not isinstance(event, Opened | Stopped)]
    return [
        (
            type(one).__name__,
            one.candidate_id,
            one.outcome.score,
            getattr(one, "serial", None),
            getattr(one, "part", ""),
        )
        if isinstance(one, Told | Retold)
        else (type(one).__name__, [candidate.text for candidate in one.candidates])
        for one in events
    ]


def run(store, scorer, **options):
    """One session of the study."""
    study = Study(
        PROBLEM, Jumps(), scorer, store=store, budget=Budget(evaluations=40), noise=Noise(fresh=4), seed=3, **options
    )
    return study.run(), study


def test_a_run_that_is_interrupted_anywhere_goes_on_as_if_it_had_not_been():
    """The same candidates, tests and scores in the same order, none lost and none twice."""
    whole = MemoryStore()
    run(whole, Noisy(), final=float)
    wanted = facts(whole)
    parts = Counter(fact[4] for fact in wanted if fact[0] == "Retold")
    assert parts["again"] > 5
    assert parts["fresh"] == 4 + 2
    assert parts["sealed"] == 2
    assert sum(fact[0] != "Proposed" for fact in wanted) == 40
    for dies_at in range(0, 38, 3):
        store, scorer = MemoryStore(), Noisy(dies_at)
        ending, _ = run(store, scorer, final=float)
        assert ending.interrupted
        scorer.dies_at = None
        run(store, scorer, final=float)
        assert facts(store) == wanted


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_budget_of_evaluations_holds_with_tests_and_the_end(parallel):
    """Repeats, tests of leaders, fresh and sealed evaluations are all inside the cap, and it is used up."""
    calls = []

    def score(text):
        calls.append(text)
        return float(text) + random.Random(len(calls)).gauss(0, 1)

    def sealed(text):
        calls.append(text)
        return float(text)

    _, study = run(MemoryStore(), score, final=sealed, parallel=parallel)
    assert len(calls) == study.history.evaluations == 40
    assert len(study.history.sealed) == 2


def test_steps_count_proposals_only():
    """MaxSteps means what it did: so many proposals, whatever is tested again."""
    study = Study(PROBLEM, Jumps(), Noisy(), store=MemoryStore(), stop=MaxSteps(20), noise=Noise())
    study.run()
    assert len(study.history.trials) == 21
    assert study.history.retests >= 8
