"""What a noise policy spends, whom it tests again, what it returns and what may be claimed of it."""

from __future__ import annotations

import random
import statistics
from collections import Counter

import pytest

from llm_optimize import (
    Budget,
    Draft,
    Evaluation,
    Failure,
    History,
    MaxSteps,
    MemoryStore,
    Message,
    Problem,
    Proposal,
    Request,
    ScriptedModel,
    Usage,
    optimize,
)
from llm_optimize.cli.jsonlines import event_fields, trial_fields
from llm_optimize.cli.lines import sentence
from llm_optimize.core.events import Opened, Proposed, Retold, Told
from llm_optimize.core.noise import Noise
from llm_optimize.core.pooling import estimates
from llm_optimize.core.types import Candidate, Trial
from llm_optimize.errors import BadInput
from llm_optimize.llm.cached import Cached
from llm_optimize.proposers.structures import StructureIndex
from llm_optimize.text.tunables import Box


class Walk:
    """A proposer that moves the best number a little."""

    def propose(self, history, n):
        dice = random.Random(f"{history.seed} {history.slot}")
        return Proposal(tuple(Draft(f"{float(history.best.text) + dice.gauss(0, 1):.4f}") for _ in range(n)))


def run(func, steps=15, **options):
    """A run from 0 upwards."""
    options.setdefault("noise", "auto")
    return optimize.run("t", "q", func, "0", steps, verbose=False, store=None, proposer=Walk(), **options)


def noisy(seed, sigma=1.0):
    """The number with noise."""
    dice = random.Random(f"noise {seed}")
    return lambda text: float(text) + dice.gauss(0, sigma)


def parts(result):
    """How many evaluations beyond the first were made of what kind."""
    history = result.history
    fresh = sum(map(len, history.fresh.values()))
    return {"again": history.retests, "fresh": fresh, "sealed": len(history.sealed)}


def test_without_a_policy_each_candidate_is_scored_once():
    """The default is the predecessor's: one evaluation each, and the verdict says what that is worth."""
    result = run(noisy(0), noise=None)
    assert result.history.evaluations == 16
    assert "each candidate was scored once" in result.verdict
    assert result.gain is None


def test_a_scorer_without_noise_costs_two_evaluations_more():
    """A second score of the start and one of the winner; then the gain is what it is."""
    calls = []
    result = run(lambda text: calls.append(text) or float(text))
    assert len(calls) == result.history.evaluations == 16 + 2
    assert parts(result) == {"again": 1, "fresh": 1, "sealed": 0}
    assert result.verdict.startswith("gain ")
    assert "scores that repeat exactly" in result.verdict
    assert result.best_score == float(result.best_x)


def test_a_noisy_scorer_is_repeated_and_its_leaders_are_tested():
    """The stated share of the search tests leaders, the winner is scored afresh, the start half as often."""
    result = run(noisy(1), 60, noise=Noise(repeats=4, share=0.25, fresh=6))
    history = result.history
    assert history.trial(0).n >= 4
    assert history.retests == pytest.approx(0.25 * (61 + history.retests), abs=1.5)
    assert {id_: len(scores) for id_, scores in history.fresh.items()} == {result.best.id: 6, 0: 3}
    assert result.best_score == pytest.approx(statistics.fmean(one.score for one in history.fresh[result.best.id]))
    tested = Counter(trial.n for trial in history.trials)
    assert tested[1] > tested.total() / 2


def test_sigma_is_found():
    """The pooled estimate is near the truth."""
    found = [run(noisy(seed, 3.0), 60).history.sigma for seed in range(5)]
    assert statistics.fmean(found) == pytest.approx(3.0, rel=0.15)


def test_the_same_seed_decides_the_same():
    """A noisy run is repeatable: every choice is a function of the seed and of what was seen."""
    one, two = (run(noisy(3), 40, seed=7) for _ in range(2))
    assert (one.best_x, one.best_score, one.verdict) == (two.best_x, two.best_score, two.verdict)


def test_the_reported_score_does_not_flatter():
    """Over seeds, the mean of the fresh scores is the truth, where the score that won was far above it."""
    results = [run(noisy(seed, 3.0), 60, seed=seed) for seed in range(12)]
    bias = statistics.fmean(result.best_score - float(result.best_x) for result in results)
    once = [run(noisy(seed, 3.0), 60, seed=seed, noise=None) for seed in range(12)]
    flattered = statistics.fmean(result.best_score - float(result.best_x) for result in once)
    assert abs(bias) < 0.6  # two standard errors: 3 / sqrt(10 * 12) each
    assert flattered > 3


