"""What is built on, and how far a search gets: ``python bench_parents.py [--quick]``.

No model is asked. A stand-in takes the parents that a policy chooses and, as a model does, mostly spoils them: it flips
1.5 of 32 bits on average, mixes two parents bit by bit if there are two, and fails in one case of ten. Four tasks:
``smooth`` counts bits; ``peaks`` has seven peaks of unequal height, of which the start is near a low one; ``traps`` are
eight groups of four bits where all but the best setting lead away from it; ``examples`` are twelve cases, each right
when its four bits are, whose bits overlap, so that specialists can be combined. Printed: the median of the best score
after 200 evaluations over 20 seeds with its quartiles, and the mean rank of a policy among all over tasks and seeds.
What this says of real models is how policies differ in kind, not by how much.
"""

from __future__ import annotations

import argparse
import random
import statistics

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.crossover import Crossover
from llm_optimize.proposers.parents.islands import Islands
from llm_optimize.proposers.parents.latest import Latest
from llm_optimize.proposers.parents.mixed import Mixed
from llm_optimize.proposers.parents.pareto_front import ParetoFront
from llm_optimize.proposers.parents.restart import Restart
from llm_optimize.proposers.parents.softmax import Softmax
from llm_optimize.proposers.parents.tournament import Tournament

BITS = 32
FLIPPED = 1.5 / BITS
FAILING = 0.1
EVALUATIONS = 200
SEEDS = 20

POLICIES = {
    "latest": Latest(),
    "best": Best(),
    "softmax": Softmax(),
    "tournament": Tournament(),
    "front": ParetoFront(),
    "islands": Islands(),
    "restart": Restart(),
    "restart + crossover": Crossover(Restart()),
    "crossover": Crossover(),
    "front + crossover": Crossover(ParetoFront()),
    "softmax + crossover": Crossover(Softmax()),
    "islands + crossover": Crossover(Islands()),
    "five islands": Islands(count=5, migrate_every=50),
    "best, 1 in 5 islands": Mixed(((0.8, Best()), (0.2, Islands()))),
}


def smooth(bits, seed):
    """Count the bits that are set."""
    return Evaluation(sum(bits) / BITS)


def peaks(bits, seed):
    """Return the height of the highest peak in reach, less the distance to it."""
    draw = random.Random(f"peaks {seed}")
    tops = [(height / 8, [draw.randrange(2) for _ in range(BITS)]) for height in range(2, 9)]
    return Evaluation(max(height - 2 * apart(top, bits) / BITS for height, top in tops))


def traps(bits, seed):
    """Return the mean over groups of four: 1 for four set bits, else the more of them are clear the better."""
    groups = [sum(bits[i : i + 4]) for i in range(0, BITS, 4)]
    return Evaluation(statistics.fmean(1.0 if group == 4 else (3 - group) / 4 for group in groups))


def examples(bits, seed):
    """Return the share of twelve examples that come out right, and half a point for those that nearly do."""
    draw = random.Random(f"examples {seed}")
    target = [draw.randrange(2) for _ in range(BITS)]
    right = []
    for _ in range(12):
        places = draw.sample(range(BITS), 4)
        hits = sum(bits[place] == target[place] for place in places)
        right.append({4: 1.0, 3: 0.5}.get(hits, 0.0))
    return Evaluation(statistics.fmean(right), examples=tuple(right))


TASKS = {"smooth": smooth, "peaks": peaks, "traps": traps, "examples": examples}


def apart(one, other):
    """Return in how many bits two differ."""
    return sum(a != b for a, b in zip(one, other, strict=True))


def start(task, seed):
    """Return the bits that a study begins with: for the peaks, near the lowest one."""
    draw = random.Random(f"start {seed}")
    if task == "peaks":
        lowest = random.Random(f"peaks {seed}")
        return [lowest.randrange(2) for _ in range(BITS)]
    return [int(draw.random() < 0.3) for _ in range(BITS)]


def search(task, policy, seed, evaluations):
    """Run one study; return its best score."""
    draw = random.Random(f"model {task} {seed}")
    text = "".join(map(str, start(task, seed)))
    history = History.empty().after(Opened(Problem("t", "q", text), seed=seed))
    for number in range(evaluations + 1):
        parents = policy.choose(history.assuming(0, number), 0) if number else ()
        parents = parents or history.recent(1)
        if parents:
            text = varied([trial.text for trial in parents], draw)
        candidate = Candidate(
            number, text, origin="chat" if number else "start", parent=parents[0].id if number else None
        )
        failed = number and draw.random() < FAILING
        outcome = Failure("raised", "no") if failed else TASKS[task]([int(bit) for bit in text], seed)
        history = history.after(Proposed((candidate,), slot=number)).after(Told(number, outcome))
    return history.best.score


def varied(texts, draw):
    """Return a text made of these, with a few bits flipped, at least one."""
    bits = [draw.choice(column) for column in zip(*texts, strict=True)]
    flipped = [place for place in range(BITS) if draw.random() < FLIPPED] or [draw.randrange(BITS)]
    for place in flipped:
        bits[place] = "01"[bits[place] == "0"]
    return "".join(bits)


def rank(scores, name):
    """Return the place of a policy among all, 1 for the first; equals share the mean of their places."""
    higher = sum(score > scores[name] for score in scores.values())
    equal = sum(score == scores[name] for score in scores.values())
    return higher + (equal + 1) / 2


def main():
    """Print a line for each policy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run: 2 seeds, 40 evaluations")
    quick = parser.parse_args().quick
    seeds, evaluations = (range(2), 40) if quick else (range(SEEDS), EVALUATIONS)
    found = {
        (task, seed): {name: search(task, policy, seed, evaluations) for name, policy in POLICIES.items()}
        for task in TASKS
        for seed in seeds
    }
    print(f"stand-in, no model: {evaluations} evaluations, {len(seeds)} seeds; median (quartiles) of the best score")
    print("".ljust(22) + "".join(task.center(22) for task in TASKS) + "mean rank")
    for name in POLICIES:
        cells = []
        for task in TASKS:
            scores = [found[task, seed][name] for seed in seeds]
            low, middle, high = statistics.quantiles(scores, n=4)
            cells.append(f"{middle:.3f} ({low:.3f}-{high:.3f})".center(22))
        mean = statistics.fmean(rank(scores, name) for scores in found.values())
        print(f"{name:22}{''.join(cells)}{mean:9.2f}")


if __name__ == "__main__":
    main()
