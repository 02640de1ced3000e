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
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from llm_optimize.core.events import Opened, Proposed, Retold, Told
from llm_optimize.core.folding import Folding
from llm_optimize.core.protocols import ExchangeLog
from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput
from llm_optimize.llm.exchanges import exchanges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from llm_optimize.core.events import Event
    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import Store
    from llm_optimize.core.types import Trial, Usage
    from llm_optimize.llm.exchanges import Exchange

__all__ = ["Log", "Moment", "Reading", "read_log"]

_MOST = 20_000  # trials, and exchanges, that a report holds; of more, the best and the latest
_BEST = 10  # one part in so many of those shown are the best
_TOP = 64  # best ones that a history knows without going through all


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


class Reading:
    """A study's log on its way to a report: what is new is taken in where the last reading ended; for one thread."""

    def __init__(self, store: Store, name: str, most: int = _MOST, *, anew: bool = True) -> None:
        """Read nothing yet.

        Args:
            store: where the study is.
            name: of the study.
            most: trials that are shown.
            anew: read everything; otherwise begin with the snapshot that the store may keep of a long study, so that
                the course of scores begins there too.
        """
        self._store, self._name, self._most = store, name, most
        self._folding = Folding(store, name, anew=anew)
        if self._folding.sequence and not isinstance(store, _ByKind):
            self._folding = Folding(store, name, anew=True)
        self._ends, self._course, self._scores = _Ends(most), _Course(most), array("d")
        self._before = len(self._folding.history.trials)
        self._said: list[Event] = []  # those behind the snapshot come again
        if self._folding.sequence and isinstance(store, _ByKind):
            self._said = store.of_kinds(name, "opened", "guided", "stopped")
        for event in self._said:
            self._ends.add(event)

    @property
    def history(self) -> History:
        """The log folded, as far as it was read."""
        return self._folding.history

    @property
    def sequence(self) -> int:
        """The number of the last event that was read."""
        return self._folding.sequence

    @property
    def settings(self) -> dict[str, Any]:
        """What the sessions so far were started with, a later one over an earlier one."""
        found: dict[str, Any] = {}
        for event in self._ends.events():
            if isinstance(event, Opened):
                found |= event.settings
        return found

    def read(self, watch: Callable[[int, Event, History], object] | None = None, most: int | None = None) -> None:
        """Take in what the log holds beyond this.

        Args:
            watch: called after each event with its number and the history so far, which must not be kept: it changes.
            most: events; None takes all.

        Raises:
            StoreError: an event cannot be read; the next call begins with it.
        """

        def see(event: Event, history: History) -> None:
            self._take(event, history)
            if watch is not None:
                watch(self._folding.sequence, event, history)

        self._folding.read(self._store if most is None else _Some(self._store, most), see)

    def exchanges(self) -> tuple[Exchange, ...]:
        """Return what its models were asked and what they answered; may be called from another thread."""
        store = self._store
        return tuple(islice(exchanges(store, self._name), _MOST)) if isinstance(store, ExchangeLog) else ()

    def log(self, said: tuple[Exchange, ...]) -> Log:
        """Return what a report shows of it so far.

        Args:
            said: as :meth:`exchanges` returns it.

        Raises:
            BadInput: the store holds no study of that name.
        """
        events, history = self._ends.events(), self.history
        if not events:
            msg = f"study {self._name!r} is not in the store: `llm-optimize list` shows those that are"
            raise BadInput(msg)
        trials, left_out = self._shown(history)
        failed = self._scores.count(-math.inf) if left_out else sum(trial.score is None for trial in trials)
        where = str(getattr(self._store, "path", ""))
        moments = tuple(self._course.moments)
        return Log(self._name, events, history, moments, said, where, self.settings, trials, failed, left_out)

    def _take(self, event: Event, history: History) -> None:
        if isinstance(event, Proposed | Told | Retold) or event not in self._said:
            self._ends.add(event)
        if isinstance(event, Told):
            self._scores.append(event.outcome.score if isinstance(event.outcome, Evaluation) else -math.inf)
        if isinstance(event, Told | Retold):
            self._course.add(event, history)

    def _shown(self, history: History) -> tuple[tuple[Trial, ...], str]:
        if not self._before:
            return _shown(history, self._scores, self._most)
        trials, few = history.trials, min(_TOP, self._most // _BEST)
        shown = _with_latest((trials[0], *history.top(few)), history, self._most - few)
        return shown, (
            f"of {len(trials)} trials the {few} best and the latest {self._most - few} are shown; the course of scores "
            f"and the count of failures begin with trial {self._before + 1}; `llm-optimize report` reads everything"
        )


@runtime_checkable
class _ByKind(Protocol):
    def of_kinds(self, study: str, *kinds: str) -> list[Event]: ...


class _Some:
    """A store of which a few events at a time are read."""

    def __init__(self, store: Store, most: int) -> None:
        self._store, self._most = store, most
        self.append, self.studies = store.append, store.studies

    def read(self, study: str, after: int = 0) -> Iterable[tuple[int, Event]]:
        return islice(self._store.read(study, after), self._most)


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
    reading = Reading(store, name, most)
    reading.read()
    return reading.log(reading.exchanges())


def _shown(history: History, scores: array[float], most: int) -> tuple[tuple[Trial, ...], str]:
    """Return the trials to show, and a sentence on those that are not."""
    told = len(scores)
    if told <= most:
        return tuple(history.trials), ""
    few = most // _BEST
    best = nlargest(few, range(told), key=scores.__getitem__)
    chosen = [history.trials[place] for place in sorted({0, *best})]
    shown = _with_latest(chosen, history, most - few)
    return shown, f"of {told} trials the {few} best and the latest {most - few} are shown"


def _with_latest(chosen: Iterable[Trial], history: History, latest: int) -> tuple[Trial, ...]:
    """Return those chosen, the best, and the latest, each once, in the order of their arrival."""
    known = {trial.id: trial for trial in (*chosen, *(() if history.best is None else (history.best,)))}
    last = history.recent(latest)
    there = {trial.id for trial in last}
    return (*sorted((one for one in known.values() if one.id not in there), key=lambda one: one.id), *last)


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