def test_the_sealed_examples_are_touched_once_for_each_of_two(tmp_path):
    """After the search, for the start and for the winner; a resume that goes on does not look again."""
    looked = []

    def final(text):
        looked.append(text)
        return float(text)

    first = run(float, final=final)
    assert looked == ["0", first.best_x]
    assert "the sealed test" in first.verdict
    looked.clear()
    options = {"proposer": Walk(), "verbose": False, "store": tmp_path / "s.db", "study": "sealed", "final": final}
    optimize.run("t", "q", float, "0", 5, **options)
    assert len(looked) == 2
    later = optimize.run("t", "q", float, "0", 12, **options)
    assert len(looked) == 2
    assert len(later.history.trials) == 13


def test_the_sealed_scorer_is_never_called_where_nothing_better_was_found():
    """There is no gain to measure, so the examples stay sealed."""
    looked = []
    result = optimize.run(
        "t",
        "q",
        lambda text: 1 - abs(float(text)),
        "0",
        5,
        proposer=Walk(),
        verbose=False,
        store=None,
        final=looked.append,
    )
    assert result.verdict.startswith("x0 scores 1; nothing better")
    assert looked == []


def test_a_budget_leaves_room_for_the_end():
    """The search stops early enough for the fresh and the sealed evaluations."""
    result = run(noisy(5), None, budget=Budget(evaluations=60), noise=Noise(fresh=8), final=float)
    assert result.history.evaluations == 60
    assert parts(result)["fresh"] == 8 + 4
    assert parts(result)["sealed"] == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Noise(repeats=1), "noise repeats is 1"),
        (lambda: Noise(fresh=0), "noise fresh is 0"),
        (lambda: Noise(share=1.0), "noise share is 1.0"),
        (lambda: Noise(confidence=95), "noise confidence is 95"),
        (lambda: run(float, noise="yes"), "noise is 'yes'"),
    ],
)
def test_policies_that_make_no_sense_are_refused(wrong, message):
    """In one line, before anything is spent."""
    with pytest.raises(BadInput, match=message):
        wrong()


def test_texts_that_differ_in_numbers_borrow_strength():
    """Where the scores follow the numbers, the estimates are nearer to the truth than the candidates' own scores."""
    errors, within = [], []
    for seed in range(10):
        dice = random.Random(seed)
        points = [(dice.uniform(-3, 3), dice.uniform(-3, 3)) for _ in range(80)]
        truth = [-x * x - y * y + x * y for x, y in points]
        trials = [
            Trial(Candidate(i, f"x = {x:.4f}, y = {y:.4f}"), Evaluation(true + dice.gauss(0, 2)))
            for i, ((x, y), true) in enumerate(zip(points, truth, strict=True))
        ]
        for one, true in zip(estimates(trials, 2.0), truth, strict=True):
            errors.append(one.mean - true)
            within.append(abs(one.mean - true) <= 2 * one.error)
    assert statistics.pstdev(errors) < 0.4 * 2.0
    assert statistics.fmean(within) >= 0.9


def test_where_numbers_say_nothing_a_candidate_keeps_its_own_score():
    """A surface that no quadratic follows: the data turn the borrowing down by themselves."""
    dice = random.Random(2)
    trials = [Trial(Candidate(i, f"x = {i}"), Evaluation(100 * dice.random())) for i in range(60)]
    for one, trial in zip(estimates(trials, 1.0), trials, strict=True):
        assert one.mean == pytest.approx(trial.score, abs=1.0)
        assert one.error == pytest.approx(1.0, rel=0.1)


def test_texts_without_numbers_shrink_towards_their_mean():
    """James and Stein: single noisy scores of equal candidates are pulled together."""
    dice = random.Random(3)
    trials = [Trial(Candidate(i, "word " * (i + 1)), Evaluation(dice.gauss(5, 1))) for i in range(50)]
    found = estimates(trials, 1.0)
    assert statistics.pstdev(one.mean for one in found) < 0.5
    assert statistics.pstdev(one.mean for one in estimates(trials, 1.0, pool=False)) > 0.7


def test_the_experiment_on_noise():
    """At sigma 5 the returned list is within 0.3 of the optimum and its reported score within 0.5 of the truth."""
    returned, flattered = [], []
    for seed in range(4):
        walk, dice = random.Random(f"walk {seed}"), random.Random(f"noise {seed}")

        class Moves:
            def propose(self, history, n, walk=walk):
                x, y = (float(one) + walk.uniform(-2, 2) for one in history.best.text.strip("[]").split(","))
                return Proposal((Draft(f"[{x:.4f}, {y:.4f}]"),))

        def true(text):
            return sum(float(one) ** 2 for one in text.strip("[]").split(","))

        result = optimize.run(
            "t", "q", lambda text, dice=dice: dice.gauss(0, 5) - true(text), "[8, 8]", None, proposer=Moves(),
            budget=Budget(evaluations=200), noise="auto", store=None, verbose=False, seed=seed,
        )  # fmt: skip
        returned.append(true(result.best_x))
        flattered.append(result.best_score + true(result.best_x))
    assert statistics.fmean(returned) <= 0.3
    assert abs(statistics.fmean(flattered)) <= 1.6  # four seeds: 5 / sqrt(40) is one standard error; bench_noise has 20


