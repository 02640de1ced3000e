"""What is claimed of a gain is true as often as it says, and luck is called luck."""

from __future__ import annotations

import random
import statistics

import pytest

from llm_optimize import Draft, Evaluation, Proposal, optimize
from llm_optimize.core.verdict import Gain, interval_of_differences


@pytest.mark.parametrize("size", [8, 50])
def test_the_interval_holds_what_it_says(size):
    """A 95 % interval of paired differences holds the true mean as often as that, small samples included."""
    dice = random.Random(size)
    held = 0
    for seed in range(200):
        low, high = interval_of_differences([dice.gauss(0.3, 1.0) for _ in range(size)], seed=seed)
        held += low <= 0.3 <= high
    assert 0.915 <= held / 200 <= 0.985


EXAMPLES = 200
CLAIMS = 100


def accuracy(text):
    """A stand-in for a prompt: its accuracy depends on features that the words have."""
    return 0.6 + 0.03 * min(text.count("step"), 5)


def answers(text, seed, part, rate):
    """One right or wrong per example, each with its own dice for each prompt: a target that samples."""
    dice = random.Random(f"{seed} {part} {text}")
    return tuple(float(dice.random() < rate(text)) for _ in range(EXAMPLES))


def judge(seed, part, rate):
    """A scorer over examples."""

    def score(text):
        right = answers(text, seed, part, rate)
        return Evaluation(sum(right) / len(right), examples=right)

    return score


class Words:
    """A proposer that adds words to the best prompt, some of which help."""

    def propose(self, history, n):
        dice = random.Random(f"{history.seed} {history.slot}")
        words = ("step", "please", "now", "think")
        return Proposal(tuple(Draft(f"{history.best.text} {dice.choice(words)} {history.slot}") for _ in range(n)))


def claims(rate):
    """The verdicts of many seeded runs, with the true gain of each."""
    found = []
    for seed in range(CLAIMS):
        result = optimize.run(
            "t", "q", judge(seed, "seen", rate), "answer", 12, verbose=False, store=None, proposer=Words(), seed=seed,
            final=judge(seed, "sealed", rate),
        )  # fmt: skip
        found.append((result, rate(result.best_x) - rate("answer")))
    return found


@pytest.mark.parametrize("apart", [0.03, 0.1, 0.4])
@pytest.mark.parametrize("size", [10, 30, 100])
def test_the_interval_of_right_or_wrong_holds_what_it_says(size, apart):
    """Where answers are right or wrong and few of them differ, the truth is inside in at least 94 of 100 cases."""
    inside = 0
    for seed in range(2000):
        dice = random.Random(seed)
        drawn = [dice.choices((1.0, -1.0, 0.0), (0.7 * apart, 0.3 * apart, 1 - apart))[0] for _ in range(size)]
        low, high = interval_of_differences(drawn)
        inside += low <= 0.4 * apart <= high
    assert inside / 2000 >= 0.94


def test_right_or_wrong_by_hand():
    """Six gained and one lost of 30 is computed as in the paper; the same on every example is not certain."""
    low, high = interval_of_differences([1.0] * 6 + [-1.0] + [0.0] * 23)
    assert (round(low, 4), round(high, 4)) == (-0.0193, 0.3318)
    low, high = interval_of_differences([0.0] * 30)
    assert (round(low, 4), round(high, 4)) == (-0.0866, 0.0866)


def test_a_real_gain_is_told_within_its_interval():
    """The true gain is inside the stated interval in at least 93 of 100 runs."""
    found = [(result.gain, true) for result, true in claims(accuracy) if result.gain is not None]
    assert len(found) >= 98
    assert sum(gain.low <= true <= gain.high for gain, true in found) >= 93
    assert all(gain.basis == "200 sealed examples" for gain, _ in found)


def test_luck_is_called_luck():
    """Where no prompt is better than another, at least 93 of 100 runs do not claim a gain."""
    found = claims(lambda _: 0.6)
    said = [result.verdict for result, _ in found]
    honest = sum("within the noise" in one or "nothing better" in one for one in said)
    assert honest >= 93
    assert statistics.fmean(result.best.score - 0.6 for result, _ in found) > 0.04


def test_a_clear_gain_is_claimed_in_a_sentence():
    """The sentence of the design, with its numbers."""
    result = optimize.run(
        "t", "q", judge(1, "seen", lambda text: 0.5 + 0.4 * ("step" in text)), "answer", 12, verbose=False,
        store=None, proposer=Words(), final=judge(1, "sealed", lambda text: 0.5 + 0.4 * ("step" in text)),
    )  # fmt: skip
    gain = result.gain
    assert gain.is_clear
    assert result.verdict.startswith(
        f"gain {gain.value:.2f} (95 % {gain.low:.2f} to {gain.high:.2f}) over the start on 200 sealed examples"
    )


def test_a_loss_and_a_certain_gain_are_worded_as_such():
    """Signs are turned round together, and without noise there is no interval to show."""
    assert str(Gain(-0.2, -0.3, -0.1, 0.95, "50 sealed examples")) == (
        "loss 0.20 (95 % 0.10 to 0.30) over the start on 50 sealed examples"
    )
    assert str(Gain(2.0, 2.0, 2.0, 0.95, "scores that repeat exactly")) == (
        "gain 2.0 over the start on scores that repeat exactly"
    )
