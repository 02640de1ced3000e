"""What each parent policy builds on, and that it is a pure function of the log, the seed, the slot and the draft."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from functools import lru_cache

import pytest

from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.errors import BadInput
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.crossover import Crossover
from llm_optimize.proposers.parents.features import Feature
from llm_optimize.proposers.parents.islands import Islands
from llm_optimize.proposers.parents.latest import Latest
from llm_optimize.proposers.parents.mixed import Mixed
from llm_optimize.proposers.parents.pareto_front import ParetoFront
from llm_optimize.proposers.parents.restart import Restart
from llm_optimize.proposers.parents.softmax import Softmax
from llm_optimize.proposers.parents.tournament import Tournament

GRID = (Feature("length", 2, 64, bins=4, log=True), Feature("speed", 0, 1, bins=3))

POLICIES = {
    "latest": Latest,
    "best": Best,
    "softmax": Softmax,
    "tournament": Tournament,
    "front": ParetoFront,
    "islands": lambda: Islands(count=3, migrate_every=5),
    "grid": lambda: Islands(count=2, migrate_every=7, features=GRID, explore=0.5),
    "islands of fronts": lambda: Islands(count=2, inner=ParetoFront()),
    "restart": lambda: Restart(after=4),
    "restart of softmax": lambda: Restart(Softmax(), after=3),
    "crossover": lambda: Crossover(rate=0.7),
    "crossover of a front": lambda: Crossover(ParetoFront(), rate=1),
    "mixed": lambda: Mixed(((0.5, Islands()), (0.3, Restart(ParetoFront(), after=2)), (0.2, Tournament(1)))),
}


def told(history, number, outcome, parent=None, text=""):
    """Return the history with one more candidate and its outcome."""
    candidate = Candidate(number, text or f"x{number}", origin="chat:m" if number else "start", parent=parent)
    return history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, outcome))


def past(*rows, seed=1):
    """Return a history of (outcome or score, parent)."""
    history = History.empty().after(Opened(Problem("t", "q", "x0"), seed=seed))
    for number, (outcome, parent) in enumerate(rows):
        outcome = Evaluation(outcome) if isinstance(outcome, (int, float)) else outcome  # noqa: PLW2901 - a short form
        history = told(history, number, outcome, parent)
    return history


def steps(seed, count, policy=None, rejected=0.03):
    """Yield the histories of a random study, each candidate built on what a policy chose, or on any other."""
    draw = random.Random(seed)
    history = History.empty().after(Opened(Problem("t", "q", "x0"), seed=seed))
    for number in range(count):
        parents = policy.choose(history.assuming(0, number), 0) if policy and number else ()
        parent = parents[0].id if parents else draw.randrange(number) if number and draw.random() < 0.9 else None
        examples = tuple(float(draw.random() < 0.4) for _ in range(6)) if draw.random() < 0.8 else ()
        outcome = Evaluation(draw.gauss(0, 1), metrics={"speed": draw.random()}, examples=examples)
        outcome = Failure("raised", "no") if draw.random() < 0.2 else outcome
        history = told(history, number, outcome, parent, "w " * draw.randrange(1, 40) + str(number))
        yield history
        if draw.random() < 0.15 and history.best:
            history = history.after(Retold(history.best.id, Evaluation(draw.gauss(0, 1)), serial=history.retests))
            yield history
        if draw.random() < rejected:
            history = history.after(Guided("no", act="reject", candidate_id=draw.randrange(number + 1)))
            yield history


@lru_cache(1)
def long_study():
    """Return the histories of a longer random study."""
    return tuple(steps(9, 1_000, rejected=0))  # after a rejection, which a person types, all is followed anew


def choice(policy, history, slot=0, draft=0):
    """Return the ids of the parents."""
    return [trial.id for trial in policy.choose(history.assuming(0, slot), draft)]


def choices(policy, history, slots=400):
    """Count what the first parents of many proposals are."""
    return Counter(choice(policy, history, slot)[0] for slot in range(slots))


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_a_policy_is_a_function_of_the_log_at_every_prefix(make):
    """One object that follows a study, and a fresh one for each of its states, choose the same at every state."""
    following = make()
    for number, history in enumerate(steps(3, 60, following)):
        for slot, draft in ((number, 0), (number, 1), (number + 7, 0)):
            assert choice(following, history, slot, draft) == choice(make(), history, slot, draft)


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_an_older_history_is_answered_as_if_the_rest_were_unknown(make):
    """An index that has gone on answers for any earlier state as it did then, in any order."""
    histories = list(steps(5, 300))
    ahead = make()
    ahead.choose(histories[-1], 0)
    for history in random.Random(1).sample(histories, 40):
        assert choice(ahead, history, 2) == choice(make(), history, 2)


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_another_study_does_not_disturb(make):
    """One object that serves two studies in turn, and one that branches off, answers as two objects would."""
    one, other = list(steps(1, 30)), list(steps(2, 30))
    shared = make()
    branch = told(one[10], 10_000, Evaluation(100.0), 0)
    for history in [h for pair in zip(one, other, strict=False) for h in pair] + [branch, one[-1]]:
        assert choice(shared, history) == choice(make(), history)


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_a_choice_is_of_the_history_and_as_it_is_today(make):
    """Parents are the history's own trials, re-tests included, each once; another seed or slot may choose others."""
    for history in steps(7, 40):
        for slot in range(4):
            parents = make().choose(history.assuming(0, slot), 0)
            assert all(trial is history.trial(trial.id) for trial in parents)
            assert len({trial.id for trial in parents}) == len(parents)


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_nothing_to_choose_from_is_no_error(make):
    """Before the first trial, and while all failed, there is nothing that must be built on."""
    empty = past()
    assert choice(make(), empty) == []
    failed = past(*[(Failure("raised", "no"), None if not n else 0) for n in range(9)])
    assert set(choice(make(), failed)) <= {0}


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_a_policy_prints_compares_and_pickles(make):
    """A copy through a pickle is equal, prints the same and chooses the same, also after it has been used."""
    policy, history = make(), list(steps(4, 20))[-1]
    chosen = choice(policy, history)
    copy = pickle.loads(pickle.dumps(policy))
    assert (copy, repr(copy)) == (policy, repr(policy))
    assert "index" not in repr(policy)
    assert hash(copy) == hash(policy)
    assert choice(copy, history) == chosen


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_the_parent_is_the_current_x_of_the_prompt(make):
    """What a policy chooses is shown last, and the draft is marked as its child."""
    history = list(steps(11, 30))[-1].assuming(0, 5)
    (expected, *others) = choice(make(), history, 5) or [history.trials[-1].id]
    model = ScriptedModel(["Why.\n```\nnew\n```"])
    proposal = ChatProposer(model, parent=make()).propose(history, 1)
    assert proposal.drafts[0].parent == expected
    said = "\n".join(message.content for message in model.requests[0].messages)
    assert all(f"#{number}" in said for number in others)


