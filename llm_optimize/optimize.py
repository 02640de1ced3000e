"""The front door: ``run(...)`` is the whole package in one call, :func:`build` the study that it would run.

Defaults that cross folders are chosen here and nowhere below.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize import llm
from llm_optimize.core.consulting import Consult, Dialog
from llm_optimize.core.printing import Printer
from llm_optimize.core.result import Result as CoreResult
from llm_optimize.core.stopping import AnyOf, MaxSteps, TargetScore
from llm_optimize.core.study import Study
from llm_optimize.core.types import Problem
from llm_optimize.errors import BadInput, ModelError
from llm_optimize.llm.priced import Priced
from llm_optimize.llm.replay import Replay
from llm_optimize.llm.roles import warn_of_own_judge
from llm_optimize.llm.tools import as_tools
from llm_optimize.parallel import as_executor, executing
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.constraints import as_constraints, check_start
from llm_optimize.proposers.default import Beginning, default_proposer, made
from llm_optimize.proposers.forecast import announce, chats_of, first_past
from llm_optimize.proposers.prompts import HUMAN_OPTIMIZATION_PROMPT, SYSTEM_PROMPT
from llm_optimize.report.writing import write_report
from llm_optimize.scorers.formats import JsonSchema
from llm_optimize.stores.memory import MemoryStore
from llm_optimize.stores.opening import open_store

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import BaseModel

    from llm_optimize.core.budget import Budget
    from llm_optimize.core.noise import Noise
    from llm_optimize.core.order import Order
    from llm_optimize.core.plan import Ending
    from llm_optimize.core.protocols import ChatModel, Executor, Observer, Proposer, Scorer, Stopper, Store

__all__ = ["Result", "build", "conclude", "run"]

_LOG = logging.getLogger("llm_optimize")


@dataclass(frozen=True, slots=True, eq=False)
class Result(CoreResult):
    """What a run came to, and where its log is.

    Attributes:
        store: holds the study; None where it is not known, then there is nothing to make a report from.
    """

    store: Store | None = None

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the report of the study, in the format that the file's name ends with, and return the file's path.

        Args:
            path: ``.html`` (one self-contained file; needs the extra ``report``), ``.md``, ``.csv``, ``.json`` or
                ``.png`` (needs the extra ``png``); a file that is there is replaced.

        Raises:
            BadInput: the file cannot be written, or a package for the format is missing.

        Example:
            >>> import tempfile
            >>> from llm_optimize import ScriptedModel, optimize
            >>> result = optimize.run("t", "q", len, "abc", 0, ScriptedModel([]), False, store=None, study="one")
            >>> result.report(tempfile.mkdtemp() + "/report.md").read_text().splitlines()[0]
            '# one'
        """
        if self.store is None:
            msg = f"report: this result does not know its store: llm-optimize report {self.study} --store PATH"
            raise BadInput(msg)
        return write_report(self.store, self.study, path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel without a store that lives in this process."""
        store = None if isinstance(self.store, MemoryStore) else self.store
        return Result, (
            self.history, self.reason, self.study, self.error, self.interrupted, self.confidence, store,
        )  # fmt: skip


def run(  # noqa: PLR0913, PLR0917 - the front door; the first ten are the predecessor's, in its order
    task_description: str,
    task_question: str,
    func: Scorer,
    x0: str | BaseModel | None = None,
    max_steps: int | None = 10,
    model: Any = None,  # noqa: ANN401 - a name, a URL, a ChatModel, or the predecessor's model object
    verbose: bool = True,  # noqa: FBT001, FBT002 - positional in the predecessor
    system_prompt: str = SYSTEM_PROMPT,
    human_prompt: str = HUMAN_OPTIMIZATION_PROMPT,
    stop_score: float | None = None,
    *,
    proposer: Proposer | Callable[[ChatModel], Proposer] | None = None,
    budget: Budget | None = None,
    stop: Stopper | None = None,
    parallel: int | None = None,
    ideas: int = 1,
    tune: Any = None,  # noqa: ANN401 - a Box, a mapping, or None: see text/tunables
    tools: Sequence[Any] = (),
    constraints: Sequence[Any] = (),
    store: Store | str | Path | None = "auto",
    study: str | None = None,
    resume: bool | str = "auto",
    executor: Executor | str | None = None,
    seed: int = 0,
    observers: Sequence[Observer] = (),
    eval_timeout: float | None = None,
    noise: Noise | Literal["auto"] | None = None,
    final: Scorer | None = None,
    suspicious_above: float | None = None,
    interactive: int | None = None,
) -> Result:
    r"""Make a text better: propose, score, repeat; stop at a score or when a budget is spent.

    Args:
        task_description: the situation and the goal.
        task_question: what is asked of the model after each attempt.
        func: text in; a finite number (higher is better), (number, feedback) or an Evaluation out. Raising makes a
            failure that the model sees as feedback; for x0 it ends the run before a model is called.
        x0: the text to begin with; or an instance of a pydantic model, then ``func`` gets instances, see
            :func:`llm_optimize.proposers.typed.typed`; or None: the model writes the first one.
        max_steps: proposals after x0; None for no limit.
        model: a name ("gpt-5"), a URL with a name ("http://127.0.0.1:11434/v1#qwen3"), a file of exchanges that answers
            ("recorded:run.jsonl"), a ChatModel, or None: what ``llm.default_llm_options`` and the environment say.
        verbose: print each candidate with its score and feedback.
        system_prompt: text with the slot ``{task_description}``.
        human_prompt: text with the slots ``{x}``, ``{fx}``, ``{task_question}``.
        stop_score: stop as soon as a score, also that of x0, reaches it.
        proposer: instead of the default: the chat model, the numeric engine, or both where there are numbers. Or a
            function or class that makes one of the connected model, such as ``BestOfN``; then ``model`` is used.
        budget: caps on evaluations, tokens, dollars, seconds.
        stop: a further stop rule.
        parallel: chains of propose-then-score kept in flight; None for one, or with an executor for one more than it
            has workers, as they come and go.
        ideas: drafts asked for in one proposal.
        tune: numbers to tune: ``Box(low, high)`` for all, a mapping by name, None for those marked in the text.
        tools: functions for the model to call while it makes a proposal; see :mod:`llm_optimize.toolbox` for more.
        constraints: what a text must be like to be worth an evaluation: ``parses``, ``placeholders``,
            ``max_chars:500``, ``max_tokens:200``, ``imports:numpy,math``, ``schema:FILE``, a JSON schema, a pydantic
            model, or a function that returns the reason or None. x0 must keep them all; see
            :mod:`llm_optimize.proposers.constraints`.
        store: "auto" (SQLite at $LLM_OPTIMIZE_HOME or ./.llm_optimize), None (memory), a path, or a Store.
        study: the name in the store; None takes a new one after the running script.
        resume: "auto" goes on with a study of that name if there is one; True demands one, False refuses one.
        executor: runs ``func``; anything with the standard library's ``submit``, a Dask client, or a name such as
            "processes?workers=4", "dask://host:8786", "ray://local": see :mod:`llm_optimize.parallel`.
        seed: of everything random.
        observers: called with each event after it is on disk.
        eval_timeout: seconds after which a candidate counts as failed.
        noise: "auto" or a :class:`Noise` tests candidates again where scores vary; None scores each once.
        final: scores x0 and the winner on sealed examples, once, after the search.
        suspicious_above: a score above it ends the run, the candidate kept for inspection.
        interactive: evaluations after which, again and again, a person is asked at the terminal.

    Returns:
        A :class:`Result`; it unpacks as ``best_score, scores, best_x``. After Ctrl-C, a spent budget or an endpoint
        that failed on the way it holds the best so far, with the reason.

    Raises:
        BadInput: a setting cannot work; nothing was spent. :class:`~llm_optimize.errors.StartFailed` for x0.
        ModelError: the model could not answer the very first request.
        StoreError: the log cannot be written, or another process runs the study.

    Example:
        >>> from llm_optimize import ScriptedModel, optimize
        >>> best_score, scores, best_x = optimize.run(
        ...     "Find the longest word.", "Which word is longer?", len, x0="cat",
        ...     model=ScriptedModel(["```\nelephant\n```"]), max_steps=1, verbose=False, store=None)
        >>> best_score, scores, best_x
        (10, [3, 10], '\nelephant\n')
    """
    given = dict(locals())  # exactly the parameters: build() takes the same ones, but for verbose
    if given.pop("verbose"):
        given["observers"] = (Printer(), *observers)
    with executing(executor) as given["executor"]:
        running = build(**given)
        if verbose:
            announce(running, max_steps, print)
        return conclude(running, running.run())


def conclude(study: Study, ending: Ending) -> Result:
    """Make a session's ending a result.

    Raises:
        StartFailed: x0 could not be scored.
        BadInput: a setting that was seen to be wrong at the first call, such as a judge without a price; nothing was
            scored.
        ModelError: the model failed before it had proposed anything, so there is no result to return.
    """
    if ending.interrupted:
        llm.requests.interrupt()  # worker threads may wait between retries; nobody waits for them any more
    result = Result(
        study.last, ending.reason, study.name, ending.error, ending.interrupted, study.confidence, study.store
    )
    if isinstance(ending.error, BadInput) and not study.last.trials:
        raise ending.error
    if isinstance(ending.error, ModelError) and not study.last.steps:
        raise ending.error
    return result


def build(  # noqa: PLR0913 - the keywords of run()
    task_description: str,
    task_question: str,
    func: Scorer,
    x0: str | BaseModel | None = None,
    *,
    max_steps: int | None = 10,
    model: Any = None,  # noqa: ANN401 - see run()
    system_prompt: str = SYSTEM_PROMPT,
    human_prompt: str = HUMAN_OPTIMIZATION_PROMPT,
    stop_score: float | None = None,
    proposer: Proposer | Callable[[ChatModel], Proposer] | None = None,
    budget: Budget | None = None,
    stop: Stopper | None = None,
    parallel: int | None = None,
    ideas: int = 1,
    tune: Any = None,  # noqa: ANN401 - a Box, a mapping, or None: see text/tunables
    tools: Sequence[Any] = (),
    constraints: Sequence[Any] = (),
    store: Store | str | Path | None = "auto",
    study: str | None = None,
    resume: bool | str = "auto",
    executor: Executor | str | None = None,
    seed: int = 0,
    observers: Sequence[Observer] = (),
    eval_timeout: float | None = None,
    noise: Noise | Literal["auto"] | None = None,
    final: Scorer | None = None,
    suspicious_above: float | None = None,
    interactive: int | None = None,
    layout: Literal["window", "epochs"] = "window",
    settings: Mapping[str, Any] | None = None,
) -> Study:
    """Return the study that :func:`run` would run with the same arguments; nothing is spent yet.

    ``settings`` are kept in the log; ``layout`` is :class:`~llm_optimize.proposers.chat.ChatProposer`'s.

    Raises:
        BadInput: a setting cannot work.
        StoreError: the store cannot be opened.
        ModelError: the model's endpoint cannot be reached, or knows no such model.
    """
    begun = Beginning.of(x0, func, final, tune, as_constraints(constraints, JsonSchema))
    unused = {"tools": tools, "constraints": constraints} if proposer is not None else {}
    _check(task_description, task_question, func, begun.x0, unused)
    check_start(begun.constraints, begun.x0)
    llm.requests.resume()
    if proposer is None:
        chat = partial(ChatProposer, system_prompt=system_prompt, human_prompt=human_prompt, layout=layout)
        chosen = default_proposer(begun, model, partial(chat, tools=as_tools(tools)))
    else:
        chosen = made(proposer, model)
    _check_chat(chosen, problem := Problem(task_description, task_question, begun.x0), budget, begun.func)
    return Study(
        problem, chosen, begun.func, store=(opened := open_store(store)), name=_name(opened, study, resume),
        budget=budget, executor=as_executor(executor, parallel), stop=_rules(stop_score, stop, max_steps),
        parallel=parallel, ideas=ideas, seed=seed, observers=observers, eval_timeout=eval_timeout, noise=noise,
        final=begun.final, settings=settings, suspicious_above=suspicious_above, order=_order(chosen),
        consult=None if interactive is None else Consult(interactive, Dialog()),
    )  # fmt: skip


def _rules(stop_score: float | None, stop: Stopper | None, max_steps: int | None) -> Stopper:
    target = None if stop_score is None else TargetScore(stop_score)
    steps = None if max_steps is None else MaxSteps(max_steps)
    return AnyOf(tuple(rule for rule in (target, stop, steps) if rule is not None))


def _check(task: object, question: object, func: object, x0: object, unused: Mapping[str, object]) -> None:
    for name in (name for name, given in unused.items() if given):
        msg = f"{name} are for the default proposer: give them to your own, as in ChatProposer(model, {name}=[...])"
        raise BadInput(msg)
    for name, value in (("task_description", task), ("task_question", question)):
        if not isinstance(value, str):
            msg = f"{name} is {type(value).__name__}: give a text"
            raise BadInput(msg)
    if not callable(func):
        msg = f"func is {type(func).__name__}: give a function that takes a text and returns a score"
        raise BadInput(msg)
    if x0 is not None and (not isinstance(x0, str) or not x0.strip()):
        msg = f"x0 is {x0!r}: give a text, or None to let the model write the first candidate"
        raise BadInput(msg)


def _order(proposer: Proposer) -> Order | None:
    """Return the order of the run that a recording was made of, where one answers."""
    layers = (layer for chat in chats_of(proposer) for layer in llm.layers(chat.model))
    return next((layer.order for layer in layers if isinstance(layer, Replay)), None)


def _check_chat(proposer: Proposer, problem: Problem, budget: Budget | None, func: Scorer) -> None:
    """Refuse a first prompt that cannot fit and a cap on dollars that could not hold, before x0 is evaluated.

    Where a model would judge its own proposals, that is said.
    """
    chats = chats_of(proposer)
    for chat in chats:
        chat.describe(first_past(problem))
    for model in {id(chat.model): chat.model for chat in chats}.values():
        warn_of_own_judge(model, func)
        if budget is not None and budget.dollars is not None:
            for layer in llm.layers(model):
                if isinstance(layer, Priced):
                    layer.check_price()


def _name(store: Store, study: str | None, resume: bool | str) -> str:  # noqa: FBT001 - one value of three
    known = set(store.studies())
    if study is None:
        if resume is True:
            msg = "resume=True needs study=NAME: `llm-optimize list` shows the names"
            raise BadInput(msg)
        stem = Path(sys.argv[0] or "study").stem.strip("-_") or "study"
        return next(name for i in range(1, len(known) + 2) if (name := f"{stem}-{i}") not in known)
    if not study.strip():
        msg = "study is empty: give the study a name, or None for a new one"
        raise BadInput(msg)
    if resume is True and study not in known:
        msg = f"study {study!r} is not in the store: `llm-optimize list` shows those that are"
        raise BadInput(msg)
    if resume is False and study in known:
        msg = f"study {study!r} exists: give another name, or resume it"
        raise BadInput(msg)
    return study
