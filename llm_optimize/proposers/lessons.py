"""What stays of feedback that prompts no longer show: lessons that the model draws from batches of attempts.

After ReEvo (Ye et al. 2024, arXiv 2402.01145), whose generator is given a running long-term reflection instead of a
growing history, and the root-cause analysis in batches of Opik's hierarchical reflective optimizer. Large batches are
mapped and reduced, as ComBEE does, because one reflection on all of a large batch finds less: each chunk that fits the
allowance gives a few lessons, which are then merged with those so far. The list never grows beyond a few lines, is
shown in every later prompt, and is corrected by later batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.checks import check_whole
from llm_optimize.core.types import Learned, Usage
from llm_optimize.errors import BudgetExceeded, ModelError
from llm_optimize.proposers.measuring import Measure, Steady
from llm_optimize.proposers.reflecting import Batch, Reflecting, listed
from llm_optimize.proposers.seeding import dice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.proposers.measuring import TextCounter

__all__ = ["Drawn", "Lessons"]

_BEHIND = 4  # batches; of feedback older than that nothing is learned any more, so that a late start is not dear
_SHARE = 4  # of the allowance: feedback that takes up more is a batch, however few attempts it is about
_CHARACTERS = 4  # of a token, about; a bound that does not depend on what a counter has learned
_ONE_IN = 4  # of proposals that are made at the same time draws the lessons
_NOTE_SHARE = 16  # of the allowance, for the lessons in a prompt


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of a reflection.

    Attributes:
        learned: the lessons; None if none were due, or the model could not be asked.
        usage: the cost.
        note: what went wrong, in a line; empty when nothing did.
    """

    learned: Learned | None = None
    usage: Usage = Usage()
    note: str = ""


@dataclass(frozen=True)
class Lessons:
    """Has the model sum up each batch of attempts in a few lessons, which later prompts show.

    It costs one call for every batch, with a prompt of up to the allowance, and two or more where a batch does not fit
    into one; in each prompt the lessons take up at most a sixteenth of the allowance. The calls are on the study's
    account under the role ``reflection``, within its budget. A reflection that fails loses no proposal, and is noted;
    one whose answer holds no lessons is not made again. Finding out whether one is due costs O(``every``).

    Attributes:
        every: attempts in a batch, at least 2: about as many as the window shows of the latest, so that feedback is
            summed up when it leaves. Feedback of more than a quarter of the allowance is a batch sooner.
        most: lessons that stand at a time, at least 1.
        model: who draws them; None for the proposer's model.

    Raises:
        BadInput: a number cannot be.

    Example:
        >>> Lessons(every=8).most
        8
    """

    every: int = 16
    most: int = 8
    model: ChatModel | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        check_whole("lessons: every", self.every, 2)
        check_whole("lessons: most", self.most, 1)

    def due(self, history: History, allowance: int) -> Batch:
        """Return what to learn from now; an empty batch if it is not complete, or another proposal's to look after.

        A pure function of the history: the batches are the same after a resume. Of proposals made at the same time the
        one that all earlier ones are done before looks after it, and one in four of the others.
        """
        if history.free_slots(1)[0] != history.slot and dice(history, 0, "lessons").randrange(_ONE_IN):
            return Batch()
        told, start = len(history.trials), history.lessons.upto
        if told - start > _BEHIND * self.every:
            start = (told // self.every - _BEHIND + 1) * self.every
        trials, left = history.trials[start : start + self.every], allowance * _CHARACTERS // _SHARE
        for count, trial in enumerate(trials, 1):
            left -= len(trial.feedback)
            if left < 0 or count == self.every:
                return Batch(start, trials[:count])
        return Batch()

    def draw(
        self, history: History, model: ChatModel, settings: Mapping[str, Any], counter: TextCounter, allowance: int
    ) -> Drawn:
        """Draw lessons from the batch that is due, if one is.

        Args:
            history: the past.
            model: who is asked, unless :attr:`model` is given,
            settings: with these fields of a request.
            counter: counts tokens.
            allowance: tokens of a prompt.

        Returns:
            The lessons with their cost. What the model raises is a note.
        """
        batch = self.due(history, allowance)
        if not batch.trials:
            return Drawn()
        steady = Steady(counter)
        asked, fields = (model, settings) if self.model is None else (self.model, {})
        reflecting = Reflecting(asked, fields, Measure(steady), int(allowance / steady.scale), self.most)
        try:
            texts = reflecting.lessons(history, batch)
        except (ModelError, BudgetExceeded) as error:
            return Drawn(None, reflecting.usage, f"no lessons were drawn: {error}")
        note = "" if texts else f"the reflection on {len(batch.trials)} attempts brought no lessons"
        return Drawn(Learned(batch.end, texts or history.lessons.texts), reflecting.usage, note)

    @staticmethod
    def notes(history: History, count: Callable[[str], int], allowance: int) -> tuple[str, ...]:
        """Return the lessons as a paragraph of a prompt, as many as fit into their share of the allowance."""
        texts = history.lessons.texts
        while texts:
            note = f"Lessons from the attempts so far, also from those not shown here:\n{listed(texts)}"
            if count(note) <= allowance // _NOTE_SHARE:
                return (note,)
            texts = texts[:-1]
        return ()
