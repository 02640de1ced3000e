"""What a report is made from: a study's log and its exchanges, read once from the store.

Of a long study a report holds a part: a page with a million rows is of no use to anybody. What it leaves out it says.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Opened, Proposed, Retold, Told
from llm_optimize.core.folding import Folding
from llm_optimize.core.protocols import ExchangeLog
from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput
from llm_optimize.llm.exchanges import exchanges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.events import Event
    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import Store
    from llm_optimize.core.types import Trial, Usage
    from llm_optimize.llm.exchanges import Exchange

__all__ = ["Log", "Moment", "read_log"]

_MOST = 20_000  # trials, and exchanges, that a report holds; of more, the best and the latest
_BEST = 10  # one part in so many of those shown are the best


@dataclass(frozen=True, slots=True)
class Moment:
    """How a study stood right after an evaluation.

    Attributes:
        event: the evaluation's outcome.
        best: the best trial by then, as it was known then.
        sigma: the pooled standard deviation of one evaluation; None while nothing was repeated.
        usage: what had been spent.
        seconds: for how long sessions had been open.
    """

    event: Told | Retold
    best: Trial | None
    sigma: float | None
    usage: Usage
    seconds: float


@dataclass(frozen=True, slots=True)
class Log:
    """One study, as far as it has come.

    Attributes:
        name: the study's name in its store.
        events: its log, oldest first, at least one; of a long one the proposals and outcomes of its ends alone.
        history: the log folded.
        moments: one for each evaluation, repeated ones included, in the order of their outcomes; of very many each
            second one, or fourth, and so on.
        exchanges: what its models were asked and what they answered; empty where the store keeps none.
        where: the store's path; empty for a store in memory.
        settings: what the sessions were started with, a later one over an earlier one.
        trials: those to show, in the order of their arrival: all, or of more than 20,000 the best and the latest.
        failed: how many of all trials failed.
        left_out: a sentence on what is not shown; empty where everything is.
    """

    name: str
    events: tuple[Event, ...]
    history: History
    moments: tuple[Moment, ...]
    exchanges: tuple[Exchange, ...] = ()
    where: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    failed: int = 0
    left_out: str = ""


def read_log(store: Store, name: str, most: int = _MOST) -> Log:
    """Read a study; nothing is written.

    Args:
        store: where it is.
        name: of the study.
        most: trials that are shown.

    Raises:
        BadInput: the store holds no study of that name.
        StoreError: its log is damaged.
    """
    folding, ends, course, scores = Folding(store, name, anew=True), _Ends(most), _Course(most), array("d")

    def watch(event: Event, history: History) -> None:
        ends.add(event)
        if isinstance(event, Told):
            scores.append(event.outcome.score if isinstance(event.outcome, Evaluation) else -math.inf)
        if isinstance(event, Told | Retold):
            course.add(event, history)

    folding.read(store, watch)
    events, history = ends.events(), folding.history
    if not events:
        msg = f"study {name!r} is not in the store: `llm-optimize list` shows those that are"
        raise BadInput(msg)
    kept = tuple(islice(exchanges(store, name), _MOST)) if isinstance(store, ExchangeLog) else ()
    settings: dict[str, Any] = {}
    for event in events:
        if isinstance(event, Opened):
            settings |= event.settings
    trials, left_out = _shown(history, scores, most)
    failed = scores.count(-math.inf) if left_out else sum(trial.score is None for trial in trials)
    where = str(getattr(store, "path", ""))
    return Log(name, events, history, tuple(course.moments), kept, where, settings, trials, failed, left_out)


def _shown(history: History, scores: array[float], most: int) -> tuple[tuple[Trial, ...], str]:
    """Return the trials to show, and a sentence on those that are not."""
    told = len(scores)
    if told <= most:
        return tuple(history.trials), ""
    few = most // _BEST
    best = nlargest(few, range(told), key=scores.__getitem__)
    known = {trial.id: trial for trial in (history.trials[place] for place in sorted({0, *best}))}
    if history.best is not None:
        known[history.best.id] = history.best
    latest = history.recent(most - few)
    there = {trial.id for trial in latest}
    shown = (*sorted((one for one in known.values() if one.id not in there), key=lambda one: one.id), *latest)
    return shown, f"of {told} trials the {few} best and the latest {most - few} are shown"


class _Ends:
    """The events of a log but for proposals and outcomes far from both of its ends."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._first: list[Event] = []
        self._last: deque[tuple[int, Event]] = deque(maxlen=most)
        self._other: list[tuple[int, Event]] = []
        self._seen = 0

    def add(self, event: Event) -> None:
        self._seen += 1
        if self._seen <= 2 * self._most:
            self._first.append(event)
        elif isinstance(event, Proposed | Told | Retold):
            self._last.append((self._seen, event))
        else:
            self._other.append((self._seen, event))

    def events(self) -> tuple[Event, ...]:
        later = sorted([*self._last, *self._other], key=lambda row: row[0])
        return (*self._first, *(event for _, event in later))


class _Course:
    """A moment for each evaluation, or for each second, fourth, ... and each that brought another best."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.moments: list[Moment] = []
        self._places: list[int] = []  # of each moment among all evaluations; -1 for one that stays in any case
        self._seen = 0
        self._stride = 1
        self._best = -1

    def add(self, event: Told | Retold, history: History) -> None:
        best = -1 if history.best is None else history.best.id
        changed, self._best = best != self._best, best
        if changed or self._seen % self._stride == 0:
            seconds = history.active_seconds()
            self.moments.append(Moment(event, history.best, history.sigma, history.usage, seconds))
            self._places.append(-1 if changed else self._seen)
            if len(self.moments) > 2 * self._most:
                self._thin()
        self._seen += 1

    def _thin(self) -> None:
        self._stride *= 2
        kept = [place < 0 or place % self._stride == 0 for place in self._places]
        self.moments = [moment for moment, keep in zip(self.moments, kept, strict=True) if keep]
        self._places = [place for place, keep in zip(self._places, kept, strict=True) if keep]
