"""The chat proposer: shows a model the past, takes a candidate out of its reply, and never lets a bad reply through.

What is not evaluated: prose, refusals, empty, cut-off and withheld replies, and exact copies of earlier candidates. The
model is told the reason and asked once more; then the draft is given up and the proposal's note says why.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.core.chat import Message, Request
from llm_optimize.core.history import same_text
from llm_optimize.core.types import Draft, Proposal, Usage
from llm_optimize.errors import BadInput, BudgetExceeded, ContextTooLong, ModelError, NoCandidate
from llm_optimize.llm.model import model_name
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.proposers import prompts
from llm_optimize.proposers.epochs import EpochComposer
from llm_optimize.proposers.layout import TURN_TOKENS, Composer, Layout, Prompt
from llm_optimize.proposers.window import Window
from llm_optimize.text.fences import extract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.chat import Reply
    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.proposers.measuring import TextCounter
    from llm_optimize.proposers.window import WindowPolicy

__all__ = ["ChatProposer"]

_LAYOUTS = {"window": Composer, "epochs": EpochComposer}
_REPLY_SHARE = 8  # a reply that is shown back to the model may take up 1/8 of the allowance
_OF_CONTEXT = 0.75  # of a model's context; the rest is for its reply
_DIGITS = 6  # of a score that is named by itself
_QUOTED = 200  # characters of a refusal that are quoted
_WITHHELD = {
    "length": "it was cut off by the limit on its length: be briefer",
    "content_filter": "it was withheld by the endpoint's content filter",
}


@dataclass(frozen=True)
class ChatProposer:
    r"""Asks a chat model for better candidates.

    Attributes:
        model: answers the requests.
        system_prompt: with the slot ``{task_description}``.
        human_prompt: with the slots ``{x}`` (needed), ``{fx}`` and ``{task_question}``.
        window: which past is shown.
        layout: ``window`` shows the window's choice anew in each prompt; ``epochs`` lets the chat grow behind what was
            sent before, so that an endpoint with a prompt cache serves most of a prompt at a lower price; see
            :mod:`llm_optimize.proposers.epochs` for what each costs.
        allowance: tokens that a prompt may take up at most, replies not included. The model's context must hold it and
            the reply; where it does not, the endpoint says so and the window shrinks by itself.
        settings: fields of each request, such as ``temperature``.
        reasks: how often a reply without a usable candidate is asked for again.
        counter: counts tokens; None means the one for the model's name.

    Raises:
        BadInput: a human prompt without ``{x}``; an unknown layout; an allowance or a number of re-asks that cannot be.

    Example:
        >>> from llm_optimize.core.history import History
        >>> ChatProposer(model).propose(History.empty(), 1).drafts  # doctest: +SKIP
        (Draft(text='\nX1\n', idea='A start.', origin='chat:gpt-5', parent=None),)
    """

    model: ChatModel
    _: KW_ONLY
    system_prompt: str = prompts.SYSTEM_PROMPT
    human_prompt: str = prompts.HUMAN_OPTIMIZATION_PROMPT
    window: WindowPolicy = field(default_factory=Window)
    layout: Literal["window", "epochs"] = "window"
    allowance: int = 12_000
    settings: Mapping[str, Any] = field(default_factory=dict)
    reasks: int = 1
    counter: TextCounter | None = None
    _composer: Layout = field(init=False, repr=False, compare=False)
    _context: _Context = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings; nothing has been asked yet."""
        prompts.check_human_prompt(self.human_prompt)
        _check_layout(self.layout)
        _check_whole("allowance", self.allowance, 1)
        _check_whole("reasks", self.reasks, 0)
        counter = self.counter or TokenCounter(self.model_name)
        composer = _LAYOUTS[self.layout](counter, self.window, self.system_prompt, self.human_prompt)
        object.__setattr__(self, "_composer", composer)
        object.__setattr__(self, "_context", _Context(self.allowance))

    @property
    def model_name(self) -> str:
        """The model's name, or that of its class: ``complete`` is all that a model must have."""
        return model_name(self.model)

    def describe(self, history: History) -> Prompt:
        """Return the prompt that :meth:`propose` would send first, with its exact count, without sending it.

        Raises:
            BadInput: the allowance cannot hold the task, the question, the guidance and the best candidate.
        """
        prompt = self._prompt(history)
        return replace(prompt, tokens=self._composer.measure.chat(prompt.messages))

    def _prompt(self, history: History) -> Prompt:
        prompt = self._composer.compose(history, self._context.allowance)
        if prompt.tokens > self.allowance:
            what = "the task, the question and the best candidate" if prompt.shown else "the task and the question"
            msg = (
                f"allowance is {self.allowance:,} tokens, but {what} alone need {prompt.tokens:,}: "
                "raise allowance (within the model's context), or shorten them"
            )
            raise BadInput(msg)
        return prompt

    def propose(self, history: History, n: int) -> Proposal:
        """Ask ``n`` times, one after another, and return the drafts that came of it.

        Raises:
            BadInput: see :meth:`describe`; nothing has been sent then.
            ModelError: the first draft could not be had; one that fails later is noted, so that what came is kept.
            BudgetExceeded: likewise.
        """
        asking = _Asking(self, self._composer, self._context, history, self._prompt(history))
        for index in range(n):
            try:
                asking.ask(index)
            except (ModelError, BudgetExceeded) as error:
                if not asking.drafts:
                    raise
                asking.notes.append(str(error))
                break
        return Proposal(tuple(asking.drafts), asking.usage, " ".join("; ".join(asking.notes).split()))


