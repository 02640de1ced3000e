"""Who spent what: the cost of a study by role (proposer, judge, target, ...) and by model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llm_optimize.core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LOST", "Account"]

LOST = "lost"
"""The role of attempts that broke off after they were sent, so that nobody knows whether they were charged."""

_MORE = 1 + 1e-9  # a sum of prices that is larger than this times another is not the same in another order

_Rows = Mapping[tuple[str, str], Usage]


@dataclass(frozen=True, slots=True)
class Account:
    """Usage by (role, model); addable.

    Attributes:
        rows: cost by (role, model); a role is ``proposer``, ``reflection`` (a proposer's, on batches of feedback),
            ``scorer`` (a scorer's calls, unless it says whose they are), ``judge``, ``target`` or a word of the
            user's; the model's name is empty where nobody told it. Under
            :data:`LOST` stands what attempts may have cost whose reply never came; such a row has no calls.

    Example:
        >>> account = Account.of("proposer", "gpt-5", Usage(calls=1)) + Account.of("judge", "gpt-5", Usage(calls=2))
        >>> account.by_model()["gpt-5"].calls, account.by_role()["judge"].calls, account.total.calls
        (3, 2, 3)
    """

    rows: _Rows = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, role: str, model: str, usage: Usage) -> Account:
        """Return the account of one cost; an empty cost makes an empty account."""
        return cls(MappingProxyType({(role, model): usage} if usage != Usage() else {}))

    @property
    def total(self) -> Usage:
        """All rows together."""
        first, *others = self.rows.values() or (Usage(),)
        return reduce(Usage.__add__, others, first)

    def by_role(self) -> dict[str, Usage]:
        """Return the cost by role, in the order in which the roles first spent."""
        return self._by(0)

    def by_model(self) -> dict[str, Usage]:
        """Return the cost by model, in the order in which the models were first asked."""
        return self._by(1)

    def completed(self, total: Usage, role: str) -> Account:
        """Return this account with a row for what ``total`` has beyond it.

        A scorer may report costs that this process did not see: those belong to ``role``, and their model is unknown.
        """
        if not self.rows:
            return Account.of(role, "", total)
        seen = self.total
        if seen == total:
            return self
        beyond = Usage(
            max(total.calls - seen.calls, 0),
            max(total.tokens_in - seen.tokens_in, 0),
            max(total.tokens_cached - seen.tokens_cached, 0),
            max(total.tokens_out - seen.tokens_out, 0),
            total.dollars - seen.dollars if total.dollars > seen.dollars * _MORE else 0.0,
        )
        return self + Account.of(role, "", beyond)

    def __add__(self, other: Account) -> Account:
        """Add row by row."""
        if not other.rows or not self.rows:
            return self if not other.rows else other
        rows = dict(self.rows)
        for key, usage in other.rows.items():
            rows[key] = rows[key] + usage if key in rows else usage
        return Account(MappingProxyType(rows))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the rows as a plain mapping."""
        return Account, (dict(self.rows),)

    def _by(self, part: int) -> dict[str, Usage]:
        found: dict[str, list[Usage]] = {}
        for key, usage in self.rows.items():
            found.setdefault(key[part], []).append(usage)
        return {name: _sum(usages) for name, usages in found.items()}


def _sum(usages: Iterable[Usage]) -> Usage:
    return reduce(Usage.__add__, usages, Usage())
