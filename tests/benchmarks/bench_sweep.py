"""The search for sampling settings against bayesian-optimization, and against the grid.

Five settings of a stand-in whose answer depends smoothly on them (``llm_optimize.testing.surface``), with the scatter
of temperature 0.7; each seed has a best of its own. For each seed:

- ours: ``sweep.optimize(search="gp")`` with 5 + 25 evaluations;
- theirs: ``BayesianOptimization(f, pbounds, random_state=seed)``, ``maximize(init_points=5, n_iter=25)``, top_k cut to
  a whole number inside of f, as Parameter-Finder has it.

Both are told the same noisy similarities. *seen* is the best of them; *true* is the similarity that the settings they
report bring on average, which is what a user gets. The grid has 4 values of each setting, 1,024 requests, with the same
noise; counted is how many requests the search made until it had seen settings as good (in truth) as the grid's best
reported ones, or the share of seeds in which 205 requests (20 %) were enough::

    python tests/benchmarks/bench_sweep.py                 # 20 seeds, some 30 minutes
    python tests/benchmarks/bench_sweep.py --seeds 3 --grid-seeds 1
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import warnings
from dataclasses import dataclass

from llm_optimize import ScriptedModel, sweep
from llm_optimize.testing.surface import BEST, SCALES, WANTED, Surface

BOUNDS = {
    "temperature": (0.1, 0.9),
    "top_p": (0.1, 0.9),
    "frequency_penalty": (-1.0, 1.0),
    "presence_penalty": (-1.0, 1.0),
    "top_k": (1, 100),
}
LEVELS = {
    "temperature": [0.1, 0.37, 0.63, 0.9],
    "top_p": [0.1, 0.37, 0.63, 0.9],
    "frequency_penalty": [-1.0, -0.33, 0.33, 1.0],
    "presence_penalty": [-1.0, -0.33, 0.33, 1.0],
    "top_k": [1, 34, 67, 100],
}
SHARE = 0.2
_NOISE = 0.05


class Flat(Surface):
    """A surface whose scatter is that of temperature 0.7 whatever the temperature."""

    def answer(self, value, dice, temperature):
        return super().answer(value, dice, 0.7)


def surface(seed: int) -> Surface:
    """A surface with a best of its own, away from the edges."""
    dice = random.Random(f"surface {seed}")
    best = {}
    for name, (low, high) in BOUNDS.items():
        best[name] = low + (high - low) * dice.uniform(0.2, 0.8)
    assert best.keys() == BEST.keys() == SCALES.keys()
    return Flat(best=best, noise=_NOISE, seed=seed)


@dataclass(frozen=True)
class Found:
    """What one run found: the best seen, the true similarity of the reported settings, and each trial's true one."""

    seen: float
    true: float
    course: tuple[float, ...]


def model_of(place: Surface) -> ScriptedModel:
    """The surface as a chat model, without the socket."""

    def reply(request):
        messages = [{"role": one.role, "content": one.content} for one in request.messages]
        return place({"model": "m", "messages": messages, **request.settings}, 0)

    return ScriptedModel(reply)


def ours(seed: int, evaluations: int = 30, engine: str = "gp") -> Found:
    """Our search."""
    place = surface(seed)
    result = sweep.optimize(
        model_of(place), user_prompts="Describe the harbour.", desired_output=WANTED, settings=BOUNDS, search=engine,
        max_combinations=evaluations, similarity="ratio", seed=seed, store=None, folder=None, verbose=False,
    )  # fmt: skip
    course = tuple(place.value(one.settings) for one in sorted(result.pairs, key=lambda one: one.id))
    return Found(result.target, place.value(result.best.settings), course)


