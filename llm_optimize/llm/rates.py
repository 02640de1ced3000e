"""How fast an endpoint may be asked: worked out from what it states, or from what it refuses.

Pure reckoning without a clock: every method is told the time (seconds, from any fixed point). Two kinds of knowledge:

- :class:`StatedRate`, an allowance that response headers state. Endpoints never say whether it comes back steadily (a
  bucket) or at once (a window). For a bucket, ``reset * limit / used`` is the same in every answer and is its period;
  for a window, the moment of the reset is.
- :class:`LearnedRate`, where refusals are all there is. Between two refusals of a busy endpoint the requests that it
  let through, over the time, are a lower bound of its rate. The rate goes back a little, returns to where it was
  refused, lingers there and goes on beyond faster and faster, so that a limit that rises is found: the curve of TCP
  CUBIC (RFC 9438, section 4.2).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import takewhile
from math import exp2, sqrt
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_optimize.llm.limit_headers import Allowance

__all__ = ["Epoch", "LearnedRate", "StatedRate"]

_USUAL_PERIOD = 60.0  # OpenAI, Anthropic and Azure state limits per minute
_PERIODS = (1.0, 10.0, 60.0, 3600.0, 86400.0)
_SLACK = 1.05  # of a period that is compared with a reset
_REPORTS = 5  # of the latest, that must agree on a bucket's period or on a window's end
_AGREEMENT = 0.2  # by which they may differ
_RESERVE = 0.02  # of a limit, or one request, that is held back more after each refusal that came unexpected
_MOST_RESERVE = 0.2
_FIRST_SPAN = 1.0  # seconds of sending that the first refusal is set against
_LATE = 0.25  # seconds that a turn may be taken late without being lost; more would be a burst, perhaps refused
_CATCH_UP = 0.25  # of the first burst that passed: what may be sent at once after the endpoint made us wait
_CHANCE = 2  # requests that may pass at once where nothing is saved up
_FIRST_WAIT = 0.5  # seconds; doubled with each refusal while nothing is let through
_LONGEST_WAIT = 30.0
_EPOCHS = 8  # between refusals, that are remembered
_DOUBLING = 1.0  # seconds in which a rate doubles before it was ever refused
_DOUBLING_REQUESTS = 4.0  # but no faster than in the time of so many requests
_TELLING = 3  # requests let through, so that the refusal after them tells something about their rate
_FARTHEST = 0.25  # of the rate that was refused, that the true one is reckoned to be at least
_OVER = 1.02  # the least by which a bound from below is exceeded
_FAR_BACK = 0.7  # of the rate that was refused, where it tells nothing but that it is too high
_BACK = 0.85  # of the rate that was refused, to begin again with
_SPAN = 20.0  # seconds in which it comes back to that rate
_SPAN_REQUESTS = 40.0  # but no faster than in the time of so many requests
_BLIND = 0.1  # of that time, where the rate was lowered without knowing how far


class StatedRate:
    """One allowance that an endpoint states, reckoned forward from its latest answer."""

    def __init__(self) -> None:
        """Know nothing."""
        self.limit = 0.0
        self.period = _USUAL_PERIOD
        self._level = 0.0
        self._reserve = 0.0
        self._at = 0.0
        self._resets_at: float | None = None  # of a window
        self._window = False
        self._reports: deque[tuple[float, float]] = deque(maxlen=_REPORTS)  # a bucket's period, a window's end
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

    def refused(self) -> None:
        """Take note that less was left than reckoned (requests travel for unlike times): keep a little in reserve."""
        self._reserve = min(self._reserve + max(1.0, _RESERVE * self.limit), _MOST_RESERVE * self.limit)

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until ``amount`` may be taken; one beyond the whole limit waits for all of it."""
        if not self.known:
            return 0.0
        self.refill(now)
        lacking = min(amount + self._reserve, self.limit) - self._level
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
                self._reports.append((reset * self.limit / used, now + reset))
        if len(self._reports) == _REPORTS:
            self._judge_kind()
        if said.period:
            self.period = said.period
        elif self._window or self._longest_reset > self.period * _SLACK:
            fitting = (period for period in _PERIODS if period * _SLACK >= self._longest_reset)
            self.period = next(fitting, self._longest_reset)
        if self._window and reset is not None:
            self._resets_at = now + reset

    def _judge_kind(self) -> None:
        periods, ends = zip(*self._reports, strict=True)
        as_bucket = (max(periods) - min(periods)) / max(periods)
        as_window = (max(ends) - min(ends)) / self._longest_reset
        if min(as_bucket, as_window) < _AGREEMENT and as_bucket != as_window:
            self._window = as_window < as_bucket
            if not self._window:
                self.period = median(periods)


