"""Islands and the grid: who is born where, who moves, and who stands for a cell."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from llm_optimize.core.events import Opened, Proposed, Retold, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.features import Feature
from llm_optimize.proposers.parents.islands import Islands

NEVER = 10**6


def told(history, number, outcome, parent=None, text=""):
    """Return the history with one more candidate and its outcome, a score or a Failure."""
    outcome = Evaluation(float(outcome)) if isinstance(outcome, (int, float)) else outcome
    candidate = Candidate(number, text or f"x{number}", origin="chat:m" if number else "start", parent=parent)
    return history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, outcome))


def past(*rows):
    """Return a history of (outcome, parent) or (outcome, parent, text)."""
    history = History.empty().after(Opened(Problem("t", "q", "x0"), seed=1))
    for number, row in enumerate(rows):
        history = told(history, number, *row)
    return history


def members(policy, history):
    """Return the ids on each island, best first."""
    return [[trial.id for trial in island] for island in policy.members(history)]


def test_a_child_is_born_where_its_parent_lives_and_the_start_lives_everywhere():
    """Children of the start are dealt to the islands in turn; theirs stay with them, and failures are nobody."""
    history = past((0, None), (1, 0), (2, 0), (3, 1), (4, 2), (5, 3), (Failure("raised", "no"), 3))
    assert members(Islands(count=2, migrate_every=NEVER), history) == [[4, 2, 0], [5, 3, 1, 0]]


def test_the_best_of_each_island_moves_on_in_a_ring():
    """At the fourth trial each island's best joins the next one; its children go to the less populous of the two."""
    rows = [(0, None), (1, 0), (2, 0), (3, 0)]
    policy = Islands(count=3, migrate_every=4)
    assert members(policy, past(*rows[:3])) == [[0], [1, 0], [2, 0]]
    assert members(policy, past(*rows)) == [[3, 2, 0], [3, 1, 0], [2, 1, 0]]
    children = past(*rows, (9, 3), (8, 3))
    assert members(policy, children) == [[5, 3, 2, 0], [4, 3, 1, 0], [2, 1, 0]]


def test_drafts_go_round_the_islands():
    """Parallel drafts and successive proposals build on different islands."""
    history = past((0, None), (5, 0), (7, 0), (9, 0))
    policy = Islands(count=3, migrate_every=NEVER, explore=0, inner=Best())
    homes = members(policy, history)
    for slot in range(4):
        for draft in range(4):
            (parent,) = policy.choose(history.assuming(0, slot), draft)
            assert parent.id == homes[(slot + draft) % 3][0]


def test_islands_that_never_meet_keep_their_lineages_apart():
    """Without migration no trial but the start is on two islands, over a long run that follows the policy."""
    policy, draw = Islands(count=4, migrate_every=NEVER), random.Random(2)
    history = past((0, None))
    for number in range(1, 200):
        (parent,) = policy.choose(history.assuming(0, number), 0)
        history = told(history, number, parent.score + draw.gauss(0, 1), parent.id)
    seen = Counter(number for island in members(policy, history) for number in island)
    assert {number for number, times in seen.items() if times > 1} <= {0}
    assert all(len(island) == 16 for island in members(policy, history))


def test_an_island_keeps_sixteen_and_explores_among_them():
    """The best are bounded; a share of the drafts builds on any of them alike, the others by the inner policy."""
    history = past((100, None), *[(90.0 - number, 0) for number in range(60)])
    assert members(Islands(count=1), history) == [list(range(16))]
    drawn = [
        Counter(
            Islands(count=1, explore=explore, inner=Best()).choose(history.assuming(0, slot), 0)[0].id
            for slot in range(800)
        )
        for explore in (0, 0.5, 1)
    ]
    assert drawn[0] == {0: 800}
    assert 370 < drawn[1][0] < 490
    assert set(drawn[2]) == set(range(16))
    assert max(drawn[2].values()) < 3 * min(drawn[2].values())


def test_members_are_ranked_by_the_scores_of_today():
    """A re-test that came out low moves a member down."""
    history = past((1, None), (5, 0), (4, 0)).after(Retold(1, Evaluation(-9.0)))
    assert members(Islands(count=1), history) == [[2, 0, 1]]


def test_the_grid_keeps_the_best_of_each_cell():
    """Exploring goes over one candidate for each length, the best of its kind, though worse than others' rest."""
    length = Feature("length", 0, 40, bins=4)
    rows = [(9, None, "a" * 5), (8, 0, "b" * 5), (1, 0, "c" * 15), (2, 0, "d" * 15), (0.5, 0, "e" * 100)]
    policy = Islands(count=1, features=(length,), explore=1)
    drawn = Counter(policy.choose(past(*rows).assuming(0, slot), 0)[0].id for slot in range(300))
    assert set(drawn) == {0, 3, 4}
    assert min(drawn.values()) > 60


def test_a_migrant_takes_its_cell_along():
    """What moves to the next island stands in that island's grid too."""
    length = Feature("length", 0, 40, bins=4)
    rows = [(0, None, "a"), (9, 0, "b" * 35), (1, 0, "c" * 15)]
    policy = Islands(count=2, migrate_every=3, features=(length,), explore=1)
    drawn = [{policy.choose(past(*rows).assuming(0, slot), 0)[0].id for slot in range(k, 200, 2)} for k in (0, 1)]
    assert drawn == [{0, 1, 2}, {0, 1, 2}]
    apart = Islands(count=2, migrate_every=NEVER, features=(length,), explore=1)
    drawn = [{apart.choose(past(*rows).assuming(0, slot), 0)[0].id for slot in range(k, 200, 2)} for k in (0, 1)]
    assert drawn == [{0, 2}, {0, 1}]


def test_a_feature_is_a_length_a_metric_or_a_function():
    """Each has a bin; values outside are in the outermost ones; what is unknown keeps a candidate out of the grid."""
    history = past((Evaluation(1.0, metrics={"speed": 0.55}), None, "one two"), (2, 0, "three"))
    first, second = history.trials
    words = Feature("words", 0, 4, bins=4, measure=lambda text: len(text.split()))
    assert [words.bin(first), words.bin(second)] == [2, 1]
    assert [Feature("speed", 0, 1).bin(first), Feature("speed", 0, 1).bin(second)] == [5, None]
    assert Feature("length", 0, 7, bins=7).bin(first) == 6
    assert Feature("nan", 0, 1, measure=lambda _: float("nan")).bin(first) is None
    wide = Feature("size", 1, 10_000, bins=4, log=True)
    assert [wide.bin_of(value) for value in (-5, 0.1, 1, 9.9, 10.1, 999, 5_000, 1e9)] == [0, 0, 0, 0, 1, 2, 3, 3]
    policy = Islands(count=1, features=(Feature("speed", 0, 1),), explore=1)
    assert {policy.choose(history.assuming(0, slot), 0)[0].id for slot in range(30)} == {0}


@pytest.mark.parametrize("count", [1, 5])
def test_an_empty_island_builds_on_the_best_of_all(count):
    """Without a start the first proposals still have something to build on as soon as anything has a score."""
    history = past((Failure("raised", "no"), None), (3, None))
    assert {policy.id for slot in range(5) for policy in Islands(count=count).choose(history.assuming(0, slot), 0)} == {
        1
    }
