"""The feedback of a data set: how a candidate did on the examples that it did worst on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.types import Evaluation, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.types import Outcome
    from llm_optimize.scorers.example import Example

__all__ = ["Judged", "told_of"]

_SHOWN = 300  # characters of each value


@dataclass(frozen=True, slots=True)
class Judged:
    """An example that was run.

    Attributes:
        number: its place in the data set, from 0.
        example: itself.
        outcome: what the metric said, or how it failed.
        output: what the candidate put out; None where it did not get so far.
        usage: what the metric reported to have cost; empty for one whose cost was booked before.
    """

    number: int
    example: Example
    outcome: Outcome
    output: Any = None
    usage: Usage = Usage()

    @property
    def name(self) -> str:
        """The example's key, or its number from 1."""
        return self.example.key or f"example {self.number + 1}"


def told_of(head: str, rows: Sequence[tuple[float, Judged]], worst: int, *, show_expected: bool) -> str:
    """Return the feedback of an evaluation.

    Args:
        head: its first line.
        rows: score and example, in the order of the data set.
        worst: how many to show; those with the highest score of all are left out, unless all have the same.
        show_expected: whether to show what was expected.
    """
    top = max(score for score, _ in rows)
    below = [row for row in rows if row[0] < top] or list(rows)
    chosen = sorted(below, key=lambda row: row[0])[:worst]  # stable: the earlier of equals first
    return "\n\n".join([head, *(_shown(score, one, show_expected=show_expected) for score, one in chosen)])


def _shown(score: float, one: Judged, *, show_expected: bool) -> str:
    lines = [f"{one.name}, score {score:.4g}:"]
    lines += [f"  {name}: {_short(value)}" for name, value in one.example.inputs.items()]
    if one.output is not None:
        lines.append(f"  output: {_short(one.output)}")
    if show_expected and one.example.expected is not None:
        lines.append(f"  expected: {_short(one.example.expected)}")
    said = one.outcome.feedback if isinstance(one.outcome, Evaluation) else one.outcome.message
    if said:
        lines.append(f"  remark: {_short(said)}")
    return "\n".join(lines)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = text.strip()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
