"""The chat proposer: shows a model the past, takes a candidate out of its reply, and never lets a bad reply through.

What is not evaluated: prose, refusals, empty, cut-off and withheld replies, and exact copies of earlier candidates. The
model is told the reason and asked once more; then the draft is given up and the proposal's note says why. With tools
the model may call functions before it answers; with ``ideas`` one call gives several drafts where the endpoint can.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.core.checks import check_whole
from llm_optimize.core.types import Proposal
from llm_optimize.errors import BadInput, BudgetExceeded, ModelError
from llm_optimize.llm.model import model_name
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.llm.tools import as_tools
from llm_optimize.proposers import prompts
from llm_optimize.proposers.angles import turn
from llm_optimize.proposers.asking import Asking, Context
from llm_optimize.proposers.brief import Angle, Brief
from llm_optimize.proposers.constraints import as_constraints, first_objection
from llm_optimize.proposers.epochs import EpochComposer
from llm_optimize.proposers.forms.full_text import FullText
from llm_optimize.proposers.forms.guarded import Guarded, check_protect, protection_of
from llm_optimize.proposers.layout import Composer
from llm_optimize.proposers.lessons import Drawn, Lessons
from llm_optimize.proposers.novelty import Novelty
from llm_optimize.proposers.parents.latest import Latest
from llm_optimize.proposers.parents.widening import Widening
from llm_optimize.proposers.repair import Repair
from llm_optimize.proposers.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.core.types import Draft, Trial
    from llm_optimize.proposers.escalation import Escalation
    from llm_optimize.proposers.forms.form import Form
    from llm_optimize.proposers.layout import Layout, Prompt
    from llm_optimize.proposers.measuring import TextCounter
    from llm_optimize.proposers.parents.policy import ParentPolicy
    from llm_optimize.proposers.window import WindowPolicy

__all__ = ["ChatProposer"]

_LAYOUTS = {"window": Composer, "epochs": EpochComposer}
_PLAIN = Angle("")
_PARENTS: dict[str, ParentPolicy] = {"window": Widening(), "epochs": Latest()}


@dataclass(frozen=True)
class ChatProposer:
    r"""Asks a chat model for better candidates.

    Attributes:
        model: answers the requests.
        system_prompt: with the slot ``{task_description}``.
        human_prompt: with the slots ``{x}`` (needed), ``{fx}`` and ``{task_question}``.
        window: which past is shown.
        parent: what is built on; None for the default of the layout.
        form: how a reply carries the candidate.
        angles: in what drafts differ, those of one proposal and those of proposals in flight at the same time; taken
            in turn, in an order drawn by the seed. Empty: all drafts are asked for in the same way.
        escalation: what is tried in place of the angles when the search stalls; None: nothing.
        repair: what is asked for while nothing has a score; None: nothing in particular.
        novelty: refuses near-duplicates before they are evaluated; None: exact copies alone are refused.
        constraints: what a text must be like to be worth an evaluation, by name or as a function; one that is not is
            asked for again with the reason. See :mod:`llm_optimize.proposers.constraints`.
        protect: ``auto`` keeps all that stands outside of the blocks that the start text marks, and its placeholders;
            False keeps neither; texts are kept instead of placeholders. See
            :mod:`llm_optimize.proposers.forms.guarded`, also for what is taken for a refusal.
        lessons: sums up feedback that outgrows the window; None for not.
        layout: ``window`` shows the window's choice anew in each prompt; ``epochs`` lets the chat grow behind what was
            sent before, so that an endpoint with a prompt cache serves most of a prompt at a lower price; see
            :mod:`llm_optimize.proposers.epochs` for what each costs.
        allowance: tokens that a prompt may take up at most, replies not included. The model's context must hold it and
            the reply; where it does not, the endpoint says so and the window shrinks by itself.
        settings: fields of each request, such as ``temperature``.
        reasks: how often a reply without a usable candidate is asked for again.
        tools: functions that the model may call before it answers, or :class:`~llm_optimize.llm.tools.Tool` values;
            called again when an interrupted proposal is resumed, whose recorded replies are used all the same.
            With tools each draft is asked for by a call of its own.
        tool_calls: how many calls of tools it has for one proposal; then it must answer.
        counter: counts tokens; None means the one for the model's name.

    Raises:
        BadInput: a human prompt without ``{x}``; an unknown layout; an allowance, a tool or a number that cannot be.

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
    parent: ParentPolicy | None = None
    form: Form = field(default_factory=FullText)
    angles: Sequence[Angle] = ()
    escalation: Escalation | None = None
    repair: Repair | None = field(default_factory=Repair)
    novelty: Novelty | None = field(default_factory=Novelty)
    constraints: Sequence[Any] = ()
    protect: Literal["auto", False] | Sequence[str] = "auto"
    lessons: Lessons | None = None
    layout: Literal["window", "epochs"] = "window"
    allowance: int = 12_000
    settings: Mapping[str, Any] = field(default_factory=dict)
    reasks: int = 1
    tools: Sequence[Any] = ()
    tool_calls: int = 8
    counter: TextCounter | None = None
    _composer: Layout = field(init=False, repr=False, compare=False)
    _context: Context = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings; nothing has been asked yet."""
        prompts.check_human_prompt(self.human_prompt)
        _check_layout(self.layout, self.parent, (*self.angles, *(self.escalation.levels if self.escalation else ())))
        check_whole("allowance", self.allowance, 1)
        check_whole("reasks", self.reasks, 0)
        check_whole("tool_calls", self.tool_calls, 0)
        object.__setattr__(self, "tools", as_tools(self.tools))
        object.__setattr__(self, "constraints", as_constraints(self.constraints))
        object.__setattr__(self, "protect", check_protect(self.protect))
        counter = self.counter or TokenCounter(self.model_name)
        human_prompt = self.human_prompt if self.layout == "window" else prompts.in_form(self.human_prompt, self.form)
        composer = _LAYOUTS[self.layout](counter, self.window, self.system_prompt, human_prompt)
        object.__setattr__(self, "_composer", composer)
        object.__setattr__(self, "_context", Context(self.allowance))

    @property
    def model_name(self) -> str:
        """The model's name, or that of its class: ``complete`` is all that a model must have."""
        return model_name(self.model)

    def describe(self, history: History) -> Prompt:
        """Return the prompt that :meth:`propose` would send first, with its exact count, without sending it.

        Raises:
            BadInput: the allowance cannot hold the task, the question, the guidance and the best candidate.
        """
        prompt, beside = self._asking(history, 1).first
        return replace(prompt, tokens=self._composer.measure.chat(prompt.messages) + beside)

    def objection(self, text: str, history: History, drafts: Sequence[Draft]) -> str | None:
        """Return why a text is not worth an evaluation, as a clause that tells the model, or None."""
        broken = first_objection(self.constraints, text, history.problem.start)
        return broken or (self.novelty.objection(text, history, drafts) if self.novelty else None)

    def _briefs(self, history: History, n: int) -> list[Brief]:
        """Settle what each of ``n`` drafts is asked for; equal ones are one object."""
        briefs: list[Brief] = []
        level = self.escalation.level(history) if self.escalation else None
        for draft in range(n):
            angle = level or (turn(self.angles, history, draft, n) if self.angles else _PLAIN)
            brief = self._brief(history, draft if self.angles else 0, angle)  # alike, they may come by one call
            briefs.append(next((one for one in briefs if _alike(one, brief)), brief))
        return briefs

    def _brief(self, history: History, draft: int, angle: Angle) -> Brief:
        protection = protection_of(history.problem, self.protect)
        form, model = Guarded(angle.form or self.form, protection), angle.model or self.model
        mending = self.repair.note(history) if self.repair else ""
        said = mending or angle.instruction
        # A schema that the endpoint enforces would keep the model from calling tools.
        enforced = {} if self.tools else form.settings(model)
        return Brief(
            form=form,
            model=model,
            parents=() if mending else self._parents(history, draft, angle),
            notes=(*self._lessons(history), *(note for note in (protection.note, said) if note)),
            settings={**enforced, **self.settings, **angle.settings},
            angle=angle.name,
        )

    def _lessons(self, history: History) -> tuple[str, ...]:
        return self.lessons.notes(history, self._composer.measure.count, self.allowance) if self.lessons else ()

    def _reflect(self, history: History) -> Drawn:
        if self.lessons is None:
            return Drawn()
        allowance = self._context.allowance
        return self.lessons.draw(history, self.model, self.settings, self._composer.counter, allowance)

    def _parents(self, history: History, draft: int, angle: Angle) -> tuple[Trial, ...]:
        pinned = None if history.hand.pinned is None else history.trial(history.hand.pinned)
        if pinned is not None and self.layout == "window":
            return (pinned,)
        return tuple((angle.parent or self.parent or _PARENTS[self.layout]).choose(history, draft))

    def _asking(self, history: History, n: int) -> Asking:
        asking = Asking(self, self._composer, self._context, history, self._briefs(history, n))
        prompt, beside = asking.first
        if prompt.tokens + beside > self.allowance:
            if self._lessons(history):
                return self._asking(replace(history, lessons=replace(history.lessons, texts=())), n)
            what = "the task, the question and the best candidate" if prompt.shown else "the task and the question"
            what = f"the tools, {what}" if beside else what
            msg = (
                f"allowance is {self.allowance:,} tokens, but {what} alone need {prompt.tokens + beside:,}: "
                "raise allowance (within the model's context), or shorten them"
            )
            raise BadInput(msg)
        return asking

    def propose(self, history: History, n: int) -> Proposal:
        """Return the drafts of ``n`` answers: of one call where the endpoint gives several, else of as many calls.

        Raises:
            BadInput: see :meth:`describe`; nothing has been sent then.
            ModelError: the first draft could not be had; one that fails later is noted, so that what came is kept.
            BudgetExceeded: likewise.
        """
        asking = self._asking(history, n)
        drawn = self._reflect(history)  # paid for only if the prompt can be asked
        if drawn.learned is not None:
            asking = self._asking(replace(history, lessons=drawn.learned), n)
        asking.usage += drawn.usage
        asking.notes += [drawn.note] if drawn.note else []
        for index in range(n):
            try:
                asking.ask(index)
            except (ModelError, BudgetExceeded) as error:
                if not asking.drafts:
                    raise
                asking.notes.append(str(error))
                break
        note = " ".join("; ".join(asking.notes).split())
        return Proposal(tuple(asking.drafts), asking.usage, note, tuple(asking.bench.uses), drawn.learned)


def _alike(one: Brief, other: Brief) -> bool:
    same = one.form == other.form and one.model is other.model and one.angle == other.angle
    return same and [trial.id for trial in one.parents] == [trial.id for trial in other.parents]


def _check_layout(name: object, parent: ParentPolicy | None, angles: Sequence[Angle]) -> None:
    if name not in _LAYOUTS:
        msg = f"layout is {name!r}: give one of {', '.join(map(repr, _LAYOUTS))}"
        raise BadInput(msg)
    fixed = parent is None or isinstance(parent, Latest)
    if name == "epochs" and not (fixed and all((angle.parent, angle.form) == (None, None) for angle in angles)):
        msg = "layout 'epochs' keeps attempts in the order in which they were made: leave parent and form to it"
        raise BadInput(msg)