def theirs(seed: int, evaluations: int = 30) -> Found:
    """bayesian-optimization as Parameter-Finder calls it."""
    from bayes_opt import BayesianOptimization  # noqa: PLC0415 - only where it is installed

    place = surface(seed)
    ratio = sweep_ratio()
    course = []

    def score(**given):
        settings = {**given, "top_k": int(given["top_k"])}
        course.append(place.value(settings))
        return ratio(place({"model": "m", "messages": [], **settings}, 0))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = BayesianOptimization(score, BOUNDS, random_state=seed, verbose=0)
        search.maximize(init_points=5, n_iter=evaluations - 5)
    best = {**search.max["params"], "top_k": int(search.max["params"]["top_k"])}
    return Found(float(search.max["target"]), place.value(best), tuple(course))


def sweep_ratio():
    """Parameter-Finder's similarity, its heuristic off."""
    from llm_optimize.scorers.similarity import Similarity  # noqa: PLC0415 - as above

    compare = Similarity(WANTED)
    return lambda answer: compare(answer).score


def grid(seed: int, levels=LEVELS) -> Found:
    """The whole grid."""
    place = surface(seed)
    result = sweep.optimize(
        model_of(place), user_prompts="Describe the harbour.", desired_output=WANTED, settings=levels,
        similarity="ratio", seed=seed, store=None, folder=None, verbose=False,
    )  # fmt: skip
    return Found(result.target, place.value(result.best.settings), (0.0,) * len(result.pairs))


def interval(values, level: float = 0.95, draws: int = 2000) -> tuple[float, float]:
    """Bootstrap interval of the median."""
    dice = random.Random("interval")
    medians = sorted(statistics.median(dice.choices(values, k=len(values))) for _ in range(draws))
    cut = int((1 - level) / 2 * draws)
    return medians[cut], medians[-1 - cut]


def line(name: str, values) -> str:
    """A line with the median and its interval."""
    low, high = interval(values)
    return f"{name:<34} median {statistics.median(values):.4f}  95 % interval {low:.4f} .. {high:.4f}"


def compare(seeds: int, evaluations: int = 30) -> dict[str, list[float]]:
    """Both searches on every seed; prints the figures."""
    pairs = [(ours(seed, evaluations), theirs(seed, evaluations)) for seed in range(seeds)]
    figures = {
        "ours, true": [one.true for one, _ in pairs],
        "bayesian-optimization, true": [other.true for _, other in pairs],
        "ours, seen": [one.seen for one, _ in pairs],
        "bayesian-optimization, seen": [other.seen for _, other in pairs],
    }
    print(f"{evaluations} evaluations, {seeds} seeds, scatter {_NOISE}")
    for name, values in figures.items():
        print(line(name, values))
    print(line("difference, true (paired)", [one.true - other.true for one, other in pairs]))
    wins = sum(one.true > other.true for one, other in pairs)
    print(f"ours better in {wins} of {seeds} seeds")
    return figures


def against_grid(seeds: int, levels=LEVELS) -> list[float]:
    """How many requests the search needs for the grid's best; prints the figures and returns the shares."""
    shares = []
    for seed in range(seeds):
        whole = grid(seed, levels)
        size = len(whole.course)
        allowed = int(SHARE * size)
        found = ours(seed, min(60, max(6, allowed)))
        needed = next((i for i, value in enumerate(found.course, 1) if value >= whole.true), None)
        shares.append(needed / size if needed else 1.0)
        print(
            f"seed {seed}: grid of {size} brings {whole.true:.4f}; the search has it after {needed or 'more'} requests"
        )
    low, high = interval(shares)
    enough = sum(share <= SHARE for share in shares)
    print(f"share of the grid's requests: median {statistics.median(shares):.3f} ({low:.3f} .. {high:.3f})")
    print(f"20 % were enough in {enough} of {seeds} seeds")
    return shares


def main(argv=None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--grid-seeds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="one seed, a grid of 32, 10 evaluations")
    options = parser.parse_args(argv)
    if options.quick:
        compare(1, 10)
        against_grid(1, {name: low_and_high[1:3] for name, low_and_high in LEVELS.items()})
        return 0
    if options.seeds:
        compare(options.seeds)
    if options.grid_seeds:
        against_grid(options.grid_seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
