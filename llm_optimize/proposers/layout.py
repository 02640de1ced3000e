"""The past as a chat that fits into an allowance of tokens.

System prompt; then, as in the predecessor, one assistant turn for each attempt but the oldest shown and one user turn
for each result, so that k attempts make 2k messages. Unlike in the predecessor only the last user turn carries the
whole human prompt, the number is shown beside the feedback, and the length is bounded whatever the number of steps.

Tokens are counted for the parts of the chat (texts, ideas, feedback), each once while it is in the window, and added
up with an allowance for what joins them: the sum is an upper bound, and a prompt costs the same at any step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from llm_optimize.core.chat import Message
from llm_optimize.proposers import prompts
from llm_optimize.proposers.abridging import Abridging
from llm_optimize.proposers.forms.full_text import FullText
from llm_optimize.proposers.hypotheses import Figures
from llm_optimize.proposers.measuring import Measure
from llm_optimize.proposers.turns import TurnWriter, said
from llm_optimize.proposers.window import is_ascending, rounding_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.brief import Brief
    from llm_optimize.proposers.forms.form import Form
    from llm_optimize.proposers.measuring import TextCounter
    from llm_optimize.proposers.turns import Turns
    from llm_optimize.proposers.window import WindowPolicy

__all__ = ["CURRENT_SHARE", "EARLIER_SHARE", "TURN_TOKENS", "Composer", "Layout", "Prompt", "first_prompt"]

TURN_TOKENS = 6
"""Tokens set aside for what a chat format, and the joining of parts, add to a message."""

CURRENT_SHARE = 8
"""Feedback on the current x may take up 1/8 of the allowance,"""

EARLIER_SHARE = 32
"""that on each other attempt, and each idea, 1/32."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A chat ready to be sent.

    Attributes:
        messages: system turn first, then user and assistant turns in alternation, the last one a user's.
        tokens: its length, as far as the counter is right; from :meth:`Layout.compose` an upper bound of it.
        shown: the trials in it in the order of the chat; the last one is the current x. Empty before the first.
        epoch: how many trials had been told, and instructions given, when the chat's beginning was settled, where
            the layout settles it for several prompts.
    """

    messages: tuple[Message, ...]
    tokens: int
    shown: tuple[Trial, ...] = ()
    epoch: tuple[int, int] = (0, 0)


class Layout(Protocol):
    """Writes the prompt for a history, within an allowance of tokens.

    Attributes:
        counter: counts tokens.
        measure: counts and shortens by it.
    """

    counter: TextCounter
    measure: Measure

    def compose(self, history: History, allowance: int, brief: Brief | None = None) -> Prompt:
        """Return the prompt, of at most ``allowance`` tokens unless the first trial alone takes more.

        Without a brief it asks for a full text built on the latest attempt.
        """
        ...


class Composer:
    """Writes the prompt for a history: a window's choice of trials, laid out as a chat, fitted by a counter.

    Attributes:
        counter: counts tokens.
        measure: counts and shortens by it.
    """

    def __init__(self, counter: TextCounter, window: WindowPolicy, system_prompt: str, human_prompt: str) -> None:
        """Take the two prompts with their slots unfilled, see :mod:`llm_optimize.proposers.prompts`."""
        self.counter = counter
        self.measure = Measure(counter)
        self._writer = TurnWriter(self.measure)
        self._window = window
        self._system_prompt = system_prompt
        self._human_prompt = human_prompt

    def compose(self, history: History, allowance: int, brief: Brief | None = None) -> Prompt:
        """Return the prompt with the trials that the window asks for, as many as fit into ``allowance`` tokens.

        The parents that a brief names come before all others; the first of them is shown last, as the current x. Where
        even the first trial does not fit, the prompt with this trial alone is returned, and is too long: its
        ``tokens`` say so.
        """
        system = prompts.fill(self._system_prompt, {"task_description": history.problem.task})
        form: Form = FullText() if brief is None else brief.form
        human_prompt = prompts.in_form(self._human_prompt, form)
        parents, notes = ((), ()) if brief is None else (brief.parents, brief.notes)
        ranked = _with_parents(self._window.ranked(history), parents)
        if not ranked:
            return first_prompt(history, self.measure, system, human_prompt, form, notes)
        used = self.measure.count(system) + TURN_TOKENS
        asking = _Asked(history, human_prompt, self._window, tuple(trial.id for trial in parents), notes)
        page = _Page(self._writer, self.measure, asking, ranked, allowance)
        shown, tokens = page.fitting(ranked, allowance - used)
        return Prompt((Message("system", system), *page.turns(shown)), used + tokens, tuple(shown))


def _with_parents(ranked: Sequence[Trial], parents: Sequence[Trial]) -> Sequence[Trial]:
    """Put the parent first, then the best, then those to combine it with."""
    if not parents:
        return ranked
    return list({trial.id: trial for trial in (parents[0], *ranked[:1], *parents[1:], *ranked)}.values())


def first_prompt(  # noqa: PLR0913, PLR0917 - all that a prompt is made of while there is no past
    history: History,
    measure: Measure,
    system: str,
    human_prompt: str,
    form: Form | None = None,
    notes: Sequence[str] = (),
) -> Prompt:
    """Ask for the first draft; or, where x0 is there but has no outcome yet, for an improvement on it."""
    problem = history.problem
    if problem.start is None:
        asked = prompts.fill(prompts.first_draft_prompt(form or FullText()), {"task_question": problem.question})
    else:
        values = {"x": problem.start.strip("\n"), "fx": prompts.NOT_SCORED, "task_question": problem.question}
        asked = prompts.fill(human_prompt, values)
    messages = (Message("system", system), Message("user", _joined([*_guidance(history), *notes, asked])))
    return Prompt(messages, sum(measure.count(message.content) + TURN_TOKENS for message in messages))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the last user turn says: the human prompt, with notes before it."""

    history: History
    human_prompt: str
    window: WindowPolicy
    parents: tuple[int, ...] = ()
    briefed: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        return self.window.rule

    def place(self, trial: Trial) -> tuple[bool, float, int]:
        """Say where a trial stands in the chat: the parent last, the others by age, or by score if the window says so.

        A failure comes before every score.
        """
        last = self.parents[:1] == (trial.id,)
        if not is_ascending(self.window):
            return last, 0.0, trial.id
        return last, -math.inf if trial.score is None else trial.score, trial.id

    def selection(self, shown: int) -> list[str]:
        """Say how many trials are shown, unless it is all of them; belongs to the first user turn."""
        total, ascending = len(self.history.trials), is_ascending(self.window)
        if shown == total and not (ascending and shown > 1):
            return []
        return [prompts.selection_note(shown, total, self.rule, ascending=ascending)]

    def notes(self, current: Trial, figures: Figures, earlier: Sequence[Trial]) -> list[str]:
        best, shown = self.history.best, {trial.id for trial in earlier}
        note = []
        if best is None or best.score is None:
            note = [prompts.none_scored_note(current.id)]
        elif earlier or best.id != current.id:
            score = figures.show(best.score)
            note = [prompts.best_note(best.id, score, current.id, shown=best.id in shown, chosen=bool(self.parents))]
            note += prompts.stale_note(self.history.stale)
        if others := [number for number in self.parents[1:] if number in shown]:
            note.append(prompts.combine_note(others))
        return [*note, *_guidance(self.history), *self.briefed]

    def question(self, text: str, outcome: str) -> str:
        values = {"x": text.strip("\n"), "fx": outcome, "task_question": self.history.problem.question}
        return prompts.fill(self.human_prompt, values)

    @property
    def copies(self) -> int:
        return self.human_prompt.count("{x}")

    def unfilled(self) -> list[str]:
        """Return the parts that do not depend on the trials."""
        widest = prompts.selection_note(10**6, 10**6, self.rule)
        best = [prompts.none_scored_note(10**6), prompts.combine_note(self.parents[1:])]
        others = [*prompts.stale_note(self.history.stale), *_guidance(self.history), *self.briefed]
        return [self.human_prompt, self.history.problem.question, widest, *best, *others]


