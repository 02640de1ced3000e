"""What a report is made from: a study's log and its exchanges, read once from the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Opened
from llm_optimize.core.history import History
from llm_optimize.core.protocols import ExchangeLog
from llm_optimize.errors import BadInput
from llm_optimize.llm.exchanges import exchanges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.events import Event
    from llm_optimize.core.protocols import Store
    from llm_optimize.llm.exchanges import Exchange

__all__ = ["Log", "read_log"]


@dataclass(frozen=True, slots=True)
class Log:
    """One study, as far as it has come.

    Attributes:
        name: the study's name in its store.
        events: its log, oldest first, at least one.
        history: the log folded.
        exchanges: what its models were asked and what they answered; empty where the store keeps none.
        where: the store's path; empty for a store in memory.
        settings: what the sessions were started with, a later one over an earlier one.
    """

    name: str
    events: tuple[Event, ...]
    history: History
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
    history = reduce(History.after, events, History.empty())
    kept = tuple(exchanges(store, name)) if isinstance(store, ExchangeLog) else ()
    settings: dict[str, Any] = {}
    for event in events:
        if isinstance(event, Opened):
            settings |= event.settings
    return Log(name, events, history, kept, str(getattr(store, "path", "")), settings)
