"""``llm-optimize show NAME``: what a study has come to; one trial; the best; or its whole log."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from llm_optimize.cli import flags
from llm_optimize.cli.ending import print_text
from llm_optimize.cli.jsonlines import account_fields, event_fields, print_object, trial_fields
from llm_optimize.cli.lines import sentence
from llm_optimize.cli.studies import (
    LATEST,
    StudyEvents,
    fold,
    of_interest,
    opened_with,
    origins,
    state,
    store_path,
    study_events,
    when,
)
from llm_optimize.cli.wording import (
    account_lines,
    clean,
    duration,
    moment,
    one_line,
    safe,
    score_text,
    table,
    usage_text,
)
from llm_optimize.core.events import Opened, Proposed, Stopped
from llm_optimize.core.history import History
from llm_optimize.core.verdict import best_score, verdict
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from llm_optimize.cli.studies import AnyStore, Location
    from llm_optimize.core.events import Event
    from llm_optimize.core.types import ToolUse, Trial

__all__ = ["add", "main"]

_WIDTH = 60
_LISTED = 10  # of the best and of the latest trials in the summary


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("show", help="show a study", description=flags.about(__doc__))
    parser.add_argument("name", metavar="NAME", help="the study; `llm-optimize list` shows the names")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--trial", type=flags.whole(0), metavar="ID", help="one candidate: text, idea, score, feedback")
    what.add_argument("--best", action="store_true", help="the best text, as it is")
    what.add_argument("--top", type=flags.whole(1), metavar="K", help="the K best trials")
    what.add_argument("--log", action="store_true", help="every event")
    flags.add_store(parser)
    flags.add_json(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Print what was asked for; return the exit code."""
    path = store_path(args.store)
    store, events = study_events(path, args.name)
    history = fold(events)
    if args.trial is not None:
        _print_trial(_trial(history, args.name, args.trial), as_json=args.json)
    elif args.best:
        _print_best(history, args.name, as_json=args.json)
    elif args.top is not None:
        _print_trials(history.top(args.top), as_json=args.json)
    elif args.log:
        _print_log(events, as_json=args.json)
    else:
        _Summary(path, store, args.name, events, history).show(as_json=args.json)
    return 0


class _Summary:
    """Everything about a study on a page."""

    def __init__(self, path: Location, store: AnyStore, name: str, events: StudyEvents, history: History) -> None:
        self._path = path
        self._name = name
        self._history = history
        self._events = events
        self._settings = opened_with(events)
        self._state = next((state(info) for info in store.overview() if info.name == name), "")
        self._start = next((trial for trial in history.trials if trial.candidate.origin == "start"), None)

    def show(self, *, as_json: bool) -> None:
        if as_json:
            print_object(self._fields())
            return
        for label, text in self._rows():
            print(f"{label:<10}{text}")
        history = self._history
        if history.best is not None:
            print("\nbest text:")
            print_text(safe(history.best.text))
        told = len(history.trials)
        if told <= 2 * _LISTED:
            _print_titled("trials:", list(history.trials))
        else:
            _print_titled(f"the {_LISTED} best of {told} trials:", history.top(_LISTED))
            _print_titled(f"the latest {_LISTED} (--log shows all):", history.recent(_LISTED))

    def _rows(self) -> list[tuple[str, str]]:
        history = self._history
        trials, of_latest = of_interest(history)
        events = self._events.latest(2 * LATEST) if of_latest else self._events
        failed = sum(trial.score is None for trial in trials)
        pending = f", {len(history.pending)} pending" if history.pending else ""
        start = "the model writes the first text" if history.problem.start is None else "not scored"
        rows = [
            ("study", f"{one_line(self._name)} in {self._path}"),
            ("task", clean(history.problem.task, 100)),
            ("question", clean(history.problem.question, 100)),
            ("state", one_line(self._state)),
            ("x0", f"score {score_text(self._start.score)}" if self._start else start),
            ("best", _best(history)),
            ("result", verdict(history) if history.retold else ""),
            ("steps", f"{history.steps}, {history.evaluations} evaluations ({failed}{of_latest} failed){pending}"),
            ("usage", usage_text(history.usage)),
            *(("", f"  {line}") for line in account_lines(history.account)),
            ("tools", _tools_used(events)),
            ("time", duration(history.active_seconds())),
            ("origins", origins(history)),
            ("file", one_line(str(self._settings.get("file", "")))),
        ]
        rows += [("guidance", clean(text, 100)) for text in history.guidance]
        rows += [("lesson", clean(text, 100)) for text in history.lessons.texts]
        return [row for row in rows if row[1]]

    def _fields(self) -> dict[str, object]:
        history, best = self._history, self._history.best
        return {
            "kind": "study",
            "name": self._name,
            "store": str(self._path),
            "task": history.problem.task,
            "question": history.problem.question,
            "x0": history.problem.start,
            "x0_score": self._start.score if self._start else None,
            "state": self._state,
            "reason": history.reason,
            "best_id": best.id if best else None,
            "best_score": best_score(history),
            "best_text": best.text if best else None,
            "steps": history.steps,
            "evaluations": history.evaluations,
            "pending": [candidate.id for candidate in history.pending],
            "guidance": list(history.guidance),
            "usage": asdict(history.usage),
            "account": account_fields(history.account),
            "settings": dict(self._settings),
            "trials": [trial_fields(trial) for trial in history.trials],
        }


