"""The tables of the OPRO paper (Yang et al., 2023), and those of a run in the same form."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.types import Usage

__all__ = ["REGRESSION_PAPER", "TSP_PAPER", "Run", "costs", "mean_and", "regression_rows", "salesman_rows"]

REGRESSION_PAPER = {
    (15, 14): ("5.8 +- 2.6", "7.6 +- 4.5", "4.0 +- 1.5", "40.0 +- 12.4", "36.0 +- 15.2", "17.2 +- 5.1"),
    (17, 17): ("4.0 +- 1.8", "12.6 +- 6.0", "6.0 +- 3.7", "33.4 +- 11.7", "53.8 +- 16.9", "26.0 +- 10.6"),
    (16, 10): ("3.8 +- 2.2", "10.4 +- 5.4", "6.2 +- 3.1", "30.2 +- 13.4", "42.8 +- 16.3", "24.2 +- 8.2"),
    (3, 5): ("9.8 +- 2.8", "10.8 +- 2.7", "12.2 +- 2.0", "55.8 +- 16.1", "39.6 +- 10.1", "33.0 +- 4.0"),
    (25, 23): ("19.6 +- 11.4", "26.4 +- 18.3", "12.2 +- 3.7", "104.0 +- 52.3", "78.6 +- 26.2", "44.2 +- 8.3"),
    (2, 30): ("31.4 +- 6.3", "42.8 +- 9.7", "38.0 +- 15.9", "126.4 +- 17.7", "125.6 +- 21.7", "99.0 +- 24.6"),
    (36, -1): ("35.8 +- 6.4", "45.4 +- 16.9", "50.4 +- 18.8", "174.0 +- 28.2", "142.2 +- 31.2", "116.4 +- 32.7"),
}
"""Table 2: steps, then unique pairs, of text-bison, gpt-3.5-turbo and gpt-4."""

TSP_PAPER = {
    10: ("13.0 +- 1.3", "3.2 +- 1.4", "0.0", "0.0", "0.0", "40.4 (5)", "46.8 (5)", "9.6 (5)"),
    15: ("9.4 +- 3.7", "1.2 +- 0.6", "4.4 +- 1.3", "1.2 +- 1.1", "0.2 +- 0.2", "- (0)", "202.0 (4)", "58.5 (4)"),
    20: ("16.0 +- 3.9", "0.2 +- 0.1", "30.4 +- 10.6", "4.4 +- 2.5", "1.4 +- 0.6", "- (0)", "438.0 (1)", "195.5 (2)"),
    50: ("19.7 +- 3.1", "9.8 +- 1.5", "219.8 +- 13.7", "133.0 +- 6.8", "11.0 +- 2.6", "- (0)", "- (0)", "- (0)"),
}
"""Table 3: gaps of NN and FI, then gaps and steps (successes of 5) of text-bison, gpt-3.5-turbo and gpt-4."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to.

    Attributes:
        steps: proposals after the starts.
        unique: different candidates that were evaluated, starts included.
        found: whether the optimum was reached.
        gap: by how much the best one misses it, as a share.
        usage: of the model.
        invalid: drafts that a model was asked for and that did not come: its reply held no candidate.
        repeated: proposals of what was there before.
    """

    steps: int
    unique: int
    found: bool
    gap: float
    usage: Usage
    invalid: int
    repeated: int


def mean_and(values: Sequence[float], *, error: bool = False, digits: int = 1) -> str:
    """Return the mean with the standard deviation, as numpy's default has it, or with the standard error.

    Example:
        >>> mean_and([1, 3]), mean_and([1, 3], error=True), mean_and([])
        ('2.0 +- 1.0', '2.0 +- 1.0', '-')
    """
    if not values:
        return "-"
    spread = statistics.pstdev(values)
    if error and len(values) > 1:
        spread = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.{digits}f} +- {spread:.{digits}f}"


def costs(runs: Sequence[Run]) -> str:
    """Return calls, tokens, invalid replies and repeated proposals of a run, as means."""
    calls, tokens = (statistics.fmean(getattr(one.usage, name) for one in runs) for name in ("calls", "tokens"))
    invalid, repeated = (statistics.fmean(getattr(one, name) for one in runs) for name in ("invalid", "repeated"))
    return f"{calls:7.1f} calls {tokens:9,.0f} tokens {invalid:5.1f} invalid {repeated:5.1f} repeated"


def regression_rows(pair: tuple[int, int], runs: Sequence[Run]) -> str:
    """Return the rows of a pair: what the paper's models needed, and what the runs did."""
    paper = REGRESSION_PAPER[pair]
    found = sum(one.found for one in runs)
    return "\n".join([
        f"w, b = {pair[0]}, {pair[1]}",
        f"  paper   steps {' | '.join(f'{cell:>13}' for cell in paper[:3])}",
        f"          pairs {' | '.join(f'{cell:>13}' for cell in paper[3:])}",
        f"  here    steps {mean_and([one.steps for one in runs]):>13}   found {found} of {len(runs)}",
        f"          pairs {mean_and([one.unique for one in runs]):>13}   {costs(runs)}",
    ])  # fmt: skip


def salesman_rows(n: int, heuristics: tuple[Sequence[float], Sequence[float]], runs: Sequence[Run]) -> str:
    """Return the rows of a size: gaps in per cent, and the steps of the runs that reached the optimum.

    Args:
        n: points.
        heuristics: gaps of nearest neighbour and of farthest insertion on the instances of the runs.
        runs: one for each instance.
    """
    paper = TSP_PAPER[n]
    nearest, farthest = (mean_and([100 * gap for gap in gaps], error=True) for gaps in heuristics)
    found = [one.steps for one in runs if one.found]
    gaps = mean_and([100 * one.gap for one in runs], error=True)
    steps = f"{mean_and(found, error=True)} ({len(found)} of {len(runs)})"
    return "\n".join([
        f"n = {n}",
        f"  paper   gap % {' | '.join(f'{cell:>13}' for cell in paper[2:5])}   NN {paper[0]}, FI {paper[1]}",
        f"          steps {' | '.join(f'{cell:>13}' for cell in paper[5:])}",
        f"  here    gap % {gaps:>13}   NN {nearest}, FI {farthest}",
        f"          steps {steps}   {costs(runs)}",
    ])  # fmt: skip
