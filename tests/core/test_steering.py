"""A run steered by hand through its log: paused and continued, stopped, given more; any process may append the word."""

from __future__ import annotations

import pytest

from llm_optimize import Budget, Draft, MaxSteps, MemoryStore, Problem, Proposal, SQLiteStore, Study
from llm_optimize.core.deciding import checked
from llm_optimize.core.events import Guided, Proposed, dump, load
from llm_optimize.core.hand import Hand, read_cap, said
from llm_optimize.core.history import History
from llm_optimize.core.ledger import Ledger, UnitGuard
from llm_optimize.core.noise import Noise
from llm_optimize.core.order import Order
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, BudgetExceeded


class Longer:
    def propose(self, history, n):
        return Proposal((Draft(f"{history.problem.start}{'!' * (history.slot + 1)}"),))


def speaking(store, words):
    """Return a scorer that appends words to the log of ``study`` while it scores the candidate of that length."""

    def score(text):
        if len(text) in words:
            store.append("study", words[len(text)])
        return len(text)

    return score


def kinds(store):
    """Return what happened, in order."""
    return [event.act if isinstance(event, Guided) else type(event).__name__ for _, event in store.read("study")]


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_study_stops_when_somebody_says_so(parallel, tmp_path):
    """What is in flight comes in, nothing is begun; the reason says whose decision it was."""
    store = SQLiteStore(tmp_path / "s.db")
    study = Study(Problem("be long", start="x"), Longer(), speaking(store, {3: Guided("", act="stop")}), store=store,
        stop=MaxSteps(50), parallel=parallel)  # fmt: skip
    assert study.run().reason == "stopped by hand"
    assert 3 <= len(study.history.trials) <= 3 + parallel
    assert len(study.history.pending) < parallel


def test_a_resume_forgets_a_stop_and_a_pause_and_keeps_a_raised_cap(tmp_path):
    """The next session runs, up to the cap as it was raised."""
    store = SQLiteStore(tmp_path / "s.db")
    words = {2: Guided("steps=5", act="raise"), 3: Guided("", act="stop")}
    Study(Problem("be long", start="x"), Longer(), speaking(store, words), store=store, stop=MaxSteps(3)).run()
    study = Study(Problem("be long", start="x"), Longer(), len, store=store, stop=MaxSteps(3))
    assert study.run().reason == "max_steps: 5 steps are done"
    assert study.history.steps == 5
    assert not study.history.hand.stopped


@pytest.mark.parametrize("noise", [None, Noise()])
@pytest.mark.parametrize("parallel", [1, 2])
def test_a_paused_study_begins_nothing_until_it_is_continued(parallel, noise, tmp_path):
    """Between the pause, once what was in flight has come in, and the word to go on lies nothing but that word."""
    store = SQLiteStore(tmp_path / "s.db")

    def watch(event):
        if isinstance(event, Guided) and event.act == "pause":
            store.append("study", Guided("", act="continue"))  # seen at the next look, not before

    study = Study(Problem("be long", start="x"), Longer(), speaking(store, {3: Guided("", act="pause")}), store=store,
        stop=MaxSteps(6), parallel=parallel, observers=[watch], noise=noise)  # fmt: skip
    assert study.run().reason == "max_steps: 6 steps are done"
    happened = kinds(store)
    assert "pause" in happened[: happened.index("continue")]
    assert not study.history.hand.paused
    assert len(study.history.trials) == 7


def test_nothing_is_begun_while_a_study_is_paused(tmp_path):
    """However long it is paused: its proposer is not asked again before the word to go on is in the log."""
    store = SQLiteStore(tmp_path / "s.db")
    asked = []

    class Asked(Longer):
        def propose(self, history, n):
            asked.append([kind for kind in kinds(store) if kind in ("pause", "continue")])
            return super().propose(history, n)

    looks = []

    def patience(history):
        if history.hand.paused:
            looks.append(history)
            if len(looks) == 6:
                store.append("study", Guided("", act="continue"))

    study = Study(Problem("be long", start="x"), Asked(), speaking(store, {3: Guided("", act="pause")}), store=store,
        stop=MaxSteps(4) | patience)  # fmt: skip
    study.run()
    assert asked == [[], [], ["pause", "continue"], ["pause", "continue"]]


