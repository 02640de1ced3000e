"""The units of work of a ledger, and what they come to.

With a thousand in flight each call asks what all of them hold: the sums are kept, not taken. Whoever changes a unit
says so (:meth:`Units.changed`), and only that one is reckoned anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_optimize.core.types import Usage

if TYPE_CHECKING:
    from collections.abc import ItemsView, ValuesView

__all__ = ["CAPS", "Unit", "Units", "amount"]

CAPS = ("tokens", "dollars")
"""What a ledger counts."""

_NOTHING = Usage()
_EXACT_AGAIN = 1000  # changes after which the sums are taken anew: they are floats, and drift


def amount(usage: Usage, cap: str) -> float:
    """Return what ``usage`` counts against a cap."""
    return usage.tokens if cap == "tokens" else usage.dollars


@dataclass(slots=True)
class Unit:
    """What one unit of work has spent and set aside.

    ``least`` is expected of it, ``follow`` of what comes after it. ``owed`` was paid before it began: by an earlier
    attempt at it whose replies are recalled, and so counted anew. A dead one only owes; an heir has not begun yet.
    """

    least: Usage = _NOTHING
    follow: Usage = _NOTHING
    owed: Usage = _NOTHING
    alive: bool = True
    heir: bool = False
    spent: Usage = _NOTHING
    reserved: list[tuple[Usage, int]] = field(default_factory=list)  # with the thread that waits for the reply
    waiting: int = 0  # threads that wait for money

    def paid(self, cap: str) -> float:
        """Return what it has certainly cost."""
        return max(amount(self.spent, cap), amount(self.owed, cap))

    def flying(self, cap: str) -> float:
        """Return what its calls in flight may cost."""
        return sum(amount(usage, cap) for usage, _ in self.reserved)

    def firm(self, cap: str) -> float:
        """Return what it has cost and its calls in flight may cost."""
        return max(amount(self.owed, cap), amount(self.spent, cap) + self.flying(cap))

    def held(self, cap: str) -> float:
        """Return what counts against the cap for it: the firm amount and what is kept free."""
        if not self.alive:
            return self.firm(cap)
        return max(amount(self.least, cap), self.firm(cap)) + amount(self.follow, cap)

    def calls_elsewhere(self, thread: int) -> bool:
        """Return whether a call of another thread is in flight here."""
        return any(owner != thread for _, owner in self.reserved)


class Units:
    """Units by name, in the order in which they came, with the sums over all of them by cap.

    Example:
        >>> units = Units()
        >>> units.put("proposal/0", Unit(spent=Usage(tokens_in=60), follow=Usage(tokens_in=10)))
        >>> units.held("tokens"), units.firm("tokens"), units.paid("tokens")
        (70, 60, 60)
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._units: dict[str, Unit] = {}
        self._counted: dict[str, tuple[float, ...]] = {}
        self._sums: list[float] = [0] * (3 * len(CAPS))
        self._changes = 0

    def get(self, name: str) -> Unit | None:
        """Return a unit, or None."""
        return self._units.get(name)

    def values(self) -> ValuesView[Unit]:
        """Return all of them."""
        return self._units.values()

    def items(self) -> ItemsView[str, Unit]:
        """Return all of them with their names."""
        return self._units.items()

    def fly_beside(self, name: str) -> bool:
        """Say whether something is set aside for calls of others than this unit."""
        return any(one.reserved for other, one in self._units.items() if other != name)

    def put(self, name: str, unit: Unit) -> None:
        """Take a unit in, in the place of one of the same name."""
        self._units[name] = unit
        self.changed(name)

    def pop(self, name: str) -> None:
        """Forget a unit; nothing happens if there is none."""
        self._units.pop(name, None)
        self.changed(name)

    def changed(self, name: str) -> None:
        """Reckon anew what a unit comes to."""
        unit = self._units.get(name)
        before = self._counted.pop(name, None)
        if unit is not None:
            after = self._counted[name] = tuple(
                value for cap in CAPS for value in (unit.held(cap), unit.firm(cap), unit.paid(cap))
            )
            self._sums = [total + value for total, value in zip(self._sums, after, strict=True)]
        if before is not None:
            self._sums = [total - value for total, value in zip(self._sums, before, strict=True)]
        self._changes += 1
        if self._changes >= _EXACT_AGAIN or not self._counted:
            self._changes = 0
            self._sums = [sum(column) for column in zip(*self._counted.values(), strict=True)] or [0] * len(self._sums)

    def held(self, cap: str) -> float:
        """Return what counts against the cap for all of them."""
        return self._sums[3 * CAPS.index(cap)]

    def firm(self, cap: str) -> float:
        """Return what they have cost, and what their calls in flight may cost."""
        return self._sums[3 * CAPS.index(cap) + 1]

    def paid(self, cap: str) -> float:
        """Return what they have certainly cost."""
        return self._sums[3 * CAPS.index(cap) + 2]
