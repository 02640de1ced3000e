"""How fast an endpoint may be asked: worked out from what it states, or from what it refuses.

Pure reckoning without a clock: every method is told the time (seconds, from any fixed point). Two kinds of knowledge:

- :class:`StatedRate`, an allowance that response headers state. Endpoints never say whether it comes back steadily (a
  bucket) or at once (a window). For a bucket, ``reset * limit / used`` is the same in every answer and is its period;
  where it is not, the allowance is taken for a window.
- :class:`LearnedRate`, where refusals are all there is. Between two refusals of a busy endpoint the requests that it
  let through, over the time, *are* its rate; from there it is exceeded a little, and more with time, so that a limit
  that rises is found (as TCP CUBIC does: RFC 9438, section 4.2).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_optimize.llm.limit_headers import Allowance

__all__ = ["Epoch", "LearnedRate", "StatedRate"]

_USUAL_PERIOD = 60.0  # OpenAI, Anthropic and Azure state limits per minute
_PERIODS = (1.0, 10.0, 60.0, 3600.0, 86400.0)
_SLACK = 1.05  # of a period that is compared with a reset
_REPORTS = 5  # of the latest, that must agree on a bucket's period
_AGREEMENT = 1.25  # greatest of them over the smallest
_FIRST_SPAN = 1.0  # seconds of sending that the first refusal is set against
_LATE = 0.25  # seconds that a turn may be taken late without being lost; more would be a burst, perhaps refused
_FIRST_WAIT = 0.5  # seconds; doubled with each refusal while nothing is let through
_LONGEST_WAIT = 30.0
_EPOCHS = 8  # between refusals, that are remembered
_MEMORY = 0.7  # weight of an epoch against the next
_OVER = 1.02  # a learned rate is exceeded by this from the start
_GROWTH = 0.01  # and by this times the square of the time since, in units of:
_GROWTH_SECONDS = 10.0
_GROWTH_REQUESTS = 10.0


class StatedRate:
    """One allowance that an endpoint states, reckoned forward from its latest answer."""

    def __init__(self) -> None:
        """Know nothing."""
        self.limit = 0.0
        self.period = _USUAL_PERIOD
        self._level = 0.0
        self._at = 0.0
        self._resets_at: float | None = None  # of a window
        self._window = False
        self._periods: deque[float] = deque(maxlen=_REPORTS)
        self._longest_reset = 0.0

    @property
    def known(self) -> bool:
        """Whether a limit was stated."""
        return self.limit > 0

    def report(self, said: Allowance, sent: float, spent_since: float, now: float) -> None:
        """Take over what an answer says.

        Args:
            said: the allowance.
            sent: when the request of this answer was sent; the endpoint looked at some time between then and now.
            spent_since: what was asked for by requests that were sent later.
            now: the time.
        """
        self.refill(now)
        first = not self.known
        self.limit = said.limit or max(self.limit, said.remaining or 0.0)
        self._learn_period(said, now)
        if said.remaining is None:
            self._level = self.limit - spent_since if first else min(self._level, self.limit)
            return
        # Later requests may or may not be in the figure, and the refill since then may be: the bounds are one of each.
        lowest = said.remaining - spent_since
        highest = lowest + (0.0 if self._window else self._rate * (now - sent))
        self._level = lowest if first else min(max(self._level, lowest), highest, self.limit)

    def spend(self, amount: float, now: float) -> None:
        """Take ``amount`` out; a negative one puts back."""
        self.refill(now)
        self._level = min(self._level - amount, self.limit)

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until ``amount`` may be taken; one beyond the whole limit waits for all of it."""
        if not self.known:
            return 0.0
        self.refill(now)
        lacking = min(amount, self.limit) - self._level
        if lacking <= 0:
            return 0.0
        if self._window and self._resets_at is not None:
            return max(self._resets_at - now, 0.0)
        return lacking / self._rate

    def refill(self, now: float) -> None:
        """Reckon what has come back until ``now``."""
        passed, self._at = max(now - self._at, 0.0), now
        if not self._window:
            self._level = min(self._level + passed * self._rate, self.limit)
        elif self._resets_at is not None and now >= self._resets_at:
            self._level = self.limit
            self._resets_at += self.period * (1 + (now - self._resets_at) // self.period)

    @property
    def _rate(self) -> float:
        return self.limit / self.period

    def _learn_period(self, said: Allowance, now: float) -> None:
        reset = said.reset
        if reset is not None:
            self._longest_reset = max(self._longest_reset, reset)
            used = self.limit - (self.limit if said.remaining is None else said.remaining)
            if used >= 1 and reset > 0:
                self._periods.append(reset * self.limit / used)
        agreed = len(self._periods) == _REPORTS and max(self._periods) <= _AGREEMENT * min(self._periods)
        if agreed:
            self.period, self._window = median(self._periods), False
        elif said.period:
            self.period, self._window = said.period, reset is not None
        elif len(self._periods) == _REPORTS or self._longest_reset > _USUAL_PERIOD * _SLACK:
            fitting = (period for period in _PERIODS if period * _SLACK >= self._longest_reset)
            self.period, self._window = next(fitting, self._longest_reset), len(self._periods) == _REPORTS
        if self._window and reset is not None:
            self._resets_at = now + reset


@dataclass(slots=True)
class Epoch:
    """The time between two refusals; what was refused late still counts where it was sent.

    Attributes:
        began: when, on the caller's clock.
        sent: requests.
        refused: how many of them.
        busy: seconds in which somebody waited.
    """

    began: float
    sent: int = 0
    refused: int = 0
    busy: float = 0.0

    @property
    def passed(self) -> int:
        """Requests that were let through, or have no answer yet."""
        return max(self.sent - self.refused, 0)


class LearnedRate:
    """The rate of an endpoint that states none, from what it lets through between two refusals."""

    def __init__(self, now: float) -> None:
        """Know nothing."""
        self._open = Epoch(now)
        self._closed: deque[Epoch] = deque(maxlen=_EPOCHS)
        self._first: Epoch | None = None
        self._at = now
        self._level = 0.0

    @property
    def known(self) -> bool:
        """Whether the endpoint has refused anything."""
        return self._first is not None

    def sent(self, now: float, *, busy: bool) -> Epoch:
        """Count a request that is sent, and return the epoch that it belongs to, for :meth:`refused`."""
        self.refill(now, busy=busy)
        if not self.known and now - self._open.began > _FIRST_SPAN:
            self._open = Epoch(now)
        self._open.sent += 1
        self._level -= 1.0
        return self._open

    def refused(self, epoch: Epoch, now: float, *, busy: bool) -> None:
        """Count a refusal; all those of requests that were sent before the first of them was known are one."""
        self.refill(now, busy=busy)
        epoch.refused += 1
        if epoch is not self._open:
            return
        if self._first is None:
            self._first = epoch
        else:
            self._closed.append(epoch)
        self._open = Epoch(now)
        self._level = 0.0

    def wait(self, now: float, *, busy: bool) -> float:
        """Return the seconds until a request may be sent."""
        if not self.known:
            return 0.0
        self.refill(now, busy=busy)
        return max((1.0 - self._level) / self.rate, 0.0)

    def refill(self, now: float, *, busy: bool) -> None:
        """Reckon until ``now``; ``busy`` says whether somebody has waited since the last time."""
        passed, self._at = max(now - self._at, 0.0), now
        if self.known:
            rate = self.rate
            self._level = min(self._level + passed * rate, 1.0 + _LATE * rate)
        self._open.busy += passed * busy

    @property
    def rate(self) -> float:
        """Requests per second; only where :attr:`known`."""
        weights = [_MEMORY**age for age in range(len(self._closed) - 1, -1, -1)]
        passed = sum(weight * epoch.passed for weight, epoch in zip(weights, self._closed, strict=True))
        busy = sum(weight * epoch.busy for weight, epoch in zip(weights, self._closed, strict=True))
        if passed and busy:
            return self._exceeded(passed / busy)
        first = self._first.passed / _FIRST_SPAN if self._first else 0.0
        empty = len(self._closed) + (not first)
        return first if first and not empty else 1 / min(_FIRST_WAIT * 2.0 ** max(empty - 1, 0), _LONGEST_WAIT)

    def _exceeded(self, measured: float) -> float:
        unit = max(_GROWTH_SECONDS, _GROWTH_REQUESTS / measured)
        return measured * (_OVER + _GROWTH * (self._open.busy / unit) ** 2)