def test_a_stop_ends_a_pause(tmp_path):
    """A paused run that is stopped ends at once."""
    store = SQLiteStore(tmp_path / "s.db")
    observed = []

    def watch(event):
        if isinstance(event, Guided) and event.act == "pause":
            observed.append(store.append("study", Guided("", act="stop")))

    study = Study(Problem("be long", start="x"), Longer(), speaking(store, {2: Guided("", act="pause")}), store=store,
        stop=MaxSteps(6), observers=[watch])  # fmt: skip
    assert study.run().reason == "stopped by hand"
    assert len(study.history.trials) == 2


def test_a_cap_on_evaluations_can_be_raised_while_the_study_runs():
    """The run goes on to the new cap; a lower one changes nothing, and one that was not set is not made."""
    store = MemoryStore()
    words = {2: Guided("evaluations=6", act="raise"), 3: Guided("evaluations=1", act="raise"),
        4: Guided("tokens=1", act="raise")}  # fmt: skip
    study = Study(
        Problem("be long", start="x"), Longer(), speaking(store, words), store=store, budget=Budget(evaluations=3)
    )
    assert study.run().reason == "budget evaluations: 6 of 6 used"
    assert study.budget.raised(study.history) == Budget(evaluations=6)


def test_a_call_that_was_refused_fits_once_the_cap_is_raised():
    """The ledger takes the new cap over."""
    ledger = Ledger(Budget(tokens=100))
    guard = UnitGuard(ledger, "proposal/0")
    with pytest.raises(BudgetExceeded):
        guard.reserve(Usage(tokens_in=150))
    ledger.cap(Budget(tokens=200))
    assert guard.reserve(Usage(tokens_in=150)).tokens == 150


def test_a_repeated_run_goes_the_same_way(tmp_path):
    """Pauses, raised caps and the stop of an earlier run are repeated where they came, and the repetition ends."""
    store, again = SQLiteStore(tmp_path / "a.db"), SQLiteStore(tmp_path / "b.db")
    words = {2: Guided("steps=9", act="raise"), 4: Guided("", act="stop")}
    Study(Problem("be long", start="x"), Longer(), speaking(store, words), store=store, stop=MaxSteps(2)).run()
    events = [event for _, event in store.read("study")]
    order = Order.of(events, {event.slot: 0 for event in events if isinstance(event, Proposed) and event.slot >= 0})
    study = Study(Problem("be long", start="x"), Longer(), len, store=again, stop=MaxSteps(2), order=order)
    assert study.run().reason == "stopped by hand"
    assert [kind for kind in kinds(again) if kind != "Opened"] == [kind for kind in kinds(store) if kind != "Opened"]


@pytest.mark.parametrize(
    "text", ["", "steps", "steps=", "steps=-1", "steps=0", "steps=inf", "steps=nan", "=3", "patience=3"]
)
def test_what_names_no_cap_is_refused(text):
    """One line that says what can be raised; an event of that kind in a log changes nothing."""
    assert read_cap(text) is None
    with pytest.raises(BadInput, match="raises no cap: give one of steps, evaluations"):
        checked(History.empty(), Guided(text, act="raise"))
    assert Hand().after(Guided(text, act="raise")) == Hand()


@pytest.mark.parametrize("act", ["pause", "continue", "stop", "raise"])
def test_steering_survives_the_log_and_is_said_in_a_sentence(act):
    """Written and read it is the same event, and people read what was done, not a code."""
    event = Guided("tokens=5" if act == "raise" else "", 1.0, act)
    assert load(*dump(event)) == event
    assert said(event).endswith(("by hand", "tokens=5"))
