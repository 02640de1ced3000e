"""The stages that ask models. Each piece of work has a name; what its file holds is not done again.

A piece whose record was not written when the process was killed is done again from the replies that were paid: a
reply is on disk before anything builds on it, and a call whose reply was lost on the way goes out under the same
idempotency key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.chat import Message, Request
from llm_optimize.core.metering import entered
from llm_optimize.core.scoring import evaluate
from llm_optimize.core.types import Evaluation
from llm_optimize.distill.asking import Attempt, length_question, read_length, rewriting
from llm_optimize.distill.records import Answer, Answers, Rewrite
from llm_optimize.errors import ContextTooLong
from llm_optimize.proposers.improving import read_rewrite
from llm_optimize.scorers.parting import normalised
from llm_optimize.scorers.spreading import spread
from llm_optimize.text.fences import after_thinking

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llm_optimize.core.chat import Reply
    from llm_optimize.core.metering import Scope
    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.distill.files import Folder, Lines
    from llm_optimize.distill.items import Item
    from llm_optimize.distill.settings import Settings
    from llm_optimize.distill.spending import Purse

__all__ = ["Case", "Models", "Stages"]

_KEPT = 2000  # characters of an answer in a stage's file; the whole is among the replies
_TOKENS_PER_WORD = 4  # a bound: an answer that is cut off is wrong
_LEAST_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Models:
    """Who does what.

    Attributes:
        target: answers the prompts.
        rewriter: rewrites them.
    """

    target: ChatModel
    rewriter: ChatModel


@dataclass(frozen=True, slots=True)
class Case:
    """A version of an item's prompt that is to be answered.

    Attributes:
        item: the item.
        version: its name, unique for the item within a stage.
        prompt: the version.
    """

    item: Item
    version: str
    prompt: str


class Stages:
    """The stages of one run, on its open folder."""

    def __init__(self, models: Models, folder: Folder, purse: Purse, settings: Settings, parallel: int) -> None:
        """Open the files."""
        self._models = models
        self._purse = purse
        self._settings = settings
        self._parallel = parallel
        self._files = {name: folder.lines(name) for name in ("lengths", "samples", "rewrites", "scores", "comparison")}
        self._made: dict[str, list[Rewrite]] = {}
        for rewrite in map(Rewrite.of, self._files["rewrites"].records):
            self._made.setdefault(rewrite.id, []).append(rewrite)
        self.lengths: dict[str, int] = {one["id"]: one["words"] for one in self._files["lengths"].records}

    def estimate_lengths(self, items: Iterable[Item]) -> None:
        """Ask how many words an answer needs, for the items whose answers are open."""
        waiting = [item for item in items if item.kind == "alpaca" and item.id not in self.lengths]
        low, high = self._settings.words

        def work(item: Item) -> bool:
            with entered(self._purse.scope(f"length/{item.id}")):
                asked = length_question(item.asked(item.prompt))
                reply = self._models.target.complete(Request(asked, {"temperature": 0, "max_tokens": 64}, "length"))
            words = read_length(reply.text, low, high)
            self._files["lengths"].append({"id": item.id, "words": words})
            self.lengths[item.id] = words
            return True

        spread(work, waiting, self._parallel)

    def sample(self, items: Iterable[Item]) -> dict[str, Answers]:
        """Answer the items' own prompts; return the answers by item."""
        found = self.answer("samples", [Case(item, "original", item.prompt) for item in items])
        return {name: answers for (name, _), answers in found.items()}

    def rewrite(self, round_: int, items: Iterable[Item], known: Mapping[str, Sequence[Attempt]]) -> None:
        """Make the rewrites of a round.

        Args:
            round_: from 1 on.
            items: to be rewritten.
            known: by item, the original with its answers, then every version that was scored before.
        """

        def work(item: Item) -> bool:
            for index in range(self._settings.rewrites):
                self._rewrite(item, round_, index, known[item.id])
            return True

        def is_done(item: Item) -> bool:
            return sum(one.round == round_ for one in self.rewrites(item)) >= self._settings.rewrites

        spread(work, [item for item in items if not is_done(item)], self._parallel)

    def rewrites(self, item: Item) -> tuple[Rewrite, ...]:
        """Return the rewrites of an item that there are, in the order of their making."""
        return tuple(sorted(self._made.get(item.id, ()), key=lambda one: (one.round, one.index)))

    def answer(self, stage: str, cases: Iterable[Case]) -> dict[tuple[str, str], Answers]:
        """Answer and score the cases that the stage's file does not hold; return all that it holds then.

        Args:
            stage: ``samples``, ``scores`` or ``comparison``.
            cases: what is to be answered, as often as the settings say.
        """
        file = self._files[stage]
        found = _read(file)
        waiting = [case for case in cases if (case.item.id, case.version) not in found]

        def work(case: Case) -> bool:
            scope = self._purse.scope(f"{stage}/{case.item.id}/{case.version}")
            answers = tuple(self._answer(case, scope, number) for number in range(self._settings.samples))
            file.append(Answers(case.item.id, case.version, answers).record())
            return True

        spread(work, waiting, self._parallel)
        return _read(file)

    def _answer(self, case: Case, scope: Scope, number: int) -> Answer:
        limit = self._limit(case.item)
        message = Message("user", case.item.asked(case.prompt))
        request = Request((message,), {**self._settings.answering, "max_tokens": limit}, f"answer-{number}")
        try:
            with entered(scope):
                reply = self._models.target.complete(request)
        except ContextTooLong:
            return Answer("", 0.0, "too long for the model")
        unusable = _unusable(reply)
        if unusable:
            return Answer(reply.text[:_KEPT] or reply.refusal[:_KEPT], 0.0, unusable)
        outcome, _ = evaluate(case.item.scorer, after_thinking(reply.text), scope)
        text = reply.text[:_KEPT]
        if not isinstance(outcome, Evaluation):
            return Answer(text, None, f"{outcome.kind}: {outcome.message[:200]}")
        return Answer(text, float(outcome.score), "", {name: float(value) for name, value in outcome.metrics.items()})

    def _limit(self, item: Item) -> int:
        words = self.lengths.get(item.id)
        bound = self._settings.answer_tokens
        return bound if words is None else min(max(words * _TOKENS_PER_WORD, _LEAST_TOKENS), bound)

    def _rewrite(self, item: Item, round_: int, index: int, known: Sequence[Attempt]) -> None:
        earlier = self.rewrites(item)
        if any((one.round, one.index) == (round_, index) for one in earlier):
            return
        settings = self._settings
        answer = item.answer if settings.show_answer else ""
        way = settings.seed + (round_ - 1) * settings.rewrites + index
        asked = rewriting(known[0], item.rest, known[1:], way, answer)
        limits: dict[str, Any] = {**settings.rewriting, "max_tokens": settings.answer_tokens}
        try:
            with entered(self._purse.scope(f"rewrites/{item.id}/{round_}-{index}")):
                reply = self._models.rewriter.complete(Request(asked, limits, "rewrite"))
            prompt, note = read_rewrite(reply)
        except ContextTooLong:
            prompt, note = "", "too long for the rewriter"
        status = _status(item, prompt, [one.prompt for one in earlier])
        rewrite = Rewrite(item.id, round_, index, prompt, status, note, bool(answer))
        self._files["rewrites"].append(rewrite.record())
        self._made.setdefault(item.id, []).append(rewrite)  # of one item, one thread at a time


def _read(file: Lines) -> dict[tuple[str, str], Answers]:
    found = map(Answers.of, list(file.records))
    return {(one.id, one.version): one for one in found}


def _unusable(reply: Reply) -> str:
    """Return why a reply is no answer, or an empty text; nothing of the kind is scored."""
    if reply.finish_reason == "length":
        return "cut off"
    if reply.refusal or reply.finish_reason == "content_filter":
        return "refused"
    return "" if after_thinking(reply.text).strip() else "empty"


def _status(item: Item, prompt: str, earlier: Sequence[str]) -> Any:  # noqa: ANN401 - a Status
    if not prompt:
        return "none"
    same = normalised(prompt)
    if same == normalised(item.prompt):
        return "unchanged"
    if any(same == normalised(one) for one in earlier if one):
        return "duplicate"
    return "gives_away" if item.gives_away(prompt) else "new"
