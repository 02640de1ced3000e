"""What a study and its models said to each other, read back from the study's log."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_optimize.core.metering import CHOSEN
from llm_optimize.core.protocols import ExchangeLog
from llm_optimize.errors import BadInput
from llm_optimize.llm.asked import REQUEST, TEXT, read_request
from llm_optimize.llm.recorded import RECALLED, REFUSED, refusal_from_json, reply_from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from llm_optimize.core.chat import Reply, Request
    from llm_optimize.core.protocols import Store
    from llm_optimize.errors import ContextTooLong

__all__ = ["Exchange", "exchange_names", "exchanges", "read_exchanges"]

_TEXTS_HELD = 2048


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call of a model, as its unit of work saw it.

    Attributes:
        unit: the unit of work, such as ``proposal/17`` or ``evaluation/12``.
        key: identity of the call within its unit.
        request: what was asked, without keys and headers; None in logs of versions that kept replies alone.
        reply: the answer; None where the endpoint refused the prompt as too long.
        model: the name of the model that was asked; where that is not known, the name that it answered under.
        defaults: the model's own settings, such as its temperature; those of the request win.
        begun: how many results and words of guidance the study had when the unit began; in the last session that used
            the reply.
        recalled: whether that was a later session than the one that asked, with more of a past to show; then its own
            prompt was another than ``request``.
        refusal: the error, where there is no reply.
    """

    unit: str
    key: str
    request: Request | None
    reply: Reply | None
    model: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    begun: int = 0
    recalled: bool = False
    refusal: ContextTooLong | None = None


def exchanges(store: Store, study: str) -> Iterator[Exchange]:
    r"""Yield every exchange of a study in the order in which the replies came.

    Args:
        store: where the study's log is.
        study: its name; an unknown one has no exchanges.

    Raises:
        BadInput: the store keeps no exchanges.
        StoreError: an entry is damaged.

    Example:
        >>> import tempfile
        >>> from llm_optimize import ScriptedModel, SQLiteStore, optimize
        >>> store = SQLiteStore(tempfile.mkdtemp() + "/studies.db")
        >>> _ = optimize.run("Be long.", "Longer?", len, x0="a", model=ScriptedModel(["```\nbb\n```"]), max_steps=1,
        ...                  verbose=False, store=store, study="demo")
        >>> [(one.unit, one.key, one.request.messages[0].role) for one in exchanges(store, "demo")]
        [('proposal/0', 'ask-0', 'system')]
    """
    return read_exchanges(store, study, exchange_names(store, study))


def exchange_names(store: Store, study: str) -> list[str]:
    """Return what the exchanges of a study are kept as, in order; how many there are is known without reading them.

    Raises:
        BadInput: the store keeps no exchanges.
    """
    return [name for name in _log(store).keys(study) if not name.startswith((TEXT, REQUEST, RECALLED, CHOSEN))]


def read_exchanges(store: Store, study: str, names: Sequence[str]) -> Iterator[Exchange]:
    """Yield the exchanges of those names.

    Raises:
        StoreError: an entry is damaged.
    """
    log = _log(store)
    recall = lru_cache(_TEXTS_HELD)(lambda key: log.recall(study, key))  # a text stands in many prompts
    later: dict[str, int] = {}
    for entry in log.keys(study, RECALLED):
        position, _, name = entry.removeprefix(RECALLED).partition("/")
        later[name] = int(position)
    for name in names:
        one = _exchange(name, log.recall(study, name) or "", log.recall(study, REQUEST + name), recall)
        begun = later.get(name, one.begun)
        yield one if begun == one.begun else replace(one, begun=begun, recalled=True)


def _log(store: Store) -> ExchangeLog:
    if not isinstance(store, ExchangeLog):
        msg = f"store: {type(store).__name__} keeps no exchanges: give a SQLiteStore"
        raise BadInput(msg)
    return store


def _exchange(name: str, body: str, asked: str | None, recall: Callable[[str], str | None]) -> Exchange:
    reply = None if name.startswith(REFUSED) else reply_from_json(body)
    if asked is None:  # a version that kept replies alone wrote it
        kind, number, key = [*name.split("/", 2), "", ""][:3]
        return Exchange(f"{kind}/{number}", key, None, reply, reply.model if reply is not None else "")
    request, around = read_request(name, asked, recall)
    refusal = None if reply is not None else refusal_from_json(body)
    return Exchange(
        around.unit, request.key, request, reply, around.model, around.defaults, around.begun, refusal=refusal
    )
