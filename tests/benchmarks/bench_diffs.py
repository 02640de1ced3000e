"""What does it spare to show attempts of one line of descent as diffs?

A search changes some lines of its parent at each step, the parent being the latest attempt or the best one. The prompts
from step 20 on are counted twice: as they are, and for the same attempts without a known parent, which are shown in
full (and without the line that compares an attempt with its parent). Once with room for all of the default window, once
with the default allowance.

Run it: ``python tests/benchmarks/bench_diffs.py`` (half a minute), ``--quick`` for a smoke test.
"""

from __future__ import annotations

import argparse
import random
from statistics import fmean

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Problem
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.parents.best import Best

WIDE, USUAL = 60_000, 12_000
SKIPPED = 20


def line(draw):
    """Return a line of a program."""
    return f"    total_{draw.randrange(90)} = combine(total_{draw.randrange(90)}, weight={draw.random():.3f})"


def search(kind, allowance, *, linked, steps):
    """Return the mean tokens of a prompt, and the mean number of attempts in it."""
    lines, edits, parent = kind
    draw = random.Random(5)
    start = "\n".join(line(draw) for _ in range(lines))
    history = History.empty().after(Opened(Problem("Make the program faster.", "What is faster?", start), seed=1))
    proposer = ChatProposer(ScriptedModel([]), parent=parent, allowance=allowance)
    tokens, shown = [], []
    for number in range(steps):
        base = history.best if parent else history.trials[-1] if number else None
        rows = (base.text if base else start).split("\n")
        if base:
            prompt = proposer.describe(history.assuming(0, number - 1))
            tokens.append(prompt.tokens)
            shown.append(len(prompt.shown))
            for _ in range(edits):
                rows[draw.randrange(lines)] = line(draw)
        idea = f"Hypothesis: change {number} saves a step.\nI merge two sums." if base else ""
        candidate = Candidate(number, "\n".join(rows), idea, "chat:m", base.id if base and linked else None)
        outcome = Evaluation(draw.gauss(0, 1) + number / 20, "0.2 s in combine")
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, outcome))
    return fmean(tokens[SKIPPED:]), fmean(shown[SKIPPED:])


def main():
    """Print a line for each kind of search."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    steps = SKIPPED + (4 if quick else 40)
    print("lines  edits  parent   tokens in full  with diffs   less   attempts in 12,000 tokens: in full  with diffs")
    for lines in (40,) if quick else (15, 40, 150):
        for edits in (1, 4):
            for parent in (None, Best()):
                rows = [
                    search((lines, edits, parent), allowance, linked=linked, steps=steps)
                    for allowance in (WIDE, USUAL)
                    for linked in (False, True)
                ]
                (full, _), (diffs, _), (_, few), (_, many) = rows
                name = "best" if parent else "latest"
                figures = f"{full:14,.0f} {diffs:11,.0f} {1 - diffs / full:6.0%} {few:34.1f} {many:11.1f}"
                print(f"{lines:5}  {edits:5}  {name:6} {figures}", flush=True)


if __name__ == "__main__":
    main()
