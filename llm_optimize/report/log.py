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
from llm_optimize.core.folding import Folding, read_folding
from llm_optimize.core.protocols import ExchangeLog, Shelving
from llm_optimize.core.trace import Trace
from llm_optimize.errors import BadInput
from llm_optimize.llm.exchanges import exchanges
from llm_optimize.report.lineage import ancestry

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Mapping

    from llm_optimize.core.events import Event
    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import Store
    from llm_optimize.core.types import Trial
    from llm_optimize.llm.exchanges import Exchange

__all__ = ["Log", "Moment", "read_log"]

_MOST = 20_000  # trials, and exchanges, that a report holds; of more, the best and the latest
_BEST = 10  # one part in so many of those shown are the best


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
    folding = read_folding(store, name)
    if not folding.sequence:
        msg = f"study {name!r} is not in the store: `llm-optimize list` shows those that are"
        raise BadInput(msg)
    if isinstance(store, Shelving) and len(folding.history.trials) > most:
        events = _outer_events(store, store, name, folding, most)
    else:
        ends = _Ends(most)
        folding = Folding(store, name, trace=Trace(stride=1))
        folding.read(store, ends.add)
        events = ends.events()
    history, scores = folding.history, folding.scores
    kept = tuple(islice(exchanges(store, name), _MOST)) if isinstance(store, ExchangeLog) else ()
    settings: dict[str, Any] = {}
    for event in events:
        if isinstance(event, Opened):
            settings |= event.settings
    trials, left_out = _shown(history, scores, most)
    failed = scores.count(-math.inf) if left_out else sum(trial.score is None for trial in trials)
    where = str(getattr(store, "path", ""))
    return Log(name, events, history, _moments(folding.trace, most), kept, where, settings, trials, failed, left_out)


def _outer_events(store: Store, shelf: Shelving, name: str, folding: Folding, most: int) -> tuple[Event, ...]:
    """Return what :class:`_Ends` keeps of a long log, without reading the rest of it."""
    last, ends = folding.sequence, _Ends(most)
    for _, event in islice(store.read(name), 2 * most):
        ends.add(event)
    after = max(2 * most, last - most - sum(number > last - 2 * most for number in folding.rare))
    between = [number for number in folding.rare if 2 * most < number <= after]
    fetched = shelf.fetch(name, between)
    for number in between:
        ends.add(fetched[number])
    for _, event in store.read(name, after):
        ends.add(event)
    return ends.events()


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
    known = {trial.id: trial for trial in (history.trials[place] for place in sorted({0, *best}))}
    for id_ in [] if history.best is None else ancestry(history, history.best.id):
        if (trial := history.trial(id_)) is not None:
            known[id_] = trial
    latest = history.recent(most - few)
    there = {trial.id for trial in latest}
    shown = (*sorted((one for one in known.values() if one.id not in there), key=lambda one: one.id), *latest)
    return shown, f"of {told} trials the {few} best and the latest {most - few} are shown, and what the best came from"


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
