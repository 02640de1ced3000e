"""The border to a user's scorer: whatever it does becomes an outcome."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

from llm_optimize.core.clock import SYSTEM
from llm_optimize.core.metering import Scope, entered
from llm_optimize.core.types import Evaluation, Failure, Outcome, is_comparable
from llm_optimize.errors import LLMOptimizeError

if TYPE_CHECKING:
    from llm_optimize.core.protocols import Scorer
    from llm_optimize.core.types import Usage

__all__ = ["evaluate", "to_outcome"]

_REMEDY = "return a finite number (higher is better), (number, text) or an Evaluation"


def evaluate(scorer: Scorer, text: str, scope: Scope | None = None) -> tuple[Outcome, float]:
    """Score ``text`` and return (outcome, seconds); a scorer that raises has a Failure for its outcome.

    Errors of this package pass through: a spent budget, an endpoint that is down or a broken jail say nothing about
    the candidate, so it must not be scored for them.

    Raises:
        LLMOptimizeError: raised inside the scorer by this package.
    """
    clock = SYSTEM if scope is None else scope.clock
    began = clock.monotonic()
    try:
        with entered(scope):
            outcome = to_outcome(scorer(text))
    except LLMOptimizeError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the first of the three borders; code under test may exit
        outcome = Failure("raised", _where(error))
    if scope is not None:
        outcome = replace(outcome, usage=_cost(outcome.usage, scope.usage))
    return outcome, clock.monotonic() - began


def _cost(reported: Usage, seen: Usage) -> Usage:
    """Return the cost of an evaluation that reports one and was seen to spend one.

    A report with calls in it contains those that were seen, unless it knows of fewer; one without calls is of
    something else, such as a search engine.
    """
    if not seen.tokens and not seen.calls:
        return reported
    if not reported.calls:
        return seen + reported
    return seen if reported.calls <= seen.calls else reported


def to_outcome(value: object) -> Outcome:
    """Turn what a scorer returned into an outcome.

    Args:
        value: a number, (number, feedback), :class:`~llm_optimize.core.types.Evaluation` or
            :class:`~llm_optimize.core.types.Failure`; numpy numbers count as numbers, ints stay ints.

    Returns:
        An Evaluation, or a Failure of kind ``bad_score`` that says what came and what is wanted.

    Example:
        >>> to_outcome((0.5, "half right"))
        Evaluation(score=0.5, feedback='half right', metrics={}, examples=(), usage=Usage(calls=0, tokens_in=0, ...
    """
    if isinstance(value, (Evaluation, Failure)):
        return value
    bare, feedback = value, ""
    if isinstance(value, tuple) and len(value) == 2:  # noqa: PLR2004 - (score, feedback)
        bare, feedback = value[0], "" if value[1] is None else str(value[1])
    score = _number(bare)
    if score is None:
        return Failure("bad_score", f"the scorer returned {_shown(value)}: {_REMEDY}")
    return Evaluation(score, feedback)


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return float(value)
    if type(value) in {int, float}:
        score: float = value  # type: ignore[assignment]  # the line above says so
    elif hasattr(value, "__float__") and not isinstance(value, (str, bytes)):
        try:
            score = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
    else:
        return None
    return score if is_comparable(score) else None


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:60]}... ({type(value).__name__})"  # noqa: PLR2004 - one line


def _where(error: BaseException) -> str:
    """Say what was raised and where, in a line that helps the model and the user alike."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first frame is evaluate() itself
    place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
