"""One reflection: a batch of attempts in, a few lessons out, by as many calls as the allowance needs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.core.chat import Message, Request
from llm_optimize.core.metering import acting_as
from llm_optimize.core.types import Usage
from llm_optimize.errors import ContextTooLong
from llm_optimize.proposers import prompts
from llm_optimize.proposers.hypotheses import Figures
from llm_optimize.proposers.layout import CURRENT_SHARE, EARLIER_SHARE, TURN_TOKENS
from llm_optimize.proposers.turns import said
from llm_optimize.text.fences import fence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.chat import Reply
    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.measuring import Measure

__all__ = ["ROLE", "Batch", "Reflecting", "listed"]

ROLE = "reflection"
"""Under which its calls are booked, unless the model has a role of its own."""

_LONGEST = 400  # characters of a lesson
_TASK_SHARE, _QUESTION_SHARE, _BEFORE_SHARE = 4, 8, 8  # of the allowance
_LINE = re.compile(r"^\s*(?:[-*\u2022]|\d{1,2}[.)])\s+(\S.*)$", re.MULTILINE)

_SYSTEM = """\
You study the attempts of an optimization: inputs x, and what a function f said about each of them, a score, where \
higher is better, and often feedback in words. You draw lessons from them for whoever writes the next x. You propose \
no x yourself.

# Task

{task}

{question}"""

_DRAW = """\
Draw lessons from these attempts: what raises the score and what lowers it, what fails and why, what the feedback asks \
for again and again, which hypotheses held."""
_MERGE = "Make one list of all of these lessons: merge those that say the same."
_CORRECT = "Of the lessons so far, keep those that still hold; correct or drop those that the results speak against."
_FORM = """\
Answer with at most {most} lessons and nothing else, the most important first. Each is one line that begins with "- ", \
has at most 40 words, is of use for attempts to come, and names the attempts that speak for it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is learned from.

    Attributes:
        start: how many trials were told before these.
        trials: in the order of their arrival; empty if none are due.
    """

    start: int = 0
    trials: Sequence[Trial] = ()

    @property
    def end(self) -> int:
        """How many trials had been told with the last of these."""
        return self.start + len(self.trials)


@dataclass
class Reflecting:
    """Asks for the lessons of one batch.

    The requests' keys name the attempts that they are about, so that a resumed proposal recalls what was paid for.

    Attributes:
        model: is asked.
        settings: fields of each request.
        measure: counts and shortens by tokens, steadily: what a reply teaches a counter would change the chunks.
        allowance: such tokens that a prompt may take up.
        most: lessons in an answer.
        usage: what all replies have cost so far.
    """

    model: ChatModel
    settings: Mapping[str, Any]
    measure: Measure
    allowance: int
    most: int
    usage: Usage = field(default_factory=Usage)

    def lessons(self, history: History, batch: Batch) -> tuple[str, ...]:
        """Return the lessons of a batch merged with those so far; empty if the model gave none.

        A batch that fits one prompt is one call. Else each chunk of it is one (map), and one more merges what came of
        them with the lessons so far (reduce).

        Raises:
            ModelError: it could not be asked.
            BudgetExceeded: a call would pass a cap.
        """
        before = self.measure.shorten(listed(history.lessons.texts), self.allowance // _BEFORE_SHARE)
        told = self._told(history, batch)
        fixed = [self._system(history), before, _DRAW, _CORRECT, _FORM]
        room = self.allowance - sum(map(self.measure.count, fixed)) - (len(fixed) + 2) * TURN_TOKENS
        if sum(self.measure.count(text) + TURN_TOKENS for text in told) <= room:
            try:
                return self._asked(history, f"lessons-{batch.start}-{batch.end}", "\n\n".join(told), before)
            except ContextTooLong:
                if len(told) == 1:
                    raise
                room //= 2  # the model's context is narrower than the allowance
        parts = [part for chunk in self._chunks(told, room) for part in self._mapped(history, batch.start, *chunk)]
        if not parts or (len(parts) == 1 and not before):
            return parts[0] if parts else ()
        lists = self.measure.shorten("\n\n".join(map(listed, parts)), room)
        return self._asked(history, f"lessons-{batch.start}-{batch.end}-all", lists, before, _MERGE)

    def _told(self, history: History, batch: Batch) -> list[str]:
        """Return what is told of each attempt: as much of its feedback as when it was the current x."""
        limit, ample = self.allowance // EARLIER_SHARE, self.allowance // CURRENT_SHARE
        scores = [trial.score for trial in batch.trials if trial.score is not None]
        figures = Figures(prompts.score_digits(scores))
        shorten = self.measure.shorten
        texts = []
        for trial in batch.trials:
            what = said(history, trial, figures)
            outcome = prompts.result(what.status, shorten(trial.feedback.strip("\n"), ample), what.verdict)
            idea = shorten(trial.candidate.idea, limit)
            shown = f"# Attempt #{trial.id}", idea, fence(shorten(trial.text.strip("\n"), limit)), outcome
            texts.append("\n\n".join(filter(None, shown)))
        return texts

    def _chunks(self, told: Sequence[str], room: int) -> list[tuple[int, list[str]]]:
        """Divide the texts into runs that fit into ``room`` tokens each, at least one text a run."""
        chunks: list[tuple[int, list[str]]] = []
        left = 0
        for number, text in enumerate(told):
            tokens = self.measure.count(text) + TURN_TOKENS
            if not chunks or tokens > left:
                chunks.append((number, []))
                left = room
            chunks[-1][1].append(text)
            left -= tokens
        return chunks

    def _mapped(self, history: History, start: int, first: int, told: list[str]) -> list[tuple[str, ...]]:
        """Return the lessons of a chunk: one list, or those of its halves where it is too long for the model."""
        begin, end = start + first, start + first + len(told)
        try:
            lessons = self._asked(history, f"lessons-{begin}-{end}-part", "\n\n".join(told))
        except ContextTooLong:
            if len(told) == 1:
                raise
            half = len(told) // 2
            later = self._mapped(history, start, first + half, told[half:])
            return [*self._mapped(history, start, first, told[:half]), *later]
        return [lessons] if lessons else []

    def _asked(self, history: History, key: str, shown: str, before: str = "", task: str = _DRAW) -> tuple[str, ...]:
        asked = [task, *([_CORRECT] if before else []), prompts.fill(_FORM, {"most": str(self.most)})]
        known = [f"# Lessons so far\n\n{before}"] if before else []
        content = "\n\n".join([shown, *known, " ".join(asked)])
        messages = (Message("system", self._system(history)), Message("user", content))
        with acting_as(ROLE):
            reply = self.model.complete(Request(messages, self.settings, key))
        self.usage += reply.usage
        return _lessons_in(reply, self.most)

    def _system(self, history: History) -> str:
        problem, shorten = history.problem, self.measure.shorten
        task = shorten(problem.task, self.allowance // _TASK_SHARE)
        question = shorten(problem.question, self.allowance // _QUESTION_SHARE)
        return prompts.fill(_SYSTEM, {"task": task, "question": question})


def listed(lessons: Sequence[str]) -> str:
    """Return lessons as lines of a list."""
    return "\n".join(f"- {lesson}" for lesson in lessons)


def _lessons_in(reply: Reply, most: int) -> tuple[str, ...]:
    """Return the lines of a list in a reply; none for a refusal, and without the last of one that was cut off."""
    if reply.refusal or reply.finish_reason == "content_filter":
        return ()
    lines = [" ".join(line.split())[:_LONGEST] for line in _LINE.findall(reply.text)]
    return tuple(lines[:-1] if reply.finish_reason == "length" else lines)[:most]
