"""Where the loop is the user's, ``ask`` hands out what the noise policy wants to see again, and ``tell`` joins it."""

from __future__ import annotations

import random

import pytest

from llm_optimize import Draft, MaxSteps, MemoryStore, Problem, Proposal, SQLiteStore, Study
from llm_optimize.core.events import Proposed, Retold, Told
from llm_optimize.core.noise import Noise
from llm_optimize.errors import BadInput


class Walk:
    """A proposer that moves the best number a little."""

    def propose(self, history, n):
        dice = random.Random(f"{history.seed} {history.slot}")
        return Proposal(tuple(Draft(f"{float(history.best.text) + dice.gauss(0, 1):.4f}") for _ in range(n)))


class Noisy:
    """The number with noise; what the n-th evaluation brings does not depend on what is evaluated."""

    def __init__(self, sigma=1.0):
        self.sigma = sigma
        self.count = 0

    def __call__(self, text):
        self.count += 1
        return float(text) + self.sigma * random.Random(f"noise {self.count}").gauss(0, 1)


def study(store, scorer=len, noise="auto", **options):
    """Return a study of a walk from 0."""
    return Study(Problem("t", "q", "0"), Walk(), scorer, store=store, noise=noise, **options)


def drive(one, scorer, steps):
    """Make the loop: ask for one, tell it, until so many proposals are told; then the end."""
    while one.history.steps < steps or one.history.pending:
        for candidate in one.ask():
            one.tell(candidate, scorer(candidate.text))
    while handed := one.ask(ending=True):
        for candidate in handed:
            one.tell(candidate, scorer(candidate.text))


def log(store):
    """Return what a log says, without times and the sessions' ends."""
    rows = []
    for _, event in store.read("study"):
        match event:
            case Proposed():
                rows.append(("proposed", *(one.text for one in event.candidates)))
            case Told():
                rows.append(("told", event.candidate_id, event.outcome.score))
            case Retold():
                rows.append((event.part, event.serial, event.candidate_id, event.outcome.score))
    return rows


def test_a_loop_of_ones_own_does_what_run_does():
    """The same is proposed, evaluated, evaluated again and afresh, in the same order, with the same result."""
    ours, theirs = MemoryStore(), MemoryStore()
    one = study(ours)
    drive(one, Noisy(), 12)
    other = study(theirs, Noisy(), stop=MaxSteps(12))
    other.run()
    # run() makes the first evaluation afresh in a process of its own, so what those score is not compared.
    assert _unscored(log(ours)) == _unscored(log(theirs))
    assert {row[0] for row in log(ours)} == {"proposed", "told", "again", "fresh"}
    assert one.history.best.id == other.last.best.id


def _unscored(rows):
    return [row[:3] if row[0] == "fresh" else row for row in rows]


def test_several_at_a_time_may_hold_one_candidate_twice():
    """The start is wanted three times in all: a batch has it twice, each is told once, no more are taken."""
    one = study(MemoryStore(), noise=Noise(repeats=4, share=0.0))
    [start] = one.ask()
    one.tell(start, 1.0)
    [again] = one.ask()
    one.tell(again, 2.0)
    batch = one.ask(3)
    assert [candidate.id for candidate in batch] == [0, 0, 1]
    for candidate in batch[:2]:
        one.tell(candidate, 3.0)
    assert one.history.trial(0).n == 4
    assert one.history.trial(0).score == pytest.approx(9 / 4)
    with pytest.raises(BadInput, match="tell each one once"):
        one.tell(0, 3.0)
    one.tell(1, 1.0)
    assert one.history.retests == 3


def test_nothing_comes_back_unless_the_policy_wants_it():
    """Without noise= nobody is evaluated twice; a scorer that repeats itself costs one more evaluation of the start."""
    for noise, expected in ((None, [0, 1, 2, 3]), ("auto", [0, 0, 1, 2])):
        one, seen = study(MemoryStore(), noise=noise), []
        for _ in range(4):
            [candidate] = one.ask()
            seen.append(candidate.id)
            one.tell(candidate, float(candidate.text))
        assert seen == expected
        ended = one.ask(ending=True)
        assert [candidate.id for candidate in ended] == ([] if noise is None else [one.history.best.id])


def test_pending_candidates_come_before_the_end():
    """A candidate that was proposed and never told is evaluated before anyone is evaluated afresh."""
    store = MemoryStore()
    with study(store) as one:
        [start] = one.ask()
        one.tell(start, 0.0)
        one.tell(one.ask()[0], 1.0)
        [lost] = one.ask()
    with study(store) as one:
        assert one.ask(ending=True) == [lost]


@pytest.mark.parametrize("stops", [(1, 2, 3, 5), (4, 9, 14), (7, 12)])
def test_a_resumed_loop_goes_on_as_one_that_never_stopped(tmp_path, stops):
    """What was handed out and not told when the process ended is handed out again; the log is that of a whole run."""
    whole = MemoryStore()
    drive(study(whole), Noisy(), 10)
    path, scorer, told = tmp_path / "s.db", Noisy(), 0
    for stop in stops:
        with SQLiteStore(path) as store, study(store) as one:
            while told < stop:
                [candidate] = one.ask()
                one.tell(candidate, scorer(candidate.text))
                told += 1
            one.ask()  # handed out, and lost with the session
    with SQLiteStore(path) as store:
        with study(store) as one:
            drive(one, scorer, 10)
        assert log(store) == log(whole)


def test_one_of_an_earlier_session_cannot_be_told_again():
    """After a resume the study does not wait for it: it has to be asked for."""
    store = MemoryStore()
    with study(store) as one:
        one.tell(one.ask()[0], 0.0)
        [again] = one.ask()
        assert again.id == 0
    with study(store) as one:
        with pytest.raises(BadInput, match="candidate 0 is not pending"):
            one.tell(again, 1.0)
        assert one.ask() == [again]
        one.tell(again, 1.0)
        assert one.history.trial(0).n == 2
