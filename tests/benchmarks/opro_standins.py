"""Stand-ins for a chat model in OPRO's two tasks: they read the prompt as a model would, and answer at stated rates.

Neither knows the answer, the data or the score of what it proposes. Of its replies 3 % decline, 4 % hold prose alone,
5 % repeat a candidate that is shown, and for the travelling salesman another 5 % leave a point out. All others change
what is shown: see :func:`line` and :func:`tour`. A reply depends on the seed, on the prompt, on the number of the call
in its step, and on how often the same was asked before: as at temperature 1, the same question brings another answer.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from llm_optimize import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.chat import Request

__all__ = ["RATES", "line", "standin", "tour"]

RATES = {"declines": 0.03, "says nothing": 0.04, "repeats": 0.05, "leaves one out": 0.05}
"""Shares of replies; the last one holds for tours alone."""

_PAIR = re.compile(r"w=(-?\d+), b=(-?\d+)\nvalue:\n(\d+)")
_POINT = re.compile(r"\((\d+)\): \((-?\d+), (-?\d+)\)")
_TRACE = re.compile(r"<trace>([\d,]+)</trace>\nlength:")
_LOOKS = 4


def standin(answer: Callable[[str, random.Random], str], seed: int) -> ScriptedModel:
    """Return a model that answers by :func:`line` or :func:`tour`."""
    asked: Counter[str] = Counter()

    def reply(request: Request) -> str:
        prompt = request.messages[-1].content
        asked[f"{request.key} {prompt}"] += 1
        dice = random.Random(f"{seed} {asked[f'{request.key} {prompt}']} {request.key} {prompt}")
        drawn = dice.random()
        if drawn < RATES["declines"]:
            return "I'm sorry, but I cannot help with that."
        if drawn < RATES["declines"] + RATES["says nothing"]:
            return "Judging by the values above, a smaller one should be close to the last of them."
        return answer(prompt, dice)

    return ScriptedModel(reply, name="stand-in")


def line(prompt: str, dice: random.Random) -> str:
    """Move one of the three best shown pairs: on from a worse pair, and by chance about as far as those differ.

    Where the shown pairs lie close together its moves are small, as those of the models in the paper are.
    """
    shown = [(int(w), int(b)) for w, b, _ in _PAIR.findall(prompt)]
    best = shown[-3:]
    w, b = dice.choice(best)
    if dice.random() < RATES["repeats"]:
        return f"Let me try [{w}, {b}]"
    from_w, from_b = dice.choice(shown)
    step = dice.uniform(0, 1.2)
    spread = [max(1.0, (max(column) - min(column)) / 3) for column in zip(*shown[-8:], strict=True)]
    new = (w + step * (w - from_w) + dice.gauss(0, spread[0]), b + step * (b - from_b) + dice.gauss(0, spread[1]))
    return f"The values fall towards the last pairs, so I go on from ({w}, {b}).\n[{round(new[0])}, {round(new[1])}]"


def tour(prompt: str, dice: random.Random) -> str:
    """Change one of the two best shown traces: the best of four random reversals or moves of a stretch."""
    points = {int(index): (int(x), int(y)) for index, x, y in _POINT.findall(prompt.partition("Below are")[0])}
    traces = [[*map(int, listed.split(","))] for listed in _TRACE.findall(prompt)]
    base = dice.choice(traces[-2:])
    if dice.random() < RATES["repeats"]:
        return f"<trace>{','.join(map(str, base))}</trace>"
    changed = min((_changed(base, dice) for _ in range(_LOOKS)), key=lambda trace: _length(points, trace))
    if dice.random() < RATES["leaves one out"]:
        changed.remove(dice.choice(changed[1:]))
    return f"A shorter one may be <trace>{','.join(map(str, changed))}</trace>"


def _changed(trace: list[int], dice: random.Random) -> list[int]:
    first, last = sorted(dice.sample(range(1, len(trace) + 1), 2))
    stretch, rest = trace[first:last], trace[:first] + trace[last:]
    if dice.random() < 0.5:
        return [*trace[:first], *reversed(stretch), *trace[last:]]
    place = dice.randint(1, len(rest))
    return [*rest[:place], *stretch, *rest[place:]]


def _length(points: dict[int, tuple[int, int]], trace: list[int]) -> float:
    return math.fsum(math.dist(points[a], points[b]) for a, b in pairwise([*trace, trace[0]]))
