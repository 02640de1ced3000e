"""The numeric proposer, driven by hand: propose, tell, and again."""

from __future__ import annotations

import math

import pytest

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.errors import BadInput
from llm_optimize.proposers.engines import ENGINES
from llm_optimize.proposers.numeric import NumericProposer
from llm_optimize.text.tunables import Box, find

PROGRAM = "C = 1.0  # tune: C=0.01..100 log\nk = 5  # tune: k=1..20\n"


def opened(start, seed=0):
    problem = Problem("task", "question", start)
    return History.empty().after(Opened(problem, seed)).after(Proposed((Candidate(0, start, origin="start"),)))


def told(history, outcome, which=0):
    outcome = outcome if isinstance(outcome, Failure) else Evaluation(outcome)
    return history.after(Told(history.pending[which].id, outcome))


def proposed(history, proposal):
    drafts = enumerate(proposal.drafts, start=history.next_id)
    candidates = tuple(Candidate(i, one.text, one.idea, one.origin, one.parent) for i, one in drafts)
    slot = history.free_slots(1)[0]
    return history.after(Proposed(candidates, proposal.usage, slot, proposal.note))


def asked(history, proposer, n=1):
    return proposer.propose(history.assuming(0, history.free_slots(1)[0]), n)


def run(proposer, score, start, evaluations, seed=0):
    history = told(opened(start, seed), score(start))
    for _ in range(evaluations - 1):
        proposal = asked(history, proposer)
        if not proposal.drafts:
            break
        history = proposed(history, proposal)
        history = told(history, score(history.pending[0].text))
    return history


def bowl(text):
    x, y = (float(part) for part in text.strip("[]").split(","))
    return -((x - 3.3) ** 2) - (y + 6.1) ** 2


def program_score(text):
    values = {}
    exec(text, values)
    return -((math.log10(values["C"]) - 1.2) ** 2) - 0.1 * abs(values["k"] - 13)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_improves_on_the_start(engine):
    """Every engine finds something better than a poor start within 25 evaluations."""
    history = run(NumericProposer(Box(-10, 10), engine), bowl, "[8, 8]", 25)
    assert len(history.trials) == 25
    assert history.best.score > history.trials[0].score / 4


def test_default_engine_comes_close_to_the_optimum_in_40_evaluations():
    """With the extras installed the default reaches a shifted bowl's optimum closely."""
    history = run(NumericProposer(Box(-10, 10)), bowl, "[8, 8]", 40)
    assert history.best.score > -1e-3
    assert history.best.candidate.origin == "numeric:gp"


def test_marked_program_is_tuned_in_its_own_terms():
    """Whole numbers stay whole, logarithmic ranges are obeyed, everything else stays as it was."""
    history = run(NumericProposer(), program_score, PROGRAM, 30)
    assert history.best.score > -0.02
    values = {}
    exec(history.best.text, values)
    assert values["k"] == 13
    assert isinstance(values["k"], int)
    assert all(trial.text.count("# tune:") == 2 for trial in history.trials)


def test_draft_tells_its_idea_its_origin_and_its_parent():
    """A draft says what changed against the best trial, by which engine, and names that trial."""
    history = told(opened(PROGRAM), 1.0)
    draft = asked(history, NumericProposer()).drafts[0]
    assert draft.origin == "numeric:gp"
    assert draft.parent == 0
    assert draft.idea.startswith(("C 1 -> ", "k 5 -> "))


def test_same_history_same_drafts():
    """Proposing is a function of the history: a new instance, and one that has seen later trials, agree."""
    proposer = NumericProposer(Box(-10, 10))
    history = run(proposer, bowl, "[8, 8]", 12)
    shorter = told(opened("[8, 8]"), bowl("[8, 8]"))
    for event in range(5):
        candidate = history.trials[event + 1].candidate
        shorter = shorter.after(Proposed((candidate,), slot=event)).after(
            Told(candidate.id, history.trials[event + 1].outcome)
        )
    assert asked(shorter, proposer) == asked(shorter, NumericProposer(Box(-10, 10)))
    assert asked(shorter, proposer).drafts[0].text == history.trials[6].text


def test_earlier_view_of_the_same_record_is_not_told_the_future():
    """A history that is a prefix of one already seen gives what it gave before."""
    proposer = NumericProposer(Box(-10, 10))
    early = run(proposer, bowl, "[8, 8]", 9)
    first = asked(early, proposer)
    late = told(proposed(early, first), -0.5)
    asked(late, proposer)
    assert asked(early, proposer) == first


