"""What a report is made from: a study's log and its exchanges, read once from the store.

Of a long study a report holds a part: a page with a million rows is of no use to anybody. What it leaves out it says.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Opened, Proposed, Retold, Told
from llm_optimize.core.folding import Folding
from llm_optimize.core.protocols import ExchangeLog, Shelving
from llm_optimize.core.trace import Trace
from llm_optimize.errors import BadInput
from llm_optimize.llm.exchanges import exchanges
from llm_optimize.report.lineage import ancestry

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from llm_optimize.core.events import Event
    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import Store
    from llm_optimize.core.types import Trial
    from llm_optimize.llm.exchanges import Exchange

__all__ = ["Log", "Moment", "Reading", "read_log"]

_MOST = 20_000  # trials, and exchanges, that a report holds; of more, the best and the latest
_BEST = 10  # one part in so many of those shown are the best
_PAGE = 1000  # events fetched at a time


@dataclass(frozen=True, slots=True)
class Moment:
    """How a study stood right after an evaluation.

    Attributes:
        trial: id of the candidate that was evaluated.
        score: None for a failure.
        part: what the evaluation was for, index into :data:`llm_optimize.core.trace.PARTS`.
        seconds: for how long sessions had been open.
        tokens: that had been spent.
        dollars: that had been spent.
        best: id of the best trial by then, None for none.
        best_score: its score, as it was known then.
        best_n: how often it had been scored.
        sigma: the pooled standard deviation of one evaluation; None while nothing was repeated.
    """

    trial: int
    score: float | None
    part: int
    seconds: float
    tokens: int
    dollars: float
    best: int | None
    best_score: float | None
    best_n: int
    sigma: float | None


@dataclass(frozen=True, slots=True)
class Log:
    """One study, as far as it has come.

    Attributes:
        name: the study's name in its store.
        events: its log, oldest first, at least one; of a long one the proposals and outcomes of its ends alone.
        history: the log folded.
        moments: one for each evaluation, repeated ones included, in the order of their outcomes; of very many each
            second one, or fourth, and so on, and those after which another candidate was the best.
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
            anew: read everything; otherwise begin with the snapshot that the store may keep of a long study, whose
                course has fewer moments.
        """
        self._store, self._name, self._most = store, name, most
        self._ends = _Ends(most)
        self._folding = Folding(store, name, trace=Trace(stride=1))
        if not anew and isinstance(store, Shelving):
            begun = Folding(store, name)
            if begun.sequence:
                self._folding = begun
                _put_outer(self._ends, store, name, begun, most)

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
            self._ends.add(event)
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
        scores = self._folding.scores
        trials, left_out = _shown(history, scores, self._most)
        failed = scores.count(-math.inf) if left_out else sum(trial.score is None for trial in trials)
        where = str(getattr(self._store, "path", ""))
        moments = _moments(self._folding.trace, self._most)
        return Log(self._name, events, history, moments, said, where, self.settings, trials, failed, left_out)


def _put_outer(ends: _Ends, shelf: Shelving, name: str, folding: Folding, most: int) -> None:
    """Take in what is kept of a long log that was folded before, without reading the rest of it."""
    last = folding.sequence
    after = max(2 * most, last - most - sum(number > last - 2 * most for number in folding.rare))
    wanted = [*range(1, min(last, 2 * most) + 1), *(number for number in folding.rare if 2 * most < number <= after)]
    for some in (*_pages(wanted), *_pages(range(after + 1, last + 1))):
        fetched = shelf.fetch(name, some)
        for number in some:
            ends.add(fetched[number])


def _pages(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[at : at + _PAGE] for at in range(0, len(numbers), _PAGE))


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
    reading = Reading(store, name, most, anew=False)
    reading.read()
    if len(reading.history.trials) <= most:  # what is shown whole is read whole
        reading = Reading(store, name, most)
        reading.read()
    return reading.log(reading.exchanges())


def _moments(trace: Trace, most: int) -> tuple[Moment, ...]:
    """Return a moment for each row, or for each second, fourth, ... and each that brought another best."""
    places, stride = trace.places, 1
    rows: Iterable[int] = range(len(places))
    while sum(1 for _ in rows) > 2 * most and stride <= trace.seen:
        stride *= 2
        rows = [row for row in rows if places[row] < 0 or places[row] % stride == 0]
    return tuple(_moment(trace, row) for row in rows)


def _moment(trace: Trace, row: int) -> Moment:
    best = trace.best[row]
    return Moment(
        trace.ids[row], _known(trace.scores[row]), trace.parts[row], trace.seconds[row], trace.tokens[row],
        trace.dollars[row], None if best < 0 else best, _known(trace.best_scores[row]), trace.best_n[row],
        _known(trace.sigmas[row]),
    )  # fmt: skip


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _shown(history: History, scores: array[float], most: int) -> tuple[tuple[Trial, ...], str]:
    """Return the trials to show, and a sentence on those that are not."""
    told = len(scores)
    if told <= most:
        return tuple(history.trials), ""
    few = most // _BEST
    best = nlargest(few, range(told), key=scores.__getitem__)
    line = [] if history.best is None else ancestry(history, history.best.id)
    chosen = [*(history.trials[place] for place in sorted({0, *best})), *map(history.trial, line)]
    shown = _with_latest([one for one in chosen if one is not None], history, most - few)
    return shown, f"of {told} trials the {few} best and the latest {most - few} are shown, and what the best came from"


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
