"""A sweep's trials as pairs of a prompt and settings, ranked: what its table, its files and its page are made of.

The candidate of a sweep is one JSON object as text, ``{"prompt": .., "system_prompt": .., "settings": {..}}``.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.types import Evaluation, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llm_optimize.core.types import Trial

__all__ = ["Pair", "is_sweep", "pairs"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One prompt with one set of settings, and what came of it.

    Attributes:
        id: the candidate's id in the study.
        prompt: the user prompt, its slots still in it.
        system_prompt: empty where there is none.
        settings: field of the request -> value, as it was sent.
        answers: what the model answered, one text per input and repeat, in order; empty for a failure.
        similarity: mean over answers (and over repeated evaluations); higher is closer. None for a failure.
        spread: standard deviation of the single similarities, in units of the similarity; None below two of them.
        n: how many similarities the mean is of; 0 for a failure.
        usage: what its calls cost.
        seconds: wall time of its first evaluation.
        failure: kind and message; empty for a pair that has a similarity.
    """

    id: int
    prompt: str
    system_prompt: str
    settings: Mapping[str, Any]
    answers: tuple[str, ...]
    similarity: float | None
    spread: float | None
    n: int
    usage: Usage
    seconds: float
    failure: str = ""


def is_sweep(settings: Mapping[str, Any]) -> bool:
    """Return whether a study with these ``Opened.settings`` is a sweep."""
    return isinstance(settings.get("sweep"), dict)


def pairs(trials: Iterable[Trial]) -> list[Pair]:
    """Return the trials of a sweep as pairs: the best first, the earlier of equals first, failures last.

    A candidate that is not the object described above becomes a pair of that text and no settings.

    Example:
        >>> from llm_optimize.core.types import Candidate, Evaluation, Trial
        >>> text = '{"prompt": "Hi", "system_prompt": "", "settings": {"temperature": 0.3}}'
        >>> [one] = pairs([Trial(Candidate(0, text), Evaluation(0.5, answers=("Hello",)))])
        >>> one.prompt, one.settings, one.similarity, one.answers
        ('Hi', {'temperature': 0.3}, 0.5, ('Hello',))
    """
    return sorted(map(_pair, trials), key=_rank)


def _rank(pair: Pair) -> tuple[bool, float, int]:
    return pair.similarity is None, -(pair.similarity or 0.0), pair.id


def _pair(trial: Trial) -> Pair:
    prompt, system_prompt, settings = _parts(trial.text)
    outcome = trial.outcome
    if not isinstance(outcome, Evaluation):
        failure = f"{outcome.kind}: {outcome.message}"
        return Pair(trial.id, prompt, system_prompt, settings, (), None, None, 0, outcome.usage, trial.seconds, failure)
    spread, n = _spread(trial, outcome)
    return Pair(
        trial.id, prompt, system_prompt, settings, outcome.answers, trial.score, spread, n, outcome.usage, trial.seconds
    )


def _spread(trial: Trial, outcome: Evaluation) -> tuple[float | None, int]:
    """Return the spread and its number: of repeated evaluations, else of the scores within the one evaluation."""
    if trial.n > 1 or len(outcome.examples) < 2:  # noqa: PLR2004 - one score has no spread
        return trial.spread, trial.n
    return statistics.stdev(outcome.examples), len(outcome.examples)


def _parts(text: str) -> tuple[str, str, Mapping[str, Any]]:
    try:
        body = json.loads(text)
    except ValueError:
        return text, "", {}
    if not isinstance(body, dict) or not isinstance(body.get("settings", {}), dict):
        return text, "", {}
    return str(body.get("prompt", "")), str(body.get("system_prompt", "")), body.get("settings", {})
