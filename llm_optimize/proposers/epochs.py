"""The past as a chat that only grows, so that a provider's prompt cache serves most of it.

Providers keep the beginning of a prompt for some minutes and charge 10 to 50 % for the part of the next prompt that
repeats it to the letter, from 1,024 tokens on. The window of :mod:`llm_optimize.proposers.layout` repeats only the
system prompt once it is full: its oldest attempt changes with every step, and everything behind it moves. Here what
holds for the whole run stands first (the task, the question, the form of the answer), then the beginning of an epoch:
the attempts that the window chose when the epoch began. Each later attempt is put behind what was sent before, with
its result and the instructions that a person gave at that time; nothing written earlier changes, not even the digits
of a score. Only the last turn (the current x, and which attempt is the best) is new each time. An epoch ends after so
many trials, or when the allowance is reached; then the window chooses anew.

What it costs. Attempts stand in the order in which they came in, and the best one and the form of the answer may be
far above the end, where a model looks first: OPRO (Yang et al. 2023, ablation on ordering) found the best last to work
better than other orders. The last turn names the best attempt and where to look; no more is done about it, and what it
means for the scores of a run has not been measured here. The mean prompt is longer by half an epoch of attempts where
the window does not fill the allowance, which a cap on tokens counts in full, cached or not. A twentieth of the
allowance is kept free where counts are corrected by what the endpoint reports, so that a wavering correction does not
move the chat. A re-ask that does not fit behind the chat is sent with another one.

What it saves. On 200 steps of a 1,500-character x, ``tests/benchmarks/bench_prompt_cache.py`` finds 87 % of the prompt
tokens repeated, against 9 % with the window: 1.2 times its tokens, for 0.71, 0.45 and 0.29 of its price where cached
tokens cost 50, 25 and 10 %. Where they cost the same the window is cheaper.

No explicit cache marks (``cache_control``) are sent: they are not part of Chat Completions. Providers that ask for
them cache nothing; for those the window layout is the better one.

Everything is worked out from the history and the allowance alone, so that a resumed or a parallel run sends what an
undisturbed one would; what a counter learns only scales the allowance, in wide steps. Epochs begin at multiples of
their length; where the allowance ends one earlier is found by going through the trials since the last multiple, so a
prompt costs the same at any step.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.chat import Message
from llm_optimize.errors import BadInput
from llm_optimize.proposers import prompts
from llm_optimize.proposers.hypotheses import Figures
from llm_optimize.proposers.layout import CURRENT_SHARE, EARLIER_SHARE, TURN_TOKENS, Prompt, first_prompt
from llm_optimize.proposers.measuring import Measure, Steady
from llm_optimize.proposers.turns import TurnWriter, said
from llm_optimize.proposers.window import rounding_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.brief import Brief
    from llm_optimize.proposers.measuring import TextCounter
    from llm_optimize.proposers.turns import Said, Turns
    from llm_optimize.proposers.window import WindowPolicy

__all__ = ["EPOCH_LENGTH", "EpochComposer"]

EPOCH_LENGTH = 16
"""Trials after which an epoch ends at the latest: near the least cost for a window of 22 where cached tokens cost 10
to 25 %; the optimum, sqrt(2 * window * (1 - price) / price), is 20 and 11."""

_LONGEST = 48  # with the window's best among the 64 that a history keeps sorted, and a prompt's cost bounded
_BEGINNING_SHARE = 2  # of the room, for an epoch's beginning; the rest is for it to grow
_REMEMBERED = 512
_FEWEST_DIGITS = 4  # of scores, so that later ones seldom need more than those that stand already


class EpochComposer:
    """Writes the prompt for a history so that it begins as the one before; see the module for what that costs.

    Attributes:
        counter: counts tokens.
        measure: counts and shortens by it.
    """

    def __init__(
        self,
        counter: TextCounter,
        window: WindowPolicy,
        system_prompt: str,
        human_prompt: str,
        *,
        length: int = EPOCH_LENGTH,
    ) -> None:
        """Take the two prompts with their slots unfilled, and the trials in an epoch at most, 1 to 48.

        Raises:
            BadInput: the length is out of range.
        """
        if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= _LONGEST:
            msg = f"length is {length!r}: give the trials in an epoch, a whole number from 1 to {_LONGEST}"
            raise BadInput(msg)
        self.counter = counter
        self.measure = Measure(counter)
        self._length = length
        self._steady = Steady(counter)
        self._writer = _Writer(Measure(self._steady), window, human_prompt)
        self._system_prompt = system_prompt
        self._human_prompt = human_prompt

    def compose(self, history: History, allowance: int, brief: Brief | None = None) -> Prompt:
        """Return the prompt of the epoch that the history is in, grown by all that came since it began.

        The best trial is always in it. Where even the best alone does not fit, the prompt with this trial alone is
        returned, and is too long: its ``tokens`` say so. Of a brief the notes count, as far as there is room for them:
        the chat before them must not move.
        """
        notes = () if brief is None else brief.notes
        system = prompts.fill(self._system_prompt, {"task_description": history.problem.task})
        if not history.trials:
            form = None if brief is None else brief.form
            return first_prompt(history, self.measure, system, self._human_prompt, form, notes)
        room = int(max(allowance, 0) / self._steady.scale)
        chat = _Epochs(self._writer, history, system, room).latest(self._length)
        more = sum(self.measure.count(note) + TURN_TOKENS for note in notes)
        said = notes if chat.tokens + more <= room else ()
        messages = (Message("system", system), *chat.turns(history, said))
        tokens = chat.tokens + (more if said else 0)
        return Prompt(messages, self._corrected(tokens, len(messages)), chat.shown, chat.epoch)

    def _corrected(self, tokens: int, messages: int) -> int:
        fixed = messages * TURN_TOKENS
        return math.ceil((tokens - fixed) * self._steady.factor) + fixed


class _Writer:
    """What is the same for every epoch: the words, their lengths, and who chooses."""

    def __init__(self, measure: Measure, window: WindowPolicy, human_prompt: str) -> None:
        self.count = measure.count
        self.turns = TurnWriter(measure, _REMEMBERED)
        self.window = window
        self.asking, self._standing = prompts.standing_part(human_prompt)

    def standing(self, question: str) -> list[str]:
        """Return what is asked, for the beginning of the chat."""
        if not self._standing:
            return []
        return [prompts.standing(prompts.fill(self._standing, {"task_question": question}))]

    def question(self, question: str, text: str, outcome: str) -> list[str]:
        """Return what the chat ends with."""
        values = {"x": text.strip("\n"), "fx": outcome, "task_question": question}
        return [prompts.fill(self.asking, values), *([prompts.ANSWER_NOW] if self._standing else [])]

    def frame(self, system: str, question: str) -> int:
        """Count what does not depend on the trials and the guidance."""
        notes = [
            prompts.beginning_note(10**6, 10**6, self.window.rule),
            prompts.none_scored_note(10**6),
            *prompts.stale_note(10**6),
            prompts.GUIDANCE_REMINDER,
            prompts.ANSWER_NOW,
        ]
        parts = [system, *self.standing(question), self.asking, question, *notes]
        return sum(map(self.count, parts)) + 6 * TURN_TOKENS


class _Epochs:
    """Where the epochs of a history begin, for one allowance."""

    def __init__(self, writer: _Writer, history: History, system: str, room: int) -> None:
        self._writer = writer
        self._history = history
        self._room = room
        self._frame = writer.frame(system, history.problem.question)

    def latest(self, length: int) -> _Chat:
        """Return the chat of the epoch that is under way."""
        trials = self._history.trials
        told = len(trials)
        start = told - told % length
        chat = self._begun(start)
        for position, trial in enumerate(trials[start:], start):
            came = self._guidance(position + 1, position + 1)
            if not chat.grow(trial, came):
                chat = self._begun(position + 1)
        return chat

    def _begun(self, told: int) -> _Chat:
        """Begin an epoch when so many trials have been told.

        Instructions that came before stand at its beginning. Those that came at this very point, which may be after
        the epoch's first prompt, are put behind it; if that makes it too long, it begins once more with them.
        """
        before = bisect_left(self._history.guided, told or 1)
        now = bisect_right(self._history.guided, told)
        chat = self._beginning(told, before)
        if now > before and not chat.hear(self._history.guidance[before:now]):
            return self._beginning(told, now)
        return chat

    def _beginning(self, told: int, heard: int) -> _Chat:
        guidance = self._history.guidance[:heard]
        chat = _Chat(self._writer, self._history, self._room, self._frame, (told, heard), guidance)
        if told:
            chat.choose(self._writer.window.ranked(self._history.as_of(told)))
        return chat

    def _guidance(self, first: int, last: int) -> Sequence[str]:
        """Return what was said when ``first`` to ``last`` trials had been told."""
        guided = self._history.guided
        return self._history.guidance[bisect_left(guided, first) : bisect_right(guided, last)]


@dataclass(frozen=True, slots=True)
class _Shown:
    """A trial in the chat, with what a person said right behind it."""

    trial: Trial
    said: Said
    turns: Turns
    tokens: int
    heard: tuple[str, ...] = ()


class _Chat:
    """One epoch's chat, which grows at its end."""

    def __init__(  # noqa: PLR0913, PLR0917 - what an epoch begins with
        self,
        writer: _Writer,
        history: History,
        room: int,
        frame: int,
        epoch: tuple[int, int],
        guidance: Sequence[str],
    ) -> None:
        self.epoch = epoch
        self._writer = writer
        self._history = history
        self._room = room
        self._guidance = [prompts.guidance_note(guidance)] if guidance else []
        self._items: list[_Shown] = []
        self._begun_with = 0
        self._digits = _FEWEST_DIGITS
        self._scores: list[float] = []
        self._used = frame + sum(map(writer.count, self._guidance))

    @property
    def shown(self) -> tuple[Trial, ...]:
        return tuple(item.trial for item in self._items)

    @property
    def tokens(self) -> int:
        """An upper bound of the chat's length; an only item has no turn of its own."""
        alone = self._items[0].turns.proposed.content if len(self._items) == 1 else None
        spared = 0 if alone is None else self._writer.count(alone) + TURN_TOKENS
        return self._used + self._as_current(self._items[-1]) - spared

    def choose(self, ranked: Sequence[Trial]) -> None:
        """Begin with the first of ``ranked``, and those others that fit: half of the room is kept for what follows.

        All of the room is for the first two, the best and the latest.
        """
        for trial in ranked:
            self._learn_digits(trial)
        half = self._used + (self._room - self._used) // _BEGINNING_SHARE
        items, last, used = [], None, self._used
        for rank, trial in enumerate(ranked):
            item = self._item(trial)
            newest = item if last is None else max(last, item, key=_number)
            wider = used + item.tokens
            if not rank or wider + self._as_current(newest) <= (self._room if rank == 1 else half):
                items.append(item)
                used, last = wider, newest
        self._items = sorted(items, key=_number)
        self._begun_with, self._used = len(items), used

    def grow(self, trial: Trial, heard: Sequence[str]) -> bool:
        """Put a trial behind the others; return whether there was room for it. If not, the chat is of no more use."""
        self._learn_digits(trial)
        item = self._item(trial, tuple(heard))
        self._items.append(item)
        self._used += item.tokens
        return self.tokens <= self._room

    def hear(self, guidance: Sequence[str]) -> bool:
        """Put instructions behind the last of the trials; return whether there was room. If not, see ``grow``."""
        last = self._items[-1]
        self._items[-1] = _Shown(last.trial, last.said, last.turns, last.tokens, tuple(guidance))
        self._used += self._writer.count(prompts.guidance_note(guidance))
        return self.tokens <= self._room

    def turns(self, history: History, notes: Sequence[str] = ()) -> Iterator[Message]:
        """Yield user and assistant turns in alternation, beginning and ending with a user's."""
        *earlier, current = self._items
        head = [*self._writer.standing(history.problem.question), *self._selection(), *self._guidance]
        if earlier:
            first, *others = earlier
            yield _user(*head, first.turns.opening, *_heard(first))
            for item in others:
                yield item.turns.proposed
                yield _user(item.turns.result.content, *_heard(item))
            yield current.turns.proposed
            head = []
        outcome = self._outcome(current)
        asked = self._writer.question(history.problem.question, current.trial.text, outcome)
        yield _user(*head, *_heard(current), *self._notes(history), *notes, *asked)

    def _selection(self) -> list[str]:
        told, _ = self.epoch
        if self._begun_with >= told:
            return []
        return [prompts.beginning_note(self._begun_with, told, self._writer.window.rule)]

    def _notes(self, history: History) -> list[str]:
        current, best = self._items[-1].trial, history.best
        notes = []
        if best is None or best.score is None:
            notes = [prompts.none_scored_note(current.id)]
        elif len(self._items) > 1 or best.id != current.id:
            notes = [prompts.best_note(best.id, self._figures.show(best.score), current.id)]
            notes += prompts.stale_note(history.stale)
        return [*notes, *([prompts.GUIDANCE_REMINDER] if history.guidance else [])]

    def _learn_digits(self, trial: Trial) -> None:
        """Show this score, and those to come, with as many digits as tell it from its neighbours so far."""
        if trial.score is None:
            return
        place = bisect_left(self._scores, trial.score)
        self._scores.insert(place, trial.score)
        self._digits = max(self._digits, prompts.score_digits(self._scores[max(0, place - 1) : place + 3]))

    def _item(self, trial: Trial, heard: tuple[str, ...] = ()) -> _Shown:
        outcome = said(self._history, trial, self._figures)
        turns = self._writer.turns.earlier(trial, outcome, self._room // EARLIER_SHARE)
        count = self._writer.count
        tokens = count(turns.proposed.content) + count(turns.result.content) + 2 * TURN_TOKENS
        if heard:
            tokens += count(prompts.guidance_note(heard))
        return _Shown(trial, outcome, turns, tokens, heard)

    @property
    def _figures(self) -> Figures:
        return Figures(self._digits, rounding_of(self._writer.window))

    def _outcome(self, item: _Shown) -> str:
        return self._writer.turns.result(item.trial, item.said, self._room // CURRENT_SHARE)

    def _as_current(self, item: _Shown) -> int:
        """Count what the last item takes beyond its turns: its text once more, and a longer result."""
        count = self._writer.count
        more = count(item.trial.text) * self._writer.asking.count("{x}") + count(self._outcome(item))
        return more - count(item.turns.result.content)


def _number(item: _Shown) -> int:
    return item.trial.id


def _heard(item: _Shown) -> list[str]:
    return [prompts.guidance_note(item.heard)] if item.heard else []


def _user(*parts: str) -> Message:
    return Message("user", "\n\n".join(parts))