class Counting:
    """A history's trials that count how often one is looked at."""

    def __init__(self, trials):
        self.trials, self.looks = trials, 0

    def __len__(self):
        """As of the trials."""
        return len(self.trials)

    def __getattr__(self, name):
        """Give what the trials have."""
        return getattr(self.trials, name)

    def __getitem__(self, index):
        """Give one or several, and count them."""
        found = self.trials[index]
        self.looks += len(found) if isinstance(index, slice) else 1
        return found


class Watched:
    """A history that counts looks at its trials; everything else is the history's own."""

    def __init__(self, history):
        self.history, self.trials = history, Counting(history.trials)

    def __getattr__(self, name):
        """Give what the history has."""
        return getattr(self.history, name)


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_a_choice_looks_at_as_many_trials_early_as_late(make):
    """Once an index has come up to date, one more trial costs looks that do not grow with the past."""
    policy, looks = make(), []
    for history in long_study():
        watched = Watched(history)
        policy.choose(watched, 0)
        looks.append(watched.trials.looks)
    assert max(looks) <= 140
    assert max(looks[-200:]) <= max(looks[200:400]) + 8


def test_softmax_prefers_the_better_and_ignores_the_scale():
    """The shares fall with the rank as the temperature says, whatever the scores are; a low one is greedy."""
    history = past(*[(float(n), None) for n in range(10)])
    stretched = past(*[(1e6 * 3.0**n, None) for n in range(10)])
    shares = choices(Softmax(temperature=2.0), history, 2_000)
    assert shares == choices(Softmax(temperature=2.0), stretched, 2_000)
    assert 0.34 < shares[9] / 2_000 < 0.45
    assert shares[9] > shares[8] > shares[7] > shares[5] > shares[1]
    assert set(choices(Softmax(temperature=0.01), history)) == {9}
    assert set(choices(Softmax(temperature=1e9, pool=3), history)) == {7, 8, 9}


