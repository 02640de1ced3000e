"""``run --dry-run``: the first prompt as it would be sent, and what the run may cost; nothing is asked or written."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.cli.jsonlines import print_object
from llm_optimize.cli.wording import amount, dollars, safe
from llm_optimize.core.chat import Request
from llm_optimize.core.events import Opened, Proposed
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Problem, Usage
from llm_optimize.llm.priced import Priced
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.text.tunables import find

if TYPE_CHECKING:
    from llm_optimize.cli.options import Options
    from llm_optimize.cli.taskfile import TaskFile
    from llm_optimize.core.chat import Message
    from llm_optimize.core.protocols import ChatModel

__all__ = ["preview"]

_EXPLANATION = 200  # tokens that a reply is taken to spend on its explanation
_ATTEMPTS_SHOWN = 0.5  # of the past attempts, an average prompt of a run shows half as many as the last one


@dataclass(frozen=True, slots=True)
class _Forecast:
    """What a run may cost; a rough guess, made before anything is known of the replies."""

    model: str
    counter: str
    prompt_tokens: int
    steps: int | None
    total: Usage
    price_known: bool


def preview(task: TaskFile, options: Options, *, as_json: bool) -> int:
    """Print the first prompt, its tokens and the estimated cost; return the exit code.

    Raises:
        BadInput: there is neither a model nor a number to tune.
    """
    if options.model is None and not llm.have_model():
        return _without_model(task, options, as_json=as_json)
    model = llm.connect(options.model)
    messages = ChatProposer(model).describe(_history(task)).messages
    forecast = _forecast(model, messages, task, options)
    if as_json:
        print_object({"kind": "dry_run", "messages": [asdict(one) for one in messages], **asdict(forecast)})
        return 0
    for message in messages:
        print(f"--- {message.role} ---\n{safe(message.content)}")
    for line in _lines(forecast, task, options):
        print(line, file=sys.stderr)
    return 0


def _history(task: TaskFile) -> History:
    """Return the past that the first prompt is made of: x0 is there and its score is not known."""
    history = History.empty().after(Opened(Problem(task.task, task.question, task.x0)))
    return history if task.x0 is None else history.after(Proposed((Candidate(0, task.x0, origin="start"),)))


def _forecast(model: ChatModel, messages: tuple[Message, ...], task: TaskFile, options: Options) -> _Forecast:
    priced = next((layer for layer in llm.layers(model) if isinstance(layer, Priced)), None) or Priced(model)
    counter = priced.counter
    prompt = priced.estimate(Request(messages)).tokens_in
    reply = _EXPLANATION + (counter.count(task.x0) if task.x0 else _EXPLANATION)
    steps = _steps(options)
    calls = steps or 0
    grown = round(min(prompt + _ATTEMPTS_SHOWN * calls * reply, max(prompt, ChatProposer(model).allowance)))
    known = priced.price_known()
    total = Usage(calls, calls * grown, 0, calls * reply, estimated=True)
    total = replace(total, dollars=priced.book.dollars(priced.name, total) if known else 0.0)
    return _Forecast(priced.name, counter.source, prompt, steps, total, known)


def _steps(options: Options) -> int | None:
    """Return how many proposals the run may make at most, or None for no limit."""
    evaluations = options.budget.evaluations
    limits = [n for n in (options.max_steps, None if evaluations is None else evaluations - 1) if n is not None]
    return min(limits, default=None)


def _lines(forecast: _Forecast, task: TaskFile, options: Options) -> list[str]:
    total = forecast.total
    price = f"about {dollars(total.dollars)}" if forecast.price_known else "price unknown"
    whole = (
        f"whole run: at most {forecast.steps} steps, about {amount(total.tokens_in)} tokens in and "
        f"{amount(total.tokens_out)} out, {price}"
        if forecast.steps is not None
        else "whole run: no limit on steps, so the cost has none either; give --max-steps or a budget"
    )
    return [
        f"model: {forecast.model}",
        f"first prompt: {forecast.prompt_tokens} tokens (counted by {forecast.counter})"
        + ("; the score of x0 is not known yet, nothing was evaluated" if task.x0 is not None else ""),
        whole + ("; fewer calls where the numeric engine proposes" if _tunes(task, options) else ""),
        "nothing was sent, evaluated or written",
    ]


def _without_model(task: TaskFile, options: Options, *, as_json: bool) -> int:
    holes = find(task.x0, options.tune) if task.x0 is not None else ()
    if not holes:
        llm.require_model()
    if as_json:
        empty: dict[str, Any] = {"kind": "dry_run", "messages": [], "model": None, "steps": _steps(options)}
        print_object({**empty, "tunables": [hole.name for hole in holes]})
        return 0
    for hole in holes:
        print(f"{hole.name} = {hole.current}, to be tuned in {hole.domain}")
    print("no chat model is configured: the numeric engine tunes these numbers alone, at no cost", file=sys.stderr)
    print("nothing was evaluated or written", file=sys.stderr)
    return 0


def _tunes(task: TaskFile, options: Options) -> bool:
    return task.x0 is not None and bool(find(task.x0, options.tune))
