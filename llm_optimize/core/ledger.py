"""The ledger: what is spent and what is set aside, so that a spend is refused before it is made.

Three amounts count against a cap: what the log shows; what units of work have spent that the log does not show yet;
and what is set aside for calls in flight. A call that would fit once others have settled waits for them; one that
would not fit even then is refused. A unit may also be expected to spend something (a candidate that is being proposed
will be scored by a judge): that is kept free for it, so that no reply is bought which nothing is left to score.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from llm_optimize.core.clock import SYSTEM, Clock
from llm_optimize.core.money_line import MoneyLine, Room
from llm_optimize.core.types import Usage
from llm_optimize.core.units import CAPS, Unit, Units, amount
from llm_optimize.errors import BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from llm_optimize.core.budget import Budget

__all__ = ["Ledger", "UnitGuard"]

_NOTHING = Usage()
_ROUNDING = 1e-9  # of a cap: sums of prices are not exact


class Ledger:
    """The account of one study while it runs; safe from many threads.

    Example:
        >>> from llm_optimize.core.budget import Budget
        >>> guard = UnitGuard(Ledger(Budget(tokens=100)), "proposal/0")
        >>> guard.reserve(Usage(tokens_in=60), Usage(tokens_in=60, tokens_out=60)).tokens_out
        40
    """

    def __init__(self, budget: Budget, clock: Clock = SYSTEM) -> None:
        """Start with nothing spent; calls that wait for money wait by ``clock``."""
        self._budget = budget
        self._booked = _NOTHING
        self._units = Units()
        self._lock = threading.Lock()  # model calls reserve from worker threads, at the same time
        self._line = MoneyLine(clock, self._lock)
        self._alone: list[str] = []  # units that wait until nothing is set aside for others, in order
        self._settled = clock.condition(self._lock)  # for those who wait until nobody has anything set aside

    @property
    def caps_dollars(self) -> bool:
        """Whether there is a cap on dollars."""
        return self._budget.dollars is not None

    def __reduce__(self) -> tuple[Callable[[Budget, Usage], Ledger], tuple[Budget, Usage]]:
        """Travel as what is spent so far; work in flight stays behind."""
        return _copied, (self._budget, self._booked)

    def committed(self) -> dict[str, float]:
        """Return what is spent, set aside and kept free, by cap."""
        with self._lock:
            return {cap: amount(self._booked, cap) + self._units.held(cap) for cap in CAPS}

    def fold(self, spent: Usage) -> None:
        """Take over the usage that the log shows."""
        if spent is not self._booked:
            with self._lock:
                self._booked = spent
                self._announce()

    def cap(self, budget: Budget) -> None:
        """Take over caps that were raised; calls that wait for money look again."""
        if budget != self._budget:
            with self._lock:
                self._budget = budget
                self._announce()

    def owe(self, units: Mapping[str, Usage]) -> None:
        """Count what units that the log does not show have cost, until they are begun again and logged."""
        with self._lock:
            for name, usage in units.items():
                self._units.put(name, Unit(owed=usage, alive=False))

    def begin(self, name: str, least: Usage, follow: Usage) -> None:
        """Open a unit, or take one up again that ended without reaching the log."""
        with self._lock:
            self._units.put(name, Unit(least, follow, self._owed(name)))

    def give_up(self, name: str) -> Usage:
        """End a unit whose usage the log does not show; return what its calls in flight may cost.

        Nobody waits for these any more, so all that was set aside for them counts as spent.
        """
        with self._lock:
            unit = self._units.get(name)
            if unit is None or not unit.alive:
                return _NOTHING
            flying = _NOTHING
            for usage, _ in unit.reserved:
                flying += usage
            unit.reserved.clear()
            unit.spent += flying
            unit.owed = Usage(tokens_in=int(unit.paid("tokens")), dollars=unit.paid("dollars"))
            unit.alive = False
            if not unit.owed.tokens and not unit.owed.dollars:
                self._units.pop(name)
            self._units.changed(name)
            self._announce(unit)
            return flying

    def drop(self, name: str, booked: Usage | None, heirs: Mapping[str, Usage]) -> None:
        """Forget a unit whose usage is part of ``booked``, what the log shows now; keep money free for its heirs.

        Both at once, so that no call which waits for money takes what was kept free for them.
        """
        with self._lock:
            unit = self._units.get(name)
            if unit is not None:
                unit.alive = False  # for calls of it that still wait
                self._units.pop(name)
            for heir, least in heirs.items():
                if least != _NOTHING:
                    self._units.put(heir, Unit(least, owed=self._owed(heir), heir=True))
            if booked is not None:
                self._booked = booked
            self._announce()

    def disinherit(self) -> None:
        """Keep nothing free any more for heirs, since they will not be begun; calls that wait for money look again."""
        with self._lock:
            for name, heir in [(name, unit) for name, unit in self._units.items() if unit.heir]:
                self._units.pop(name)
                if heir.owed != _NOTHING:
                    self._units.put(name, Unit(owed=heir.owed, alive=False))
            self._announce()

    def reserve(self, name: str, least: Usage, most: Usage, *, patient: bool) -> Usage:
        """Set aside as much as fits; see :meth:`UnitGuard.reserve`.

        Raises:
            BudgetExceeded: not even ``least`` fits.
        """
        with self._lock:
            try:
                return self._reserve(name, least, most, patient=patient)
            finally:
                self._announce()  # there may be enough left for the next in the line

    def _reserve(self, name: str, least: Usage, most: Usage, *, patient: bool) -> Usage:
        unit, place = self._alive(name), None
        while not self._fits(unit, least):
            if not patient or not self._may_fit_later(unit, least):
                raise self._refusal(unit, least)
            if not self._may_wait(unit):
                return self._last_resort(name, unit, least)
            place = self._line.wait(unit, least, place)
            unit = self._alive(name)
        granted = self._share(unit, least, most)
        unit.reserved.append((granted, threading.get_ident()))
        self._units.changed(name)
        return granted

    def allot(self, name: str, shares: int) -> tuple[Usage, Ledger]:
        """Set aside for a unit that spends where nobody can ask; see :meth:`UnitGuard.allot`."""
        with self._lock, self._turn(name, alone=shares == 1):
            least = self._alive(name).least
            first = self._reserve(name, least, least, patient=True)
            unit = self._alive(name)
            left = {cap: max(0.0, some) / shares for cap, some in self._left(unit).items()}
            more = Usage(tokens_in=int(left.get("tokens", 0)), dollars=left.get("dollars", 0.0))
            granted = first + more
            unit.reserved[-1] = (granted, threading.get_ident())
            self._units.changed(name)
            self._announce(unit)
            copy, limits = Ledger(self._budget), dict(self._caps())
            taken = {cap: max(0.0, limit - amount(granted, cap)) for cap, limit in limits.items()}
            copy.fold(Usage(tokens_in=int(taken.get("tokens", 0)), dollars=taken.get("dollars", 0.0)))
            return granted, copy

    @contextmanager
    def _turn(self, name: str, *, alone: bool) -> Iterator[None]:
        """Wait until a unit that spends elsewhere may ask; who wants all that is left lets nobody pass it by.

        Else those that need little would go on until too little is left for the one that waits.
        """
        if alone:
            self._alone.append(name)
        try:
            while self._alone[:1] not in ([], [name]) or (alone and self._units.fly_beside(name)):
                self._settled.wait()
            yield
        finally:
            if alone:
                self._alone.remove(name)
                self._announce()

    def _may_wait(self, unit: Unit) -> bool:
        """Say whether to wait for a change; not if all that could make one wait as well.

        An heir begins when an evaluation ends, so it waits as well where one of these does.
        """
        return unit.calls_elsewhere(threading.get_ident()) or not self._is_idle(unit)

    def _announce(self, unit: Unit | None = None) -> None:
        """Let those who wait go on that can, after a change, of ``unit`` if it is one unit's; the lock is held."""
        self._settled.notify_all()
        if self._line:
            self._line.move_on(unit, self._rooms(), self._is_stuck)

    def _rooms(self) -> list[Room]:
        # Half the rounding's slack: whoever is woken does find enough, however the sums are rounded.
        return [
            (
                CAPS.index(cap),
                limit * (1 + _ROUNDING / 2) - amount(self._booked, cap) - self._units.held(cap),
                limit - amount(self._booked, cap) - self._units.paid(cap),
            )
            for cap, limit in self._caps()
        ]

    def _is_stuck(self) -> bool:
        units = self._units.values()
        return not any(one.alive and (one.reserved or not (one.waiting or one.heir)) for one in units)

    def _is_idle(self, unit: Unit) -> bool:
        """Say whether no other unit has a call in flight, or may have one that does not wait."""
        units = self._units.values()
        if any(one.alive and one is not unit and (one.reserved or not (one.waiting or one.heir)) for one in units):
            return False  # the usual case, which one of the first units shows
        others = [one for one in units if one.alive and one is not unit]
        stuck = any(one.follow == _NOTHING and (one.waiting or one is unit) for one in (unit, *others))
        return stuck or not any(one.heir and not one.waiting for one in others)

    def _last_resort(self, name: str, unit: Unit, least: Usage) -> Usage:
        """Set ``least`` aside out of what is only kept free, since all units wait for one another's."""
        for cap, limit in self._caps():
            firm = amount(self._booked, cap) + self._units.firm(cap)
            if amount(least, cap) and firm + amount(least, cap) > limit:
                raise self._refusal(unit, least)
        unit.reserved.append((least, threading.get_ident()))
        self._units.changed(name)
        return least

    def settle(self, name: str, granted: Usage, actual: Usage) -> None:
        """Replace what was set aside by what it really cost."""
        with self._lock:
            unit = self._units.get(name)
            if unit is None or not unit.alive:
                return  # given up meanwhile: the whole reservation counts, which is no less
            place = next((i for i, (usage, _) in enumerate(unit.reserved) if usage == granted), None)
            if place is not None:
                del unit.reserved[place]
            unit.spent += actual
            self._units.changed(name)
            self._announce(unit)

    def _owed(self, name: str) -> Usage:
        before = self._units.get(name)
        return _NOTHING if before is None else before.owed

    def _alive(self, name: str) -> Unit:
        unit = self._units.get(name)
        if unit is None or not unit.alive:
            msg = f"{name} was given up: nobody would use the reply, so the model was not asked"
            raise BudgetExceeded(msg)
        return unit

    def _caps(self) -> list[tuple[str, float]]:
        limits = ((cap, getattr(self._budget, cap)) for cap in CAPS)
        return [(cap, limit) for cap, limit in limits if limit is not None]

    def _used(self, unit: Unit, cap: str) -> float:
        """Return what counts against the cap before this unit's next call; what is kept free for itself does not."""
        others = self._units.held(cap) - unit.held(cap)
        own = amount(unit.spent, cap) + unit.flying(cap)
        return amount(self._booked, cap) + others + own

    def _left(self, unit: Unit) -> dict[str, float]:
        """Return what this unit may still set aside, by cap."""
        caps = self._caps()
        return {cap: limit * (1 + _ROUNDING) - self._used(unit, cap) - amount(unit.follow, cap) for cap, limit in caps}

    def _fits(self, unit: Unit, wanted: Usage) -> bool:
        return all(amount(wanted, cap) <= left or not amount(wanted, cap) for cap, left in self._left(unit).items())

    def _may_fit_later(self, unit: Unit, wanted: Usage) -> bool:
        """Say whether it would fit if all that is in flight or kept free cost nothing."""
        for cap, limit in self._caps():
            certain = amount(self._booked, cap) + self._units.paid(cap)
            if certain + amount(unit.follow, cap) + amount(wanted, cap) > limit and amount(wanted, cap):
                return False
        return True

    def _share(self, unit: Unit, least: Usage, most: Usage) -> Usage:
        """Return the largest amount between the two that fits; they differ in answer tokens and in their price."""
        share = 1.0
        for cap, left in self._left(unit).items():
            span = amount(most, cap) - amount(least, cap)
            if span > 0:
                share = min(share, (left - amount(least, cap)) / span)
        span = most.tokens_out - least.tokens_out
        if span <= 0 or share <= 0:
            return least
        more = min(int(span * share), span)
        dollars = least.dollars + (most.dollars - least.dollars) * more / span
        return replace(least, tokens_out=least.tokens_out + more, dollars=dollars)

    def _refusal(self, unit: Unit, wanted: Usage) -> BudgetExceeded:
        left = self._left(unit)
        cap = next(cap for cap, _ in self._caps() if amount(wanted, cap) and amount(wanted, cap) > left[cap])
        used, limit = self._used(unit, cap), getattr(self._budget, cap)
        follow = amount(unit.follow, cap)
        more = f" and its candidate's evaluation {_shown(cap, follow)}" if follow else ""
        return BudgetExceeded(
            f"budget {cap}: {_shown(cap, used)} of {_shown(cap, limit)} used or set aside, "
            f"the next call may need {_shown(cap, amount(wanted, cap))}{more}"
        )


