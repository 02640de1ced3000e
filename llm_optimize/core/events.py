"""The six facts that a study's log is made of, and their JSON form (one line each, forwards compatible)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.core.account import Account
from llm_optimize.core.types import Candidate, Evaluation, Failure, Learned, Outcome, Problem, ToolUse, Usage
from llm_optimize.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Event", "Guided", "Opened", "Proposed", "Retold", "Stopped", "Told", "dump", "load"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A session began: the first event of a study, and one more at each resume.

    Attributes:
        problem: what is optimized; the same in every session.
        seed: the study's seed; proposers draw from (seed, slot).
        settings: how the session was started, for people and for ``resume``; the loop does not look at it.
        at: seconds since the epoch.
    """

    problem: Problem
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposer answered; its candidates are numbered.

    Attributes:
        candidates: zero or more; zero when nothing usable came, then ``note`` says why.
        usage: what the proposal cost.
        slot: ordinal of the proposal (0, 1, ...), unique in a study; -1 for x0 and for candidates given by hand.
        note: what the study should know about this proposal, in a line.
        at: seconds since the epoch.
        account: ``usage`` by role and model.
        tools: the functions that the model called on the way.
        lessons: what was learned from the past on the way; None for nothing.
        arm: which part of a mixed proposer it is of.
    """

    candidates: tuple[Candidate, ...]
    usage: Usage = Usage()
    slot: int = -1
    note: str = ""
    at: float = 0.0
    account: Account = Account()
    tools: tuple[ToolUse, ...] = ()
    lessons: Learned | None = None
    arm: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A candidate was evaluated, or failed.

    Attributes:
        candidate_id: which one.
        outcome: its :class:`~llm_optimize.core.types.Evaluation` or :class:`~llm_optimize.core.types.Failure`.
        seconds: wall time of the evaluation.
        at: seconds since the epoch.
        account: the outcome's usage by role and model.
    """

    candidate_id: int
    outcome: Outcome
    seconds: float = 0.0
    at: float = 0.0
    account: Account = Account()


@dataclass(frozen=True, slots=True)
class Retold:
    """A candidate that had been told was evaluated again.

    Attributes:
        candidate_id: which one.
        outcome: as in :class:`Told`.
        serial: ordinal of the re-test (0, 1, ...), unique in a study; names its unit of work, ``retest/3``.
        part: what it is for. ``again``: joins the candidate's other evaluations, so its score becomes their mean.
            ``fresh``: after the search, of the start or of the candidate that was chosen; nothing is chosen by it.
            ``sealed``: after the search, by another scorer, on examples that nothing before it has seen.
        seconds: wall time of the evaluation.
        at: seconds since the epoch.
        account: the outcome's usage by role and model.
    """

    candidate_id: int
    outcome: Outcome
    serial: int = 0
    part: str = "again"
    seconds: float = 0.0
    at: float = 0.0
    account: Account = Account()


@dataclass(frozen=True, slots=True)
class Guided:
    """A person said or decided something; any process may append it.

    Attributes:
        text: what the next prompts must contain; why a candidate is rejected; the text of an injected candidate.
        at: seconds since the epoch.
        act: ``say``, ``reject``, ``pin``, ``unpin``, ``accept``, ``inject``, ``pause``, ``continue``, ``stop`` or
            ``raise`` (``text`` is ``tokens=50000``); see :mod:`llm_optimize.core.hand`.
        candidate_id: whom a decision is about.
    """

    text: str
    at: float = 0.0
    act: str = "say"
    candidate_id: int | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """A session ended.

    Attributes:
        reason: why, in a line.
        at: seconds since the epoch.
        unfinished: what work that was begun and not carried through has cost, by unit (``evaluation/12``). Its replies
            are in the reply log: begun again, it recalls them, and its own event counts them instead.
    """

    reason: str
    at: float = 0.0
    unfinished: Mapping[str, Account] = field(default_factory=dict)


