"""What goes to a worker and what comes back: data that any engine can carry, and that prints without its contents.

Engines print what they carry when something fails, so both travel as a :class:`Sealed`: a name and bytes.
"""

from __future__ import annotations

import pickle  # of the user's own scorer, between processes of the user
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.core.account import Account

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.ledger import Ledger
    from llm_optimize.core.types import Outcome, Trial
    from llm_optimize.errors import LLMOptimizeError
    from llm_optimize.parallel.packing import Parcel

__all__ = ["Answer", "Errand", "Sealed"]


@dataclass(frozen=True, slots=True)
class Sealed:
    """Bytes with a name: ``evaluation/3 of poem-1``.

    Attributes:
        name: what is inside, for people.
        body: the pickle; never printed.
    """

    name: str
    body: bytes = field(repr=False)

    @classmethod
    def of(cls, name: str, thing: object) -> Sealed:
        """Seal a value."""
        return cls(name, pickle.dumps(thing, protocol=pickle.HIGHEST_PROTOCOL))

    def opened(self) -> Any:  # noqa: ANN401 - whatever was sealed
        """Return the value."""
        return pickle.loads(self.body)  # noqa: S301 - sealed by the other side of the same study


@dataclass(frozen=True, slots=True)
class Errand:
    """One evaluation, as a worker needs to know it.

    Attributes:
        study: the study's name.
        born: when the study was first opened, Unix time in seconds.
        unit: ``evaluation/3`` or ``retest/7``; with the two above the idempotency key.
        begun: how far the study had come, in results and words of guidance.
        text: the candidate.
        digest: of the scorer's parcel.
        scorer: the parcel; None where the worker is believed to have it.
        ledger: what its model calls may spend; None for no cap.
        replies: those paid for in an earlier attempt, by key; None for a study that keeps none.
        exchanges: whether the study also keeps what was asked.
        leaders: the best trials so far, for scorers that compare candidates.
        environment: variables with keys; empty where the scorer holds no model.
        versions: of Python and of this package here, since bytes of one need not fit another.
    """

    study: str
    born: float
    unit: str
    begun: int
    text: str
    digest: str
    scorer: Parcel | None
    ledger: Ledger | None
    replies: Mapping[str, str] | None
    exchanges: bool
    leaders: tuple[Trial, ...]
    environment: Mapping[str, str]
    versions: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an errand.

    Attributes:
        scored: (outcome, seconds), or None.
        error: why there is no outcome, where this package's errors say so.
        account: what the evaluation's model calls have cost.
        replies: what is to be kept of them, by key.
        lacks: the worker does not have the scorer: send it along.
    """

    scored: tuple[Outcome, float] | None = None
    error: LLMOptimizeError | None = None
    account: Account = field(default_factory=Account)
    replies: Mapping[str, str] = field(default_factory=dict)
    lacks: bool = False
