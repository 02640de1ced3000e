"""What a training file is made of: a text, a better version of it, and what is known of both.

They come from a distill run's folder, from the log of any study (a candidate that scored above the one it was made
from), or from a file of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.core.history import History
from llm_optimize.core.linefiles import read_lines
from llm_optimize.errors import BadInput, StoreError
from llm_optimize.proposers.improving import IMPROVE
from llm_optimize.scorers.parting import parted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from llm_optimize.core.events import Event
    from llm_optimize.core.types import Trial

__all__ = ["Improvement", "from_distill", "from_study", "split"]

_BEST = "best.jsonl"


@dataclass(frozen=True, slots=True)
class Improvement:
    """A text and a better version of it.

    Attributes:
        id: of the item or candidate.
        before: the text.
        after: the better one.
        after_score: of the better one; None where nothing was scored.
        others: (text, score) of further versions, all of them worse; the first one is ``before`` where it was scored.
        system: the instruction that goes with it.
        question: what is asked of the model after the text; may be empty.
        part: ``train`` or ``validation``.
        answer_shown: whether the better version was made by a rewriter who was told the right answer.
    """

    id: str
    before: str
    after: str
    after_score: float | None = None
    others: tuple[tuple[str, float], ...] = ()
    system: str = IMPROVE
    question: str = ""
    part: str = "train"
    answer_shown: bool = False

    @property
    def asked(self) -> str:
        """The turn of the user: the text, and the question if there is one."""
        return f"{self.before}\n\n{self.question}" if self.question else self.before


def from_distill(folder: str | os.PathLike[str]) -> tuple[Improvement, ...]:
    """Return the improved items of a run; those whose original nothing beat teach nothing and are left out.

    Raises:
        BadInput: it is no such folder, or the run has not come so far.
        StoreError: a file is damaged.
    """
    path = Path(folder).expanduser()
    if not (path / "run.json").exists():
        msg = f"{path}: is no folder of a distill run; give the one that `llm-optimize distill --folder` was given"
        raise BadInput(msg)
    if not (path / _BEST).exists():
        msg = f"{path}: the run has chosen nothing yet; run the same `llm-optimize distill` again to go on"
        raise BadInput(msg)
    records, _ = read_lines(path / _BEST)
    try:
        return tuple(_of_item(record) for record in records if record["version"] != "original")
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path / _BEST}: holds a record that cannot be read ({error}): run the same `llm-optimize distill` again"
        raise StoreError(msg) from error


def from_study(events: Iterable[Event]) -> tuple[Improvement, ...]:
    """Return each candidate of a study that scored above the one that it was made from (else: above the start).

    The worse versions of it are the other candidates that were made from the same one. What scores vary by chance is
    not looked at: a difference within the noise is an improvement here.
    """
    history = History.empty()
    for event in events:
        history = history.after(event)
    scored = {trial.id: trial for trial in history.trials if trial.score is not None}
    start = next((trial for trial in scored.values() if trial.candidate.origin == "start"), None)
    children: dict[int, list[Trial]] = {}
    for trial in sorted(scored.values(), key=lambda one: one.id):
        parent = scored.get(-1 if trial.candidate.parent is None else trial.candidate.parent, start)
        if parent is not None and parent.id != trial.id:
            children.setdefault(parent.id, []).append(trial)
    found: dict[tuple[str, str], Improvement] = {}
    for parent_id, made in children.items():
        for one in _better(scored[parent_id], made):
            found.setdefault((one.before, one.after), one)
    problem = history.problem
    return tuple(replace(one, system=problem.task, question=problem.question) for one in found.values())


def split(improvements: Sequence[Improvement], share: float, seed: int = 0) -> tuple[Improvement, ...]:
    """Return them with their parts drawn by seed; those that share a text stay together.

    Args:
        improvements: with any parts.
        share: to hold out for validation, 0 to below 1.
        seed: another one parts differently.

    Raises:
        BadInput: the share is out of range.
    """
    if not 0 <= share < 1:
        msg = f"validation is {share!r}: give a share from 0 to below 1"
        raise BadInput(msg)
    numbered = [(str(number), (one.before, one.after)) for number, one in enumerate(improvements)]
    parts: Mapping[str, str] = parted(numbered, share, seed)
    return tuple(replace(one, part=parts[str(number)]) for number, one in enumerate(improvements))


def _of_item(record: Mapping[str, Any]) -> Improvement:
    """Return what a line of a run's ``best.jsonl`` says, see :class:`llm_optimize.distill.records.Best`."""
    score = float(record["improved_score"])
    return Improvement(
        id=str(record["id"]),
        before=str(record["original"]),
        after=str(record["improved"]),
        after_score=score,
        others=_below([(str(text), float(one)) for text, one in record["versions"]], score),
        part=str(record["part"]),
        answer_shown=bool(record["answer_shown"]),
    )


def _below(versions: Sequence[tuple[str, float]], score: float) -> tuple[tuple[str, float], ...]:
    return tuple((text, one) for text, one in versions if one < score)


def _better(parent: Trial, children: Sequence[Trial]) -> list[Improvement]:
    base = parent.score or 0.0
    versions = [(parent.text, base), *((one.text, one.score or 0.0) for one in children)]
    return [
        Improvement(str(one.id), parent.text, one.text, score, _below(versions, score))
        for one in children
        if (score := one.score or 0.0) > base and one.text.strip()
    ]