def test_several_drafts_differ_and_keep_away_from_pending_ones():
    """Drafts of one proposal, and those under evaluation, are different points."""
    proposer = NumericProposer(Box(-10, 10))
    history = run(proposer, bowl, "[8, 8]", 12)
    history = proposed(history, asked(history, proposer, 3))
    again = asked(history, proposer, 3)
    texts = [candidate.text for candidate in history.pending] + [draft.text for draft in again.drafts]
    assert len(set(texts)) == 6


@pytest.mark.parametrize("engine", ENGINES)
def test_small_grid_is_tried_to_the_last_combination(engine):
    """No combination is tried twice, all are tried, and then the proposal says so."""
    start = "k = 2  # tune: k=1..4\nmode = 'a'  # tune: mode=a|b|c\n"
    history = run(NumericProposer(engine=engine), lambda text: len(text) % 7, start, 50)
    assert len({trial.text for trial in history.trials}) == len(history.trials) == 12
    proposal = asked(history, NumericProposer(engine=engine))
    assert proposal.drafts == ()
    assert "every combination" in proposal.note


def test_best_structure_is_tuned_and_not_the_latest():
    """Among structures the one with the best trial is tuned; a structure without numbers is passed over."""
    history = told(opened("a = 1.0  # tune: a=0..9"), 5.0)
    for text, score in (("b = 1.0  # tune: b=0..9", 3.0), ("nothing here", 9.0)):
        history = history.after(Proposed((Candidate(history.next_id, text, origin="chat:m"),), slot=history.next_id))
        history = told(history, score)
    draft = asked(history, NumericProposer()).drafts[0]
    assert draft.text.startswith("a = ")
    assert draft.parent == 0


def test_failures_are_turned_away_from():
    """A region that fails is not where the engine keeps going, and nothing breaks when everything has failed."""

    def score(text):
        x = float(text.strip("[]"))
        return Failure("raised", "x is negative") if x < 0 else -abs(x - 2)

    history = run(NumericProposer(Box(-10, 10)), score, "[8]", 30)
    assert history.best.score > -0.05
    assert sum(trial.score is None for trial in history.trials) < 12
    failed = run(NumericProposer(Box(-10, 10)), lambda _: Failure("raised", "no"), "[8]", 12)
    assert len(failed.trials) == 12


def test_equal_scores_do_not_stop_the_search():
    """A flat function is searched on, with distinct points."""
    history = run(NumericProposer(Box(-10, 10)), lambda _: 1, "[8, 8]", 20)
    assert len({trial.text for trial in history.trials}) == 20


def test_huge_scores_and_huge_ranges_are_survived():
    """Scores near the largest float and ranges over many powers of ten raise nothing."""
    run(NumericProposer(Box(1e-300, 1e300, log=True)), lambda text: float(text.strip("[]")), "[8.0]", 14)
    run(NumericProposer(Box(-1e9, 1e9)), lambda text: -(float(text.strip("[]")) ** 2), "[8.0]", 14)


def test_text_without_numbers_gives_a_note():
    """Nothing to tune is no error: no drafts, and a note that names the remedy."""
    proposal = asked(told(opened("just prose"), 1.0), NumericProposer())
    assert proposal.drafts == ()
    assert "# tune:" in proposal.note


def test_bad_mark_in_a_later_text_is_passed_over():
    """A malformed mark in a text that a model wrote does not stop the study."""
    history = told(opened(PROGRAM), 1.0)
    text = "C = 1.0  # tune: C=100..1\n"
    history = told(history.after(Proposed((Candidate(1, text, origin="chat:m"),), slot=0)), 7.0)
    assert asked(history, NumericProposer()).drafts[0].parent == 0


def test_unequal_assignments_never_become_one_tunable():
    """Two assignments of one name stay two: the draft's own structure is the one it was made for."""
    tune = {"k": (1, 3, int)}
    history = told(opened("k=1 and k=2"), 1.0)
    proposal = asked(history, NumericProposer(tune), 3)
    assert {draft.text for draft in proposal.drafts} == {"k=3 and k=2"}
    assert len(find("k=2 and k=2", tune)[0].spans) == 2


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"engine": "newton"}, "engine is 'newton'"),
        ({"tune": 3}, "tune is 3"),
        ({"tune": {"C": (5, 1)}}, "turned round"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings, part):
    """A bad setting is refused in one line when the proposer is made."""
    with pytest.raises(BadInput, match=part) as caught:
        NumericProposer(**settings)
    assert "\n" not in str(caught.value)
