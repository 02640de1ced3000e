"""``run --dry-run``: the first prompt as it would be sent, and what the run may cost; nothing is asked or written."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.cli.jsonlines import print_object
from llm_optimize.cli.wording import safe
from llm_optimize.core.types import Problem
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.forecast import Forecast, first_past, forecast
from llm_optimize.text.tunables import find

if TYPE_CHECKING:
    from llm_optimize.cli.options import Options
    from llm_optimize.cli.taskfile import TaskFile

__all__ = ["preview"]


def preview(task: TaskFile, options: Options, *, as_json: bool) -> int:
    """Print the first prompt, its tokens and the estimated cost; return the exit code.

    Raises:
        BadInput: there is neither a model nor a number to tune.
    """
    if options.model is None and not llm.have_model():
        return _without_model(task, options, as_json=as_json)
    chat = ChatProposer(llm.connect(options.priced_model), tools=task.settings.get("TOOLS", ()))
    past = first_past(Problem(task.task, task.question, task.x0))
    messages = chat.describe(past).messages
    found = forecast(chat, past, options.budget, options.max_steps, options.ideas)
    if as_json:
        print_object({"kind": "dry_run", "messages": [asdict(one) for one in messages], **asdict(found)})
        return 0
    for message in messages:
        print(f"--- {message.role} ---\n{safe(message.content)}")
    for line in _lines(found, task, options):
        print(line, file=sys.stderr)
    return 0


def _limit(options: Options) -> int | None:
    """Return how many proposals the run may make at most, or None for no limit."""
    evaluations = options.budget.evaluations
    limits = [n for n in (options.max_steps, None if evaluations is None else evaluations - 1) if n is not None]
    return min(limits, default=None)


def _lines(found: Forecast, task: TaskFile, options: Options) -> list[str]:
    tunes = task.x0 is not None and bool(find(task.x0, options.tune))
    return [
        f"model: {found.model}",
        f"first prompt: {found.prompt_tokens} tokens (counted by {found.counter})"
        + ("; the score of x0 is not known yet, nothing was evaluated" if task.x0 is not None else ""),
        f"whole run: {found}"
        + ("; give --max-steps or a budget" if found.candidates is None else "; what scoring costs is not known yet")
        + ("; fewer calls where the numeric engine proposes" if tunes else ""),
        "nothing was sent, evaluated or written",
    ]


def _without_model(task: TaskFile, options: Options, *, as_json: bool) -> int:
    holes = find(task.x0, options.tune) if task.x0 is not None else ()
    if not holes:
        llm.require_model()
    if as_json:
        empty: dict[str, Any] = {"kind": "dry_run", "messages": [], "model": None, "steps": _limit(options)}
        print_object({**empty, "tunables": [hole.name for hole in holes]})
        return 0
    for hole in holes:
        print(f"{hole.name} = {hole.current}, to be tuned in {hole.domain}")
    print("no chat model is configured: the numeric engine tunes these numbers alone, at no cost", file=sys.stderr)
    print("nothing was evaluated or written", file=sys.stderr)
    return 0