class _Context:
    """The allowance, and what is left of it once the endpoint said that a prompt is too long.

    A cache, not state: a process that starts anew learns it again by one refused call, which is not charged.
    """

    def __init__(self, allowance: int) -> None:
        self.allowance = allowance

    def shrink(self, sent: int, limit: int | None) -> None:
        """Learn from a refused prompt of ``sent`` tokens, and the model's context if the endpoint named it."""
        told = int(limit * _OF_CONTEXT) if limit else 0
        self.allowance = min(self.allowance, told if 0 < told < sent else sent // 2)


class _Asking:
    """One proposal while it is being made: the chat that each draft starts from, and what came so far."""

    def __init__(
        self, proposer: ChatProposer, composer: Layout, context: _Context, history: History, prompt: Prompt
    ) -> None:
        self.drafts: list[Draft] = []
        self.notes: list[str] = []
        self.usage = Usage()
        self._proposer = proposer
        self._composer = composer
        self._context = context
        self._history = history
        self._prompt = prompt

    def ask(self, index: int) -> None:
        """Get one draft, or a note that says why there is none."""
        bad, reason = "", ""
        for attempt in range(1 + self._proposer.reasks):
            try:
                reply = self._complete(bad, reason, f"ask-{index}{_again(attempt)}")
                self.drafts.append(self._draft(reply))
            except NoCandidate as error:
                bad, reason = reply.text, str(error)
            except ContextTooLong:
                if not attempt:
                    raise
                break  # the chat fits, but not with a bad reply behind it
            else:
                return
        self.notes.append(reason)

    def _complete(self, bad: str, reason: str, key: str) -> Reply:
        """Send the chat, with a bad reply and the reason to ask again behind it; shrink it while it is too long."""
        while True:
            messages, tokens = self._chat(bad, reason)
            try:
                reply = self._proposer.model.complete(Request(messages, self._proposer.settings, key))
            except ContextTooLong as error:
                self._shrink(tokens, error)
            else:
                self._account(messages, reply)
                return reply

    def _account(self, messages: tuple[Message, ...], reply: Reply) -> None:
        self.usage += reply.usage
        if not reply.usage.estimated:
            self._composer.counter.observe(messages, reply.usage.tokens_in)

    def _chat(self, bad: str, reason: str) -> tuple[tuple[Message, ...], int]:
        if not reason:
            return self._prompt.messages, self._prompt.tokens
        measure, allowance = self._composer.measure, self._context.allowance
        said, asked = measure.shorten(bad.strip(), allowance // _REPLY_SHARE), prompts.reask(reason)
        tail = measure.count(said) + measure.count(asked) + 2 * TURN_TOKENS
        prompt = self._prompt
        if prompt.tokens + tail > allowance:
            prompt = self._composer.compose(self._history, allowance - tail)
        if prompt.tokens + tail > self._proposer.allowance:
            msg = "the allowance has no room for a bad reply and the reason to ask again"
            raise ContextTooLong(msg)
        return _followed(prompt.messages, said, asked), prompt.tokens + tail

    def _shrink(self, sent: int, error: ContextTooLong) -> None:
        """Make the window smaller for this and the next proposals, or give up when only the minimum is left."""
        self._context.shrink(sent, error.limit)
        smaller = self._composer.compose(self._history, self._context.allowance)
        if smaller.tokens >= self._prompt.tokens:
            raise error
        self._prompt = smaller

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
        found = extract(reply.text)
        self._check_new(found.text)
        parent = self._prompt.shown[-1].id if self._prompt.shown else None
        return Draft(found.text, found.explanation, f"chat:{self._proposer.model_name}", parent)

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


def _followed(messages: tuple[Message, ...], said: str, asked: str) -> tuple[Message, ...]:
    """Put a bad reply and what was said to it behind a chat; an empty reply makes no turn of its own."""
    if said:
        return (*messages, Message("assistant", said), Message("user", asked))
    return (*messages[:-1], Message("user", f"{messages[-1].content}\n\n{asked}"))


def _check_layout(name: object) -> None:
    if name not in _LAYOUTS:
        msg = f"layout is {name!r}: give one of {', '.join(map(repr, _LAYOUTS))}"
        raise BadInput(msg)


def _check_whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        msg = f"{name} is {value!r}: give a whole number, at least {least}"
        raise BadInput(msg)