def test_a_tournament_lets_all_take_part_but_failures():
    """One that is large picks near the top; one of a single place picks anybody with a score."""
    history = past(*[(Failure("raised", "no") if n % 3 == 0 else float(n), None) for n in range(30)])
    anybody = choices(Tournament(1), history, 2_000)
    assert set(anybody) == {n for n in range(30) if n % 3}
    assert max(anybody.values()) < 3 * min(anybody.values())
    assert min(choices(Tournament(20), history)) > 10
    assert sum(choices(Tournament(4), history, 500).elements()) / 500 > sum(anybody.elements()) / 2_000 + 4


def test_a_mix_draws_by_weight():
    """Of three parts of the weight two are the best, one is the start."""
    history = past((0.0, None), (5.0, 0), (3.0, 0))

    class First:
        def choose(self, history, draft):
            return (history.trials[0],)

    shares = choices(Mixed(((2, Best()), (1, First()))), history, 3_000)
    assert 0.62 < shares[1] / 3_000 < 0.71
    assert shares[1] + shares[0] == 3_000


def test_scores_of_today_decide():
    """A candidate whose re-tests came out low is no longer the one that a greedy choice within a line takes."""
    history = past((0.0, None), (0.0, 0), (0.0, 0), (1.0, 0), (9.0, 0), (8.5, 4))
    policy = Restart(after=2)
    assert policy.line(history) == 1
    assert choice(policy, history) == [4]
    for serial in range(3):
        history = history.after(Retold(4, Evaluation(0.5), serial=serial))
    assert choice(policy, history) == [5]


def test_a_restart_begins_at_the_start_and_lets_the_new_line_grow():
    """After so many trials without a gain the start is built on; its children count among themselves alone."""
    rows = [(5.0, None), (9.0, 0), (8.0, 1), (8.5, 1)]
    policy = Restart(after=2)
    assert choice(policy, past(*rows[:3])) == [1]
    assert choice(policy, past(*rows)) == [0]
    rows += [(1.0, 0)]
    assert choice(policy, past(*rows)) == [4]
    rows += [(9.5, 1), (0.5, 4), (2.0, 4), (1.5, 7)]
    assert choice(policy, past(*rows)) == [7]
    assert policy.line(past(*rows)) == 1
    assert choice(policy, past(*rows, (1.0, 7))) == [0]
    assert policy.line(past(*rows, (1.0, 7))) == 2


def test_a_late_child_of_an_old_line_changes_nothing_in_the_new_one():
    """In parallel work children of the old line still come; the new line neither grows nor ages by them."""
    rows = [(5.0, None), (4.0, 0), (3.0, 0), (1.0, 0)]
    late = [*rows, (2.0, 1), (99.0, 1), (Failure("raised", "no"), 2)]
    policy = Restart(after=2)
    assert policy.line(past(*rows)) == policy.line(past(*late)) == 1
    assert choice(policy, past(*late)) == [3]