@dataclass(slots=True)
class Epoch:
    """The time between two refusals; what was refused late still counts where it was sent.

    Attributes:
        began: when, on the caller's clock.
        sent: requests.
        refused: how many of them.
        busy: seconds in which somebody waited.
        free: those of them in which the endpoint had not told us to wait.
    """

    began: float
    sent: int = 0
    refused: int = 0
    busy: float = 0.0
    free: float = 0.0

    @property
    def passed(self) -> int:
        """Requests that were let through, or have no answer yet."""
        return max(self.sent - self.refused, 0)


class LearnedRate:
    """The rate of an endpoint that states none, from what it lets through between refusals."""

    def __init__(self, now: float) -> None:
        """Know nothing."""
        self._open = Epoch(now)
        self._closed: deque[Epoch] = deque(maxlen=_EPOCHS)
        self._first: Epoch | None = None
        self._refused_at: float | None = None  # the rate, in requests per second
        self._blocked_until = now
        self._least = 1 / _LONGEST_WAIT
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

    def refused(self, epoch: Epoch, sent: float, now: float, *, busy: bool) -> None:
        """Count a refusal; all those of requests that were sent before the first of them was known are one.

        Args:
            epoch: what :meth:`sent` returned for the request.
            sent: when that was.
            now: the time.
            busy: whether somebody has waited since the last time.
        """
        self.refill(now, busy=busy)
        epoch.refused += 1
        if self._refused_at is None:
            self.block(now + (now - sent))  # by then the refusals of the same burst are in
        if self._first is not None and epoch is not self._open:
            return
        if self._first is None:
            self._first = epoch
        else:
            rate = self.rate
            self._closed.append(epoch)
            self._lower(rate, epoch.passed)
        self._open = Epoch(now)
        self._level = 0.0

    def _lower(self, rate: float, passed: int) -> None:
        if passed >= _TELLING:  # savings of the endpoint let a rate pass for a while that is too high: half-way back
            self._refused_at = sqrt(rate * max(self._bound(), rate * _FARTHEST))
        elif passed or self._refused_at is not None:
            self._refused_at = rate * _FAR_BACK

    def block(self, until: float, asked: float | None = None) -> None:
        """Take note that nothing may be sent ``until`` then; ``asked`` are the seconds that the endpoint named."""
        self._blocked_until = max(self._blocked_until, until)
        if asked is not None:  # after so long it lets one through, so no slower rate is called for
            self._least = 1 / (asked + _FIRST_WAIT)

    def wait(self, now: float, *, busy: bool) -> float:
        """Return the seconds until a request may be sent."""
        if not self.known:
            return 0.0
        self.refill(now, busy=busy)
        return max((1.0 - self._level) / self.rate, self._blocked_until - now, 0.0)

    def refill(self, now: float, *, busy: bool) -> None:
        """Reckon until ``now``; ``busy`` says whether somebody has waited since the last time."""
        before, self._at = self._at, now
        passed = max(now - before, 0.0)
        if self.known:
            rate = self.rate
            savings = self._first.passed if self._first else 0
            more = _LATE * rate if before >= self._blocked_until else _CATCH_UP * max(savings - _CHANCE, 0)
            self._level = min(self._level + passed * rate, 1.0 + more)
        if busy:
            self._open.busy += passed
            self._open.free += passed - max(min(now, self._blocked_until) - before, 0.0)

    @property
    def rate(self) -> float:
        """Requests per second; only where :attr:`known`."""
        return max(self._reckoned(), self._least)

    def _reckoned(self) -> float:
        futile = self._futile()
        if self._refused_at is None:
            burst = self._first.passed / _FIRST_SPAN if self._first and not self._closed else 0.0
            base = burst or 1 / min(_FIRST_WAIT * exp2(max(futile - 1, 0)), _LONGEST_WAIT)
            return base * exp2(self._open.free / max(_DOUBLING, _DOUBLING_REQUESTS / base))
        bound = self._bound()
        top = max(self._refused_at, bound * _OVER)
        blind = self._closed[-1].passed < _TELLING  # then it was lowered without knowing how far
        span = max(_SPAN, _SPAN_REQUESTS / top) * (_BLIND if blind else 1.0)
        depth = 1 - max(bound / top, _BACK)
        time = self._open.free / span - 1
        curve = 1 + (depth if time < 0 else 1 - _BACK) * time * time * time
        return top * curve / exp2(futile)

    def _bound(self) -> float:
        # Whenever it refuses, less than one request is left; so what passed between two refusals, less one, is at most
        # what came back meanwhile. That holds from each of the latest refusals to the last: the best bound is taken.
        bound, passed, busy = 0.0, -1, 0.0
        for epoch in reversed(self._closed):
            passed, busy = passed + epoch.passed, busy + epoch.busy
            bound = max(bound, passed / busy if busy else 0.0)
        return bound

    def _futile(self) -> int:
        """Return how many epochs in a row, up to now, nothing was let through in."""
        return sum(1 for _ in takewhile(lambda epoch: not epoch.passed, reversed(self._closed)))