def _best(history: History) -> str:
    best = history.best
    if best is None:
        return "none yet"
    often = len(history.fresh.get(best.id, ()))
    afresh = f", {often} times afresh after the search" if often > 1 else ""
    return f"score {score_text(best_score(history))} (#{best.id}, {best.candidate.origin}{afresh})"


def _trial(history: History, name: str, candidate_id: int) -> Trial:
    trial = history.trial(candidate_id)
    if trial is None:
        pending = any(one.id == candidate_id for one in history.pending)
        why = "is not evaluated yet" if pending else f"is unknown: the ids are 0 to {history.next_id - 1}"
        msg = f"--trial: candidate {candidate_id} of study {name!r} {why}"
        raise BadInput(msg)
    return trial


def _print_best(history: History, name: str, *, as_json: bool) -> None:
    if history.best is None:
        msg = f"--best: nothing of study {name!r} has a score yet"
        raise BadInput(msg)
    if as_json:
        print_object(trial_fields(history.best))
    else:
        print_text(history.best.text)


def _print_trial(trial: Trial, *, as_json: bool) -> None:
    if as_json:
        print_object(trial_fields(trial))
        return
    candidate = trial.candidate
    parents = [number for number in (candidate.parent, *candidate.others) if number is not None]
    parent = f", from {' and '.join(f'#{number}' for number in parents)}" if parents else ""
    failure = f"failed ({trial.outcome.kind})" if trial.score is None else f"score {score_text(trial.score)}"  # type: ignore[union-attr]  # no score: a Failure
    often = f"  mean of {trial.n}" if trial.n > 1 else ""
    print(f"#{trial.id}  {one_line(candidate.origin)}{parent}  {failure}{often}  {moment(trial.seconds)}")
    print("\ntext:")
    print_text(safe(trial.text))
    for label, text in (("idea", candidate.idea), ("feedback", trial.feedback)):
        if text:
            print(f"\n{label}:\n{safe(text)}")


def _print_titled(title: str, trials: Sequence[Trial]) -> None:
    if trials:
        print(f"\n{title}")
        _print_trials(trials, as_json=False)


def _print_trials(trials: Sequence[Trial], *, as_json: bool) -> None:
    if as_json:
        for trial in trials:
            print_object(trial_fields(trial))
        return
    rows = [
        (
            f"#{trial.id}",
            score_text(trial.score) if trial.score is not None else "failed",
            one_line(trial.candidate.origin),
            moment(trial.seconds),
            clean(trial.feedback, _WIDTH),
        )
        for trial in trials
    ]
    print(table([("ID", "SCORE", "ORIGIN", "TIME", "FEEDBACK"), *rows]))


def _print_log(events: Iterable[Event], *, as_json: bool) -> None:
    history = History.empty()
    for event in events:
        history = history.after(event)
        if as_json:
            print_object(event_fields(event))
        else:
            print(f"{when(event.at)}  {_told(event, history)}")


def _told(event: Event, history: History) -> str:
    match event:
        case Opened():
            return f"opened, seed {event.seed}; {sentence(event, history)}".rstrip("; ")
        case Proposed():
            ids = " ".join(f"#{candidate.id} ({one_line(candidate.origin)})" for candidate in event.candidates)
            told = "  ".join(part for part in (f"proposed {ids or 'nothing'}", sentence(event, history)) if part)
            return "\n".join([told, *map(_used, event.tools)])
        case Stopped():
            return f"stopped: {one_line(event.reason)}"
        case _:
            return sentence(event, history)


def _used(use: ToolUse) -> str:
    how = "" if use.ok else " failed"
    call = f"{one_line(use.name)}({clean(use.arguments, _WIDTH)})"
    return f"    tool {call}{how}, {moment(use.seconds)}: {clean(use.result, _WIDTH)}"


def _tools_used(events: Iterable[Event]) -> str:
    """Say how often each tool was called, and how often in vain; nothing where there are none."""
    uses = [use for event in events if isinstance(event, Proposed) for use in event.tools]
    failed = sum(not use.ok for use in uses)
    each = ", ".join(f"{one_line(name)} {count}" for name, count in Counter(use.name for use in uses).most_common())
    return f"{len(uses)} calls: {each}" + (f" ({failed} failed)" if failed else "") if uses else ""