class UnitGuard:
    """One unit of work's share of the ledger; closed when its usage has reached the log."""

    def __init__(self, ledger: Ledger, name: str, *, least: Usage = _NOTHING, follow: Usage = _NOTHING) -> None:
        """Open the unit.

        Args:
            ledger: where it is counted.
            name: of the unit, unique among those open.
            least: what it is expected to spend; kept free for it.
            follow: what is expected to be spent because of it; kept free while it is open.
        """
        self._ledger = ledger
        self._name = name
        ledger.begin(name, least, follow)

    @property
    def caps_dollars(self) -> bool:
        """Whether dollars are capped, so that prices must be known."""
        return self._ledger.caps_dollars

    def reserve(self, least: Usage, most: Usage | None = None, *, patient: bool = True) -> Usage:
        """Set aside as much as fits between ``least`` and ``most``, and return it.

        Args:
            least: what the call needs.
            most: the same with more answer tokens; None for ``least``.
            patient: wait for calls in flight where that can help; else refuse at once.

        Raises:
            BudgetExceeded: ``least`` would pass a cap, or the unit was given up; then nothing is set aside.
        """
        return self._ledger.reserve(self._name, least, most or least, patient=patient)

    def allot(self, shares: int) -> tuple[Usage, Ledger]:
        """Set aside what the unit may spend in another process, which cannot ask for each call.

        Waits for others in flight where that can help, so never more is in flight than the budget could pay for.

        Args:
            shares: beside what is expected of the unit, it gets one of so many equal parts of what is left; with 1
                it first waits until nothing is set aside for others.

        Returns:
            What is set aside, for :meth:`settle`, and a ledger on which that much is left; it can be pickled.

        Raises:
            BudgetExceeded: not even what is expected of it fits.
        """
        return self._ledger.allot(self._name, shares)

    def settle(self, granted: Usage, actual: Usage) -> None:
        """Replace what :meth:`reserve` returned by the real cost; ``Usage()`` stands for nothing set aside."""
        self._ledger.settle(self._name, granted, actual)

    def give_up(self) -> Usage:
        """End the unit without its usage in the log; return what its calls in flight may cost, which stays counted."""
        return self._ledger.give_up(self._name)

    def close(self, booked: Usage | None = None, heirs: Mapping[str, Usage] | None = None) -> None:
        """Forget the unit: its usage is part of ``booked``, what the log shows now, or nothing was spent.

        Args:
            booked: what the log shows now.
            heirs: by name: units that will be begun because of it, and what is kept free for each until then.
        """
        self._ledger.drop(self._name, booked, heirs or {})


def _copied(budget: Budget, booked: Usage) -> Ledger:
    ledger = Ledger(budget)
    ledger.fold(booked)
    return ledger


def _shown(cap: str, value: float) -> str:
    return f"{value:,.0f}" if cap == "tokens" else f"{value:.4g}"