def test_crossover_adds_one_that_wins_elsewhere():
    """The second parent is ahead on examples where the first is behind, though others have a better mean."""
    rows = [((0, 0, 0, 0), 0.0), ((1, 1, 1, 0), 0.75), ((1, 1, 0, 0), 0.5), ((0, 0, 0, 1), 0.25)]
    history = past(*[(Evaluation(score, examples=examples), None) for examples, score in rows])
    assert {tuple(choice(Crossover(rate=1), history, slot)) for slot in range(30)} == {(1, 3)}
    assert choice(Crossover(rate=0), history) == [1]
    drawn = [len(choice(Crossover(rate=0.2), history, slot)) for slot in range(1_000)]
    assert 150 < drawn.count(2) < 250


def test_crossover_without_examples_takes_unlike_texts():
    """Of good attempts the least alike are combined, not a copy with another word in it, however good that is."""
    history = past()
    copies = [f"sort the list by key then return {what}" for what in ("it", "x", "y")]
    unlike = [
        "use a heap of pairs instead",
        "merge two halves, each sorted by itself",
        "count how often a value occurs",
    ]
    for number, text in enumerate([*copies, *unlike]):
        history = told(history, number, Evaluation(9.0 - number), None, text)
    chosen = [choice(Crossover(rate=1), history, slot) for slot in range(60)]
    assert {tuple(one) for one in chosen} == {(0, 3), (0, 4), (0, 5)}
    alone = past((1.0, None))
    assert choice(Crossover(rate=1), alone) == [0]


@pytest.mark.parametrize("inner", [Latest(), Crossover(rate=1)])
def test_crossover_leaves_alone_what_has_no_single_first_parent(inner):
    """Where the window decides, or a second parent is there already, none is added."""
    history = list(steps(8, 20))[-1]
    assert choice(Crossover(inner, rate=1), history) == choice(inner, history)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Softmax(temperature=0), "softmax: temperature"),
        (lambda: Softmax(temperature=float("nan")), "softmax: temperature"),
        (lambda: Softmax(pool=65), "softmax: pool"),
        (lambda: Tournament(0), "tournament: size"),
        (lambda: Tournament(size=True), "tournament: size"),
        (lambda: Islands(count=0), "islands: count"),
        (lambda: Islands(migrate_every=1.5), "islands: migrate_every"),
        (lambda: Islands(explore=2), "islands: explore"),
        (lambda: Islands(inner=Latest()), "islands: inner"),
        (lambda: Islands(features="length"), "islands: features"),
        (lambda: Islands(features=[Feature("length", 1, 9, bins=2_000)]), "islands: features"),
        (lambda: Feature("speed", 1, 1), "feature speed: low"),
        (lambda: Feature("speed", 0, 1, log=True), "feature speed: low"),
        (lambda: Feature("speed", 0, 1, bins=0), "feature speed: bins"),
        (lambda: Restart(Latest()), "restart: inner"),
        (lambda: Restart(Best), "restart: inner"),
        (lambda: Restart(after=0), "restart: after"),
        (lambda: Crossover(rate="often"), "crossover: rate"),
        (lambda: Crossover(None), "crossover: inner"),
        (lambda: Crossover(pool=0), "crossover: pool"),
        (lambda: Mixed(()), "mixed: parts"),
        (lambda: Mixed(Best()), "mixed: parts"),
        (lambda: Mixed((Best(), Softmax())), "mixed: parts"),
        (lambda: Mixed(((0, Best()),)), "mixed: weight 0"),
        (lambda: Mixed(((1, Best()), (1, "best"))), "mixed: policy 1"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(make, field):
    """One line: the field, what it is, what to give."""
    with pytest.raises(BadInput, match=f"^{field} .*: give ") as caught:
        make()
    assert "\n" not in str(caught.value)
