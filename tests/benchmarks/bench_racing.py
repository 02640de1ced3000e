"""Racing against always-full evaluation: the quality of the candidate returned at half the example evaluations.

A stand-in for prompts on a data set: a candidate has a skill, an example a difficulty, and it is solved with the
probability 1 / (1 + exp((difficulty - skill) / luck)), drawn once for each pair. The proposer varies the skill of the
best candidate so far, more often for the worse than for the better, as models do. Always-full evaluation gets 40
candidates. The others are measured twice: with as many candidates as half of its example evaluations afford (``half``),
and with 40 candidates as well (``equal``), where a candidate that is stopped wrongly is not made up for by another. The
quality is the true share of examples that the returned candidate solves, which no policy sees. ``usual``: variations
are large and the same examples are hard for all; ``close``: they are small, and chance decides as much as the
candidate. ``careful`` is the setting that the docstring of ``Racing`` gives for few proposals.

Run it: ``python tests/benchmarks/bench_racing.py`` (3 minutes; ``--runs N``), ``--quick`` for a smoke test.
"""

from __future__ import annotations

import argparse
import math
import random
from dataclasses import dataclass
from statistics import fmean, stdev

from llm_optimize import Draft, MaxSteps, MemoryStore, Problem, Proposal, Study
from llm_optimize.scorers.dataset import SEEN, DatasetScorer
from llm_optimize.scorers.example import Example
from llm_optimize.scorers.racing import FixedGate, Racing

START = "skill 0.0"
EXAMPLES = 60
CANDIDATES = 40
FULL = EXAMPLES * (CANDIDATES + 1)


@dataclass(frozen=True)
class World:
    """How much chance there is in an outcome, and how variations differ from what they vary."""

    luck: float
    shift: float
    spread: float

    def chance(self, skill, difficulty):
        return 1 / (1 + math.exp((difficulty - skill) / self.luck))

    def propose(self, history, n):
        dice = random.Random(f"{history.seed} {history.slot}")
        skill = skill_of(history.best.text) + dice.gauss(self.shift, self.spread)
        return Proposal((Draft(f"skill {skill:.6f}"),))


WORLDS = {"usual": World(0.5, -0.6, 0.8), "close": World(1.0, -0.3, 0.6)}
POLICIES = {"racing": Racing(), "careful": Racing(block=5, alpha=0.05, least=5), "fixed gate": FixedGate()}


def skill_of(text):
    return float(text.split()[1])


def spent(history):
    return sum(trial.outcome.metrics[SEEN] for trial in history.trials)


def half_spent(history):
    """Stop where one more candidate could pass half of what always-full evaluation costs."""
    return "half" if spent(history) + EXAMPLES > FULL / 2 else None


def race(world, seed, racing, stop):
    """Run one study; return the true quality of its best, example evaluations, and candidates."""
    dice = random.Random(f"examples {seed}")
    examples = [Example({"number": n, "difficulty": dice.gauss(1, 1.5)}) for n in range(EXAMPLES)]

    def run(text, example):
        drawn = random.Random(f"{seed} {text} {example['number']}").random()
        return drawn < world.chance(skill_of(text), example["difficulty"])

    scorer = DatasetScorer(run, examples, lambda output, example: float(output), racing=racing, parallel=1)
    study = Study(Problem("solve more", start=START), world, scorer, store=MemoryStore(), stop=stop, seed=seed)
    study.run()
    skill = skill_of(study.last.best.text)
    quality = fmean(world.chance(skill, example["difficulty"]) for example in examples)
    return quality, spent(study.last), len(study.last.trials)


def main():
    """Print for each world: quality, the paired difference from always-full with its interval, and what it took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    runs = 3 if options.quick else options.runs
    print(f"{runs} seeded runs, {EXAMPLES} examples; always full: {CANDIDATES} candidates after the start")
    head = f"{'world':6}  {'policy':11}  {'limit':5}  {'quality':>7}  {'against full (95 %)':>27}  {'examples':>8}"
    print(f"{head}  {'share':>6}  candidates")
    for name, world in WORLDS.items():
        full = [race(world, seed, None, MaxSteps(CANDIDATES)) for seed in range(runs)]
        report(name, "always full", "", full, full)
        for limit, stop in (("half", half_spent), ("equal", MaxSteps(CANDIDATES))):
            for policy, racing in POLICIES.items():
                report(name, policy, limit, [race(world, seed, racing, stop) for seed in range(runs)], full)


def report(world, policy, limit, rows, full):
    """Print one line."""
    behind = [row[0] - other[0] for row, other in zip(rows, full, strict=True)]
    mean, reach = fmean(behind), 1.96 * stdev(behind) / math.sqrt(len(rows))
    share = sum(row[1] for row in rows) / sum(row[1] for row in full)
    print(
        f"{world:6}  {policy:11}  {limit:5}  {fmean(row[0] for row in rows):7.4f}  "
        f"{mean:+.4f} ({mean - reach:+.4f} to {mean + reach:+.4f})  {fmean(row[1] for row in rows):8.0f}  "
        f"{share:6.1%}  {fmean(row[2] for row in rows):.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
