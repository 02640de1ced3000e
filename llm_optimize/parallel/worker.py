"""The worker's side of an evaluation: scorers that stay warm, a scope of its own, and an answer that says it all.

A scorer is unpacked once per process and kept, with the sandbox, the data and the connections that it has opened, so
every worker has its own warm ones. What its model calls cost is counted here and travels back; what was paid for in
an attempt that ended early travels along, and is not paid again.
"""

from __future__ import annotations

import os
import pickle
import platform
import threading
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

from llm_optimize.core.ledger import UnitGuard
from llm_optimize.core.metering import Scope, current_scope
from llm_optimize.core.scoring import evaluate
from llm_optimize.errors import BadInput, LLMOptimizeError
from llm_optimize.parallel.errand import Answer, Errand, Sealed
from llm_optimize.parallel.replies import Exchanges, Replies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llm_optimize.core.protocols import Scorer
    from llm_optimize.core.types import Trial
    from llm_optimize.parallel.packing import Parcel

__all__ = ["KEYS", "evaluation_key", "perform", "versions"]

KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "LLM_OPTIMIZE_MODEL")
"""Variables of the environment that say which model is asked, and with which key."""

_KEPT = 4  # scorers per process: the study's, the one for sealed examples, and those of another study
_WARM: OrderedDict[str, Scorer] = OrderedDict()
_UNPACKING = threading.Lock()  # an engine may run several threads per worker; they share one scorer


def evaluation_key() -> str | None:
    """Return the idempotency key of the evaluation that this code runs in; None outside a study.

    An engine that loses a worker runs its evaluation again. A scorer that pays, posts or writes somewhere can hand
    this key on, so that the second attempt is known for what it is; model calls of this package do so by themselves.

    Example:
        >>> evaluation_key() is None
        True
    """
    scope = current_scope()
    return None if scope is None else f"{scope.born!r}/{scope.study}/{scope.name}"


@cache
def versions() -> tuple[str, str]:
    """Return the versions of Python, as ``3.11``, and of this package."""
    return ".".join(platform.python_version_tuple()[:2]), metadata.version("llm-optimize")


def perform(sealed: Sealed) -> Sealed:
    """Carry out a sealed :class:`Errand` and return the sealed :class:`Answer`; never raises for the scorer's sake."""
    errand: Errand = sealed.opened()
    answer = _answer(errand)
    try:
        return Sealed.of(sealed.name, answer)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        msg = f"executor: what func returned cannot be sent back ({error}); return a number, a text and plain values"
        return Sealed.of(sealed.name, Answer(error=BadInput(msg), account=answer.account, replies=answer.replies))


def _answer(errand: Errand) -> Answer:
    if errand.versions != versions():
        here, there = (" with llm-optimize ".join(pair) for pair in (versions(), errand.versions))
        msg = f"executor: a worker has Python {here}, the study Python {there}; install the same on both"
        return Answer(error=BadInput(msg))
    with _lent(errand.environment):
        try:
            scorer = _scorer(errand.digest, errand.scorer)
        except (ImportError, AttributeError, pickle.UnpicklingError) as error:
            msg = f"executor: func cannot be opened on a worker ({error}); install there what it imports"
            return Answer(error=BadInput(msg))
        return Answer(lacks=True) if scorer is None else _evaluated(errand, scorer)


def _evaluated(errand: Errand, scorer: Scorer) -> Answer:
    guard = None if errand.ledger is None else UnitGuard(errand.ledger, errand.unit)
    replies = None if errand.replies is None else (Exchanges if errand.exchanges else Replies)(errand.replies)
    scope = Scope(errand.study, errand.unit, guard, replies, errand.born)
    scope.begun = errand.begun
    past: Any = _Leaders(errand.leaders) if errand.leaders else None
    scope.past = past
    scored, failed = None, None
    try:
        scored = evaluate(scorer, errand.text, scope)
    except LLMOptimizeError as error:
        failed = error
    return Answer(scored, failed, scope.account, {} if replies is None else replies.fresh())


@dataclass(frozen=True, slots=True)
class _Leaders:
    """The part of a history that scorers look at: the best trials."""

    trials: tuple[Trial, ...]

    def top(self, k: int) -> tuple[Trial, ...]:
        """Return the best ``k`` of those that came along."""
        return self.trials[:k]


def _scorer(digest: str, parcel: Parcel | None) -> Scorer | None:
    with _UNPACKING:
        known = _WARM.get(digest)
        if known is None and parcel is not None:
            known = _WARM[digest] = pickle.loads(parcel.body)  # noqa: S301 - the user's own scorer
            while len(_WARM) > _KEPT:
                _WARM.popitem(last=False)
        elif known is not None:
            _WARM.move_to_end(digest)
        return known


_LENDING = threading.Lock()
_LENT: list[dict[str, str | None]] = []  # what the variables were before, while any evaluation needs them


@contextmanager
def _lent(environment: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process while evaluations need them; afterwards it knows no more than before."""
    if not environment:
        yield
        return
    with _LENDING:
        _LENT.append({name: os.environ.get(name) for name in KEYS} if not _LENT else {})
        os.environ.update(environment)
    try:
        yield
    finally:
        with _LENDING:
            _return()


def _return() -> None:
    if len(_LENT) > 1:
        _LENT.pop()  # the first entry holds what was before
        return
    for name, value in _LENT.pop().items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
