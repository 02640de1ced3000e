"""One proposal while it is being made: the requests, the tools called on the way, and what becomes of the replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from llm_optimize.core.chat import Message, Request
from llm_optimize.core.history import same_text
from llm_optimize.core.types import Draft, Usage
from llm_optimize.errors import ContextTooLong, NoCandidate
from llm_optimize.llm.model import model_name
from llm_optimize.proposers import prompts
from llm_optimize.proposers.conversing import Bench, Talk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.chat import Reply
    from llm_optimize.core.history import History
    from llm_optimize.proposers.brief import Brief
    from llm_optimize.proposers.layout import Layout, Prompt

__all__ = ["Asker", "Asking", "Context"]

_RESULT_SHARE = 4  # a tool's result may take up 1/4 of the allowance, a reply that is shown back to the model 1/8
_OF_CONTEXT = 0.75  # of a model's context; the rest is for its reply
_DIGITS = 6  # of a score that is named by itself
_QUOTED = 200  # characters of a refusal that are quoted
_WITHHELD = {
    "length": "it was cut off by the limit on its length: be briefer",
    "content_filter": "it was withheld by the endpoint's content filter",
}


class Context:
    """The allowance, and what is left of it once the endpoint said that a prompt is too long.

    A cache, not state: a process that starts anew learns it again by one refused call, which is not charged.
    """

    def __init__(self, allowance: int) -> None:
        """Begin with the whole allowance, in tokens."""
        self.allowance = allowance

    def shrink(self, sent: int, limit: int | None) -> None:
        """Learn from a refused prompt of ``sent`` tokens, and the model's context if the endpoint named it."""
        told = int(limit * _OF_CONTEXT) if limit else 0
        self.allowance = min(self.allowance, told if 0 < told < sent else sent // 2)


class Asker(Protocol):
    """On whose behalf is asked, a :class:`~llm_optimize.proposers.chat.ChatProposer`: its attributes."""

    @property
    def allowance(self) -> int:
        """Tokens of a prompt."""
        ...

    @property
    def reasks(self) -> int:
        """How often a reply without a candidate is asked for again."""
        ...

    @property
    def tools(self) -> Sequence[Any]:
        """Functions for the model."""
        ...

    @property
    def tool_calls(self) -> int:
        """How many calls of them a proposal has."""
        ...

    def objection(self, text: str, history: History, drafts: Sequence[Draft]) -> str | None:
        """Return why a text is not worth an evaluation, as a clause that tells the model, or None."""
        ...


class Asking:
    """Asks for the drafts of one proposal.

    The requests' keys depend on the replies alone, not on what tools returned or how much of it was shown: a resumed
    study that recalls the replies sends the same ones.

    Attributes:
        drafts: what came so far.
        notes: why others did not.
        usage: what all replies cost.
        bench: the tools, and their use.
    """

    def __init__(
        self, proposer: Asker, composer: Layout, context: Context, history: History, briefs: Sequence[Brief]
    ) -> None:
        """Take what the proposer has, and a brief for each draft; nothing is asked yet.

        Drafts that are asked for in the same way share one object, and, where the endpoint can, one call.
        """
        self.drafts: list[Draft] = []
        self.notes: list[str] = []
        self.usage = Usage()
        self.bench = Bench(proposer.tools, proposer.tool_calls)
        self._proposer = proposer
        self._composer = composer
        self._context = context
        self._history = history
        self._tools_tokens = composer.measure.count(self.bench.text)
        self._briefs = briefs
        self._brief = briefs[0]
        self._prompt = self._composed(0)
        self._spare: list[Reply] = []
        self._several = not self.bench.specs

    @property
    def first(self) -> tuple[Prompt, int]:
        """The prompt that is sent first, and how many tokens the tools take up beside it."""
        return self._prompt, self._tools_tokens

    def ask(self, index: int) -> None:
        """Get the draft of this index, from 0, or a note that says why there is none; one call may bring several."""
        wanted = self._turn_to(index)
        talk = Talk(self._composer.measure, self._context.allowance // _RESULT_SHARE)
        reason = ""
        for attempt in range(1 + self._proposer.reasks):
            try:
                reply = self._reply(talk, f"ask-{index}{_again(attempt)}", 1 if attempt else wanted)
                self.drafts.append(self._draft(reply))
            except NoCandidate as error:
                reason = str(error)
                talk.ask_again(reply.text, reason, self._brief.form.reminder)
            except ContextTooLong:
                if not attempt:
                    raise
                break  # the chat fits, but not with a bad reply behind it
            else:
                return
        self.notes.append(reason)

    def _turn_to(self, index: int) -> int:
        """Take up the brief of a draft; return for how many drafts from here on it stands."""
        brief = self._briefs[index]
        if brief is not self._brief:
            self._brief, self._spare = brief, []
            self._prompt = self._composed(0)
        behind = self._briefs[index:]
        return next((count for count, other in enumerate(behind) if other is not brief), len(behind))

    def _reply(self, talk: Talk, key: str, wanted: int) -> Reply:
        """Return an answer: one that came with an earlier draft's, or the one that ends a round of tool calls."""
        reply = self._complete(talk, key, 1) if talk.begun else self._one_of(talk, key, wanted)
        rounds = 0
        while reply.tool_calls and self.bench.open:
            talk.called(reply, self.bench.answer(reply.tool_calls))
            rounds += 1
            reply = self._complete(talk, f"{key}-tools-{rounds}", 1)
        return reply

    def _one_of(self, talk: Talk, key: str, wanted: int) -> Reply:
        if self._spare:
            return self._spare.pop(0)
        reply = self._complete(talk, key, wanted if self._several else 1)
        self._spare = list(reply.more)
        self._several &= bool(reply.more)  # else the endpoint gives one at a time
        return reply

    def _complete(self, talk: Talk, key: str, n: int) -> Reply:
        """Send the chat with what was said behind it; shrink it while it is too long."""
        while True:
            messages, tokens = self._chat(talk)
            try:
                reply = self._brief.model.complete(self._request(talk, messages, key, n))
            except ContextTooLong as error:
                self._shrink(talk, tokens, error)
            else:
                self._account(talk, messages, reply)
                return reply

    def _request(self, talk: Talk, messages: tuple[Message, ...], key: str, n: int) -> Request:
        settings = self._brief.settings
        if self.bench.open:
            return Request(messages, settings, key, tools=self.bench.specs, n=n)
        if talk.has_calls:  # endpoints refuse a chat with calls of tools that it does not name
            return Request(messages, {**settings, "tool_choice": "none"}, key, tools=self.bench.specs, n=n)
        return Request(messages, settings, key, n=n)

    def _account(self, talk: Talk, messages: tuple[Message, ...], reply: Reply) -> None:
        self.usage += reply.usage
        if reply.usage.estimated or talk.has_calls:  # how calls are written into a prompt is the endpoint's own affair
            return
        seen = (*messages, Message("system", self.bench.text)) if self.bench.open else messages
        self._composer.counter.observe(seen, reply.usage.tokens_in)

    def _chat(self, talk: Talk) -> tuple[tuple[Message, ...], int]:
        while True:
            behind = talk.tokens() + self._tools_tokens
            prompt = self._prompt
            if prompt.tokens + behind > self._context.allowance:
                prompt = self._composed(talk.tokens())
            if prompt.tokens + behind <= self._proposer.allowance or not talk.begun:
                return talk.behind(prompt.messages), prompt.tokens + behind
            if not self._shorten(talk):
                msg = "the allowance has no room for a bad reply and the reason to ask again"
                raise ContextTooLong(msg)

    def _composed(self, behind: int) -> Prompt:
        allowance = self._context.allowance - self._tools_tokens - behind
        return self._composer.compose(self._history, allowance, self._brief)

    def _shrink(self, talk: Talk, sent: int, error: ContextTooLong) -> None:
        """Make the window, else the talk, smaller, or give up when only the minimum is left."""
        self._context.shrink(sent, error.limit)
        smaller = self._composed(0)
        if smaller.tokens < self._prompt.tokens:
            self._prompt = smaller
        elif not self._shorten(talk):
            raise error

    def _shorten(self, talk: Talk) -> bool:
        called = talk.has_calls
        shortened = talk.shorten()
        if called and not talk.has_calls:
            self.bench.close()  # what more calls would bring would not fit either
        return shortened

    def _draft(self, reply: Reply) -> Draft:
        """Take the draft out of a reply.

        Raises:
            NoCandidate: there is none, or it is an old one.
        """
        if reply.refusal:
            msg = f"you declined to give one ({' '.join(reply.refusal.split())[:_QUOTED]})"
            raise NoCandidate(msg)
        if reply.finish_reason in _WITHHELD:
            raise NoCandidate(_WITHHELD[reply.finish_reason])
        if reply.tool_calls and not reply.text.strip():
            raise NoCandidate(prompts.CALL_NOT_POSSIBLE)
        shown = self._prompt.shown
        found = self._brief.form.read(reply.text, shown[-1].text if shown else self._history.problem.start)
        self._check_new(found.text)
        objection = self._proposer.objection(found.text, self._history, self.drafts)
        if objection is not None:
            raise NoCandidate(objection)
        parent = shown[-1].id if shown else None
        return Draft(found.text, found.explanation, self._origin(), parent, self._others(parent))

    def _others(self, parent: int | None) -> tuple[int, ...]:
        """Return the attempts that the draft was to be combined with, as far as the prompt had room for them."""
        shown = {trial.id for trial in self._prompt.shown} - {parent}
        return tuple(trial.id for trial in self._brief.parents[1:] if trial.id in shown)

    def _origin(self) -> str:
        angle = f"/{self._brief.angle}" if self._brief.angle else ""
        return f"chat:{model_name(self._brief.model)}{angle}"

    def _check_new(self, text: str) -> None:
        seen = self._history.seen(text)
        if seen is not None:
            raise NoCandidate(prompts.duplicate_reason(seen, self._result(seen)))
        if any(same_text(draft.text) == same_text(text) for draft in self.drafts):
            raise NoCandidate(prompts.duplicate_reason(None, ""))

    def _result(self, candidate_id: int) -> str:
        trial = self._history.trial(candidate_id)
        if trial is None:
            return "is being evaluated"
        return "failed" if trial.score is None else f"scored {prompts.show_score(trial.score, _DIGITS)}"


def _again(attempt: int) -> str:
    return "-again" * bool(attempt) + (f"-{attempt}" if attempt > 1 else "")
