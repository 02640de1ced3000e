"""A model that answers from a file of exchanges: the same run again, offline, with the same results.

``model="recorded:FILE"``, or ``recorded:FILE#NAME`` where several models were asked and the one called NAME is meant,
wherever a model's name may stand: in :func:`llm_optimize.optimize.run`, in ``--model``, in a scorer's judge. Files are
written by ``llm-optimize export STUDY --exchanges FILE``. The order in which results came is repeated too
(:class:`llm_optimize.core.order.Order`), so a run with several chains in flight goes the way that it went.

Repeated are the calls that a study's log holds: those of proposals, and of scorers that run in the study's process.
Not repeated: calls made outside a study or in other processes, errors of the endpoint (a recording holds none), and
what does not come from a model: a scorer, a tool or a clock that says something else than the first time. Where that
reaches a prompt, the replay stops and says where.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.core.metering import current_scope
from llm_optimize.errors import BadInput, ModelRefused
from llm_optimize.llm.parting import parting
from llm_optimize.llm.provenance import answered_from
from llm_optimize.llm.recorded import request_key
from llm_optimize.llm.rereading import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.chat import Reply, Request
    from llm_optimize.core.order import Order
    from llm_optimize.llm.exchanges import Exchange
    from llm_optimize.llm.rereading import Recording

__all__ = ["PREFIX", "Replay", "is_recorded", "replayed"]

PREFIX = "recorded:"
_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})


@dataclass(frozen=True, slots=True)
class Replay:
    """A model that answers as the file says; a value that pickles. See :func:`replayed`.

    Attributes:
        path: the file, absolute.
        model: which of the models in it this one stands for.
    """

    path: Path
    model: str

    @property
    def name(self) -> str:
        """The name of the model that was asked when the file was recorded."""
        return self.model

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings that the model had then, so that estimates come out as they did."""
        return self._recording.defaults[self.model]

    @property
    def free(self) -> bool:
        """Whether its calls cost no dollars then; the recorded price of a reply stands in any case."""
        return self.model not in self._recording.priced

    @property
    def order(self) -> Order:
        """The order in which the run's results came."""
        return self._recording.order

    @property
    def _recording(self) -> Recording:
        return opened(self.path)

    def preflight(self) -> None:
        """Read the whole file once.

        Raises:
            BadInput: it is damaged; names the line.
        """
        opened(self.path)

    def complete(self, request: Request) -> Reply:
        """Answer as recorded for the same call of the same unit of work.

        Raises:
            ModelRefused: the file holds no such call, or the prompt is another; says where the two part.
            ContextTooLong: the endpoint said so of this prompt then.
        """
        scope = current_scope()
        if scope is None:
            msg = (
                f"{PREFIX}{self.path}: this call is made outside a study's units of work, of which nothing is kept: "
                "replay inside a study, with a scorer that runs in its process"
            )
            raise ModelRefused(msg)
        recording, key = self._recording, request_key(scope, request)
        look = _unlimited if scope.guard is not None else _whole
        request = look(request)
        exchange = recording.find(scope.name, key)
        if exchange is not None and exchange.reply is not None and not _parting(exchange, request, look):
            answered_from("recording")
            return exchange.reply
        for refused in recording.refusals(scope.name, key):
            if refused.refusal is not None and not _parting(refused, request, look):
                raise refused.refusal
        nearest = exchange or recording.nearest(scope.name, key, request)
        where = _parting(nearest, request, look) if nearest is not None else ""
        there = f"{scope.name}/{nearest.key}: {where}" if nearest is not None and where else ""
        msg = f"{PREFIX}{self.path}: {there or recording.missing(scope.name, key)}"
        raise ModelRefused(msg)


def _whole(request: Request) -> Request:
    return request


def _unlimited(request: Request) -> Request:
    """Leave out the limit on the answer's length, which a budget sets anew for each call."""
    return replace(request, settings={name: value for name, value in request.settings.items() if name not in _LIMITS})


def _parting(exchange: Exchange, request: Request, look: Callable[[Request], Request]) -> str:
    """Return where ``request`` departs from the recorded one; of some requests nothing is known.

    Neither of those that earlier versions did not keep, nor of those for which a resumed session used a reply that it
    found in the log.
    """
    return (
        "" if exchange.request is None or exchange.recalled else parting(look(exchange.request), request, exchange.unit)
    )


def is_recorded(model: object) -> bool:
    """Return whether ``model`` is a name that stands for a recording.

    Example:
        >>> is_recorded("recorded:run.jsonl"), is_recorded("gpt-5")
        (True, False)
    """
    return isinstance(model, str) and model.startswith(PREFIX)


def replayed(name: str) -> Replay:
    """Return the model that ``recorded:FILE`` or ``recorded:FILE#NAME`` stands for.

    Without NAME it is the model that made proposals, else the first that was asked.

    Raises:
        BadInput: there is no such file, it is damaged, or it holds no model of that name.
    """
    text = name.removeprefix(PREFIX)
    path, chosen = Path(text).expanduser(), ""
    if not path.exists() and "#" in text:
        stem, _, chosen = text.rpartition("#")
        path = Path(stem).expanduser()
    models = opened(path.absolute()).models
    if chosen and chosen not in models:
        msg = f"model: {path} holds no calls of a model {chosen!r}: it holds those of {_listed(models)}"
        raise BadInput(msg)
    return Replay(path.absolute(), chosen or models[0])


def _listed(models: Sequence[str]) -> str:
    return ", ".join(map(repr, models))