Event = Opened | Proposed | Told | Retold | Guided | Stopped


def dump(event: Event) -> tuple[str, str]:
    """Return (kind, JSON object on one line); :func:`load` is its inverse."""
    kind = type(event).__name__.lower()
    body = _DUMPERS[kind](event)
    body["at"] = event.at
    return kind, json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=repr)


def load(kind: str, body: str) -> Event:
    """Rebuild an event.

    Raises:
        StoreError: the kind is unknown or a field is missing: the log is damaged or from a newer version.
    """
    try:
        value, end = _DECODER.raw_decode(body)  # json.loads would look for white space around it, which is not there
        if end != len(body):
            value = json.loads(body)
        return _LOADERS[kind](value)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"the log holds a {kind!r} event that cannot be read ({error}): restore the file or upgrade llm_optimize"
        raise StoreError(msg) from error


def _dump_number(value: float) -> float | str:
    """Return the number, or its name where JSON has none for it: a metric may be infinite, a score may not."""
    return value if math.isfinite(value) else str(float(value))


def _dump_usage(usage: Usage) -> list[Any]:
    return [
        usage.calls,
        usage.tokens_in,
        usage.tokens_cached,
        usage.tokens_out,
        usage.dollars,
        usage.seconds,
        usage.estimated,
    ]


def _dump_rows(account: Account) -> list[Any]:
    return [[role, model, _dump_usage(usage)] for (role, model), usage in account.rows.items()]


def _dump_account(account: Account) -> dict[str, Any]:
    """Return the field, and none for an empty account: logs without model calls stay as short as they were."""
    return {"account": _dump_rows(account)} if account.rows else {}


def _load_rows(rows: Sequence[Any]) -> Account:
    return Account({(role, model): Usage(*usage) for role, model, usage in rows})


def _dump_tools(tools: tuple[ToolUse, ...]) -> dict[str, Any]:
    return {"tools": [[use.name, use.arguments, use.result, use.ok, use.seconds] for use in tools]} if tools else {}


def _dump_lessons(lessons: Learned | None) -> dict[str, Any]:
    return {} if lessons is None else {"lessons": [lessons.upto, *lessons.texts]}


def _load_lessons(row: Sequence[Any] | None) -> Learned | None:
    return None if row is None else Learned(row[0], tuple(row[1:]))


def _dump_candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "id": candidate.id,
        "text": candidate.text,
        "idea": candidate.idea,
        "origin": candidate.origin,
        "parent": candidate.parent,
        **({"others": list(candidate.others)} if candidate.others else {}),
    }


def _dump_opened(event: Opened) -> dict[str, Any]:
    problem = event.problem
    return {
        "task": problem.task,
        "question": problem.question,
        "start": problem.start,
        "seed": event.seed,
        "settings": dict(event.settings),
    }


def _dump_proposed(event: Proposed) -> dict[str, Any]:
    return {
        "candidates": [_dump_candidate(candidate) for candidate in event.candidates],
        "usage": _dump_usage(event.usage),
        "slot": event.slot,
        "note": event.note,
        **_dump_account(event.account),
        **_dump_tools(event.tools),
        **_dump_lessons(event.lessons),
        **({"arm": event.arm} if event.arm else {}),
    }


def _dump_told(event: Told | Retold) -> dict[str, Any]:
    outcome = event.outcome
    body: dict[str, Any] = {"id": event.candidate_id, "seconds": event.seconds, "usage": _dump_usage(outcome.usage)}
    body |= _dump_account(event.account)
    if isinstance(outcome, Failure):
        return body | {"failure": outcome.kind, "message": outcome.message}
    return body | {
        "score": outcome.score,
        "feedback": outcome.feedback,
        "metrics": {name: _dump_number(value) for name, value in outcome.metrics.items()},
        "examples": [_dump_number(value) for value in outcome.examples],
        **({"answers": list(outcome.answers)} if outcome.answers else {}),
    }


