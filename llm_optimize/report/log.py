"""What a report is made from: a study's log and its exchanges, read once from the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Opened, Retold, Told
from llm_optimize.core.history import History
from llm_optimize.core.protocols import ExchangeLog
from llm_optimize.errors import BadInput
from llm_optimize.llm.exchanges import exchanges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.events import Event
    from llm_optimize.core.protocols import Store
    from llm_optimize.core.types import Trial, Usage
    from llm_optimize.llm.exchanges import Exchange

__all__ = ["Log", "Moment", "read_log"]


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
        events: its log, oldest first, at least one.
        history: the log folded.
        moments: one for each evaluation, repeated ones included, in the order of their outcomes.
        exchanges: what its models were asked and what they answered; empty where the store keeps none.
        where: the store's path; empty for a store in memory.
        settings: what the sessions were started with, a later one over an earlier one.
    """

    name: str
    events: tuple[Event, ...]
    history: History
    moments: tuple[Moment, ...]
    exchanges: tuple[Exchange, ...] = ()
    where: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_log(store: Store, name: str) -> Log:
    """Read a study; nothing is written.

    Raises:
        BadInput: the store holds no study of that name.
        StoreError: its log is damaged.
    """
    events = tuple(event for _, event in store.read(name))
    if not events:
        msg = f"study {name!r} is not in the store: `llm-optimize list` shows those that are"
        raise BadInput(msg)
    history, moments = History.empty(), []
    for event in events:
        history = history.after(event)
        if isinstance(event, (Told, Retold)):
            moments.append(Moment(event, history.best, history.sigma, history.usage, history.active_seconds()))
    kept = tuple(exchanges(store, name)) if isinstance(store, ExchangeLog) else ()
    settings: dict[str, Any] = {}
    for event in events:
        if isinstance(event, Opened):
            settings |= event.settings
    return Log(name, events, history, tuple(moments), kept, str(getattr(store, "path", "")), settings)