def test_the_log_says_what_each_evaluation_was_for():
    """Each later evaluation is a fact with its own ordinal."""
    store = MemoryStore()
    result = optimize.run(
        "t", "q", noisy(9), "0", None, proposer=Walk(), verbose=False, store=store, study="log", noise="auto",
        stop=MaxSteps(20),
    )  # fmt: skip
    facts = [event for _, event in store.read("log") if isinstance(event, Retold)]
    assert sorted(event.serial for event in facts) == list(range(len(facts))) != []
    assert len(facts) == result.history.retold


def test_a_small_budget_is_not_spent_on_its_end():
    """At least three of four evaluations are the search's, whatever the policy would like."""
    result = run(noisy(6), None, budget=Budget(evaluations=20), noise=Noise(fresh=10))
    assert result.history.evaluations == 20
    assert parts(result)["fresh"] == 5
    assert len(result.history.fresh[0]) == 2


@pytest.mark.parametrize("cap", [{"tokens": 4000}, {"dollars": 0.4}])
def test_a_budget_of_calls_leaves_room_for_the_end(cap):
    """Tokens and dollars that the fresh evaluations will need are not spent on the search."""
    dice = random.Random(2)

    def score(text):
        return Evaluation(float(text) + dice.gauss(0, 1), usage=Usage(calls=1, tokens_in=50, dollars=0.005))

    result = run(score, None, budget=Budget(**cap), noise=Noise(fresh=8))
    assert parts(result)["fresh"] == 8 + 4
    assert "the rest is for the final evaluations" in result.reason
    assert result.usage.tokens <= 4000


def test_a_judge_is_asked_again_and_not_its_cache():
    """A re-test is a new sample: a cache that answered it would make every score look certain."""
    dice = random.Random(1)
    inner = ScriptedModel(lambda request: f"{float(request.messages[-1].content) + dice.gauss(0, 1):.3f}")
    judge = Cached(inner, always=True)

    def score(text):
        return float(judge.complete(Request((Message("user", text),))).text)

    result = run(score, 12, noise=Noise(fresh=3))
    assert result.history.sigma > 0.3
    assert len(inner.requests) == result.history.evaluations


def test_a_run_says_what_it_tests_again(capsys):
    """Printed lines name each further evaluation; the last line has the score that was not selected by."""
    result = optimize.run("t", "q", noisy(4), "0", 12, proposer=Walk(), store=None, noise=Noise(fresh=4))
    said = capsys.readouterr().out
    assert "#0 again: score" in said
    assert f"#{result.best.id} afresh: score" in said
    assert f"best: {result.best_score:.10g} (#{result.best.id})" in said


def test_the_command_line_words_every_part():
    """A line for people and an object for programs, for each kind of evaluation."""
    candidate = Candidate(0, "x", origin="start")
    history = History.empty().after(Opened(Problem("t", start="x"))).after(Proposed((candidate,)))
    history = history.after(Told(0, Evaluation(1.0)))
    for part, words in (("again", "tested again"), ("fresh", "scored afresh"), ("sealed", "on the sealed examples")):
        event = Retold(0, Evaluation(3.0), history.retold, part)
        history = history.after(event)
        assert words in sentence(event, history)
        assert event_fields(event)["part"] == part
    assert "failed (timeout): late" in sentence(Retold(0, Failure("timeout", "late"), 3), history)
    fields = trial_fields(history.trial(0))
    assert (fields["score"], fields["evaluations"]) == (2.0, 2)


def test_a_search_that_goes_on_has_its_choice_in_the_log(tmp_path):
    """However often a study is resumed, the history's best after each session is the one that the policy chose."""
    noise, store = Noise(fresh=3), tmp_path / "s.db"
    for steps in range(4, 40, 5):
        result = optimize.run(
            "t",
            "q",
            noisy(steps, 2.0),
            "0",
            steps,
            proposer=Walk(),
            verbose=False,
            store=store,
            study="on",
            noise=noise,
        )
        assert result.best.id == noise.choice(result.history).id
        assert result.history.fresh[result.best.id]


def test_a_numeric_engine_is_told_the_mean_of_all_scores():
    """What was learned by testing again reaches the engine, and the base is the best by it."""
    history = History.empty().after(Opened(Problem("t", start="a = 1.0")))
    for number, score in enumerate((1.0, 9.0, 5.0)):
        candidate = Candidate(number, f"a = {number + 1}.0", origin="start" if number == 0 else "chat")
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, Evaluation(score)))
    index = StructureIndex(Box(0.0, 10.0))
    assert index.best(history).base.id == 1
    history = history.after(Retold(1, Evaluation(-5.0), 0))
    group = index.best(history)
    assert group.base.id == 2
    assert [score for _, score in group.told] == [1.0, 2.0, 5.0]