class _Page:
    """The turns behind the system prompt, for one history and one allowance."""

    def __init__(
        self, writer: TurnWriter, measure: Measure, asked: _Asked, ranked: Sequence[Trial], allowance: int
    ) -> None:
        self._writer = writer
        self._count = measure.count
        self._asked = asked
        digits = prompts.score_digits([trial.score for trial in ranked if trial.score is not None])
        self._figures = Figures(digits, rounding_of(asked.window))
        self._said = {trial.id: said(asked.history, trial, self._figures) for trial in ranked}
        self._current_limit = max(allowance, 0) // CURRENT_SHARE
        limit = max(allowance, 0) // EARLIER_SHARE
        self._earlier = {trial.id: writer.earlier(trial, self._said[trial.id], limit) for trial in ranked}
        self._abridging = Abridging(writer, asked.history, self._said, limit)

    def fitting(self, ranked: Sequence[Trial], room: int) -> tuple[list[Trial], int]:
        """Return the trials that fit into ``room`` tokens, in the order of the chat, and how many they take.

        The first is in; each other one if it fits beside those ranked higher.
        """
        place, spared = self._asked.place, self._abridging.spared
        unfilled = self._asked.unfilled()
        frame = sum(map(self._count, unfilled)) + len(unfilled) * TURN_TOKENS
        chosen, last = [ranked[0]], ranked[0]
        used, more = frame + self._as_earlier(last), self._as_current(last)
        for trial in ranked[1:]:
            wider, latest = used + self._as_earlier(trial), max(last, trial, key=place)
            current = more if latest is last else self._as_current(trial)
            if wider + current - spared([*chosen, trial]) <= room:
                chosen.append(trial)
                used, more, last = wider, current, latest
        if len(chosen) == 1:
            used -= self._count(self._earlier[last.id].proposed.content) + TURN_TOKENS
        return sorted(chosen, key=place), used + more - spared(chosen)

    def turns(self, shown: Sequence[Trial]) -> Iterator[Message]:
        """Yield user and assistant turns in alternation, beginning and ending with a user's."""
        *earlier, current = self._turns_of(shown)
        head = self._asked.selection(len(shown))
        if earlier:
            first, *others = earlier
            yield Message("user", _joined([*head, first.opening]))
            for turns in others:
                yield turns.proposed
                yield turns.result
            yield current.proposed
            head = []
        trial = shown[-1]
        notes = self._asked.notes(trial, self._figures, shown[:-1])
        yield Message("user", _joined([*head, *notes, self._asked.question(trial.text, self._outcome(trial))]))

    def _turns_of(self, shown: Sequence[Trial]) -> list[Turns]:
        abridged = self._abridging.turns(shown)
        return [abridged.get(trial.id, self._earlier[trial.id]) for trial in shown]

    def _outcome(self, current: Trial) -> str:
        return self._writer.result(current, self._said[current.id], self._current_limit)

    def _as_earlier(self, trial: Trial) -> int:
        turns = self._earlier[trial.id]
        return self._count(turns.proposed.content) + self._count(turns.result.content) + 2 * TURN_TOKENS

    def _as_current(self, trial: Trial) -> int:
        """Count what a trial takes when its result stands in the last turn, with the text once more, not in its own."""
        text, outcome = self._count(trial.text) * self._asked.copies, self._count(self._outcome(trial))
        return text + outcome - self._count(self._earlier[trial.id].result.content)


def _guidance(history: History) -> list[str]:
    return [prompts.guidance_note(history.guidance)] if history.guidance else []


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(parts)