def _dump_guided(event: Guided) -> dict[str, Any]:
    return {"text": event.text} | ({} if event.act == "say" else {"act": event.act, "id": event.candidate_id})


def _dump_stopped(event: Stopped) -> dict[str, Any]:
    unfinished = {unit: _dump_rows(account) for unit, account in event.unfinished.items()}
    return {"reason": event.reason, **({"unfinished": unfinished} if unfinished else {})}


def _load_stopped(body: dict[str, Any]) -> Stopped:
    unfinished = {unit: _load_rows(rows) for unit, rows in body.get("unfinished", {}).items()}
    return Stopped(body["reason"], body["at"], unfinished)


def _load_number(value: float | str) -> float:
    return float(value) if isinstance(value, str) else value


def _load_costs(body: dict[str, Any]) -> tuple[Usage, Account]:
    """Return the cost of a unit of work, and by whom; a cost that one model made alone is one object in both."""
    numbers, rows = body["usage"], body.get("account", ())
    usage = _NO_COST if numbers == _NO_NUMBERS else Usage(*numbers)
    if not rows:
        return usage, _NO_ACCOUNT
    if len(rows) == 1 and rows[0][2] == numbers:
        return usage, Account({(rows[0][0], rows[0][1]): usage})
    return usage, _load_rows(rows)


def _load_outcome(body: dict[str, Any], usage: Usage) -> Outcome:
    if "failure" in body:
        return Failure(body["failure"], body["message"], usage)
    metrics, examples = body["metrics"], body["examples"]
    if metrics:
        metrics = {name: _load_number(value) for name, value in metrics.items()}
    scores = tuple([_load_number(value) for value in examples]) if examples else ()
    return Evaluation(body["score"], body["feedback"], metrics, scores, usage, tuple(body.get("answers", ())))


def _load_told(body: dict[str, Any]) -> Told:
    usage, account = _load_costs(body)
    return Told(body["id"], _load_outcome(body, usage), body["seconds"], body["at"], account)


def _load_retold(body: dict[str, Any]) -> Retold:
    usage, account = _load_costs(body)
    outcome = _load_outcome(body, usage)
    return Retold(body["id"], outcome, body["serial"], body["part"], body["seconds"], body["at"], account)


def _load_proposed(body: dict[str, Any]) -> Proposed:
    candidates = tuple([_load_candidate(one) for one in body["candidates"]])
    tools = tuple([ToolUse(*use) for use in body["tools"]]) if "tools" in body else ()
    usage, account = _load_costs(body)
    lessons, arm = _load_lessons(body.get("lessons")), body.get("arm", "")
    return Proposed(candidates, usage, body["slot"], body["note"], body["at"], account, tools, lessons, arm)


def _load_candidate(body: dict[str, Any]) -> Candidate:
    if len(body) == len(_USUAL) and "others" not in body:
        return Candidate(body["id"], body["text"], body["idea"], body["origin"], body["parent"])
    return Candidate(**{**body, "others": tuple(body.get("others", ()))})


_DECODER = json.JSONDecoder()
_NO_COST, _NO_ACCOUNT = Usage(), Account()
_NO_NUMBERS = _dump_usage(_NO_COST)
_USUAL = ("id", "text", "idea", "origin", "parent")  # what every candidate is written with

_DUMPERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "opened": _dump_opened,
    "proposed": _dump_proposed,
    "told": _dump_told,
    "retold": lambda event: _dump_told(event) | {"serial": event.serial, "part": event.part},
    "guided": _dump_guided,
    "stopped": _dump_stopped,
}

_LOADERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "opened": lambda b: Opened(Problem(b["task"], b["question"], b["start"]), b["seed"], b["settings"], b["at"]),
    "proposed": _load_proposed,
    "told": _load_told,
    "retold": _load_retold,
    "guided": lambda b: Guided(b["text"], b["at"], b.get("act", "say"), b.get("id")),
    "stopped": _load_stopped,
}
