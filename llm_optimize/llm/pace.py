"""The pace of an endpoint: one per server, key and model, shared by all who ask it, learned from every answer.

Whoever sends a request does so inside :meth:`Pace.attempt`, each time, retries included, and says what came back::

    with pace_for(base_url, api_key, model).attempt() as attempt:     # waits here for its turn
        ...                                                           # send; work out timeouts only now
        attempt.accepted(response.headers, reply.usage)               # any answer but 429; the usage if there is one
        attempt.refused(error.response.headers)                       # 429; then raise as always

Turns are given first come, first served to calls that stand in the queue: those inside
:func:`queued`, which is what :class:`~llm_optimize.llm.limited.Limited` does. A call keeps its place when it is
refused, so its next attempt goes before all younger calls. Outside the queue nobody waits, and the answers teach all
the same. Nothing is waited for while nothing is known. The time in the queue does not count against the deadline of
the retries around it (:func:`llm_optimize.llm.gate.paused`).
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import os
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from llm_optimize.core.clock import SYSTEM
from llm_optimize.core.metering import current_clock
from llm_optimize.errors import ModelUnavailable
from llm_optimize.llm.failures import RetryLater, retry_after
from llm_optimize.llm.gate import paused, requests, time_left
from llm_optimize.llm.limit_headers import read_limits
from llm_optimize.llm.rates import LearnedRate, StatedRate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from llm_optimize.core.clock import Clock, Condition
    from llm_optimize.core.types import Usage
    from llm_optimize.llm.rates import Epoch

__all__ = ["Attempt", "Pace", "Place", "current_place", "pace_for", "queued"]

_PLACE: ContextVar[Place | None] = ContextVar("llm_optimize_place", default=None)
_TICKETS = itertools.count()
_FIRST_OUTPUT = 500.0  # tokens of a reply, before the first is known
_MEMORY = 0.9  # of earlier replies' lengths against the newest
_FIRST_WAIT = 0.5  # seconds; doubled with each refusal of a stated limit that seems to have room
_LONGEST_WAIT = 30.0


class Place:
    """A call's place in the queue; it holds it from its first attempt to its end.

    Attributes:
        ticket: the smaller, the earlier the call came.
        prompt_tokens: counts the prompt, when an endpoint limits tokens.
        output: the most tokens that the reply can have, or None.
        patience: seconds of a stated wait beyond which the call is given up.
        refused: whether its latest attempt was refused by a rate limit.
        refusals: how many were, since the endpoint last accepted anybody's.
        since: when the first of those came.
    """

    def __init__(self, prompt_tokens: Callable[[], int], output: int | None, patience: float) -> None:
        """Come last."""
        self.ticket = next(_TICKETS)
        self.prompt_tokens = prompt_tokens
        self.output = output
        self.patience = patience
        self.refused = False
        self.refusals = 0
        self.since = 0.0
        self.acceptances = -1  # of the endpoint, when it refused this call last

    def __lt__(self, other: Place) -> bool:
        """Order by arrival."""
        return self.ticket < other.ticket

    def note_refusal(self, acceptances: int, now: float) -> None:
        """Count a refusal."""
        self.refused = True
        if acceptances != self.acceptances:
            self.refusals, self.since, self.acceptances = 0, now, acceptances
        self.refusals += 1


class Attempt:
    """One request under way; whoever sends it says what became of it."""

    def __init__(self, pace: Pace, place: Place | None, tokens: float, now: float) -> None:
        """Begin; the pace's lock is held."""
        self.place = place
        self.tokens = tokens
        self.sent = now
        self.epoch: Epoch | None = None
        self.before: dict[str, float] = {}
        self.known: frozenset[str] = frozenset()
        self._pace = pace

    def accepted(self, headers: Mapping[str, str], usage: Usage | None = None) -> None:
        """Say that the endpoint let the request through, whatever it answered.

        Args:
            headers: of its response.
            usage: tokens of the reply, when there is one.
        """
        self._pace.note_accepted(self, headers, usage)

    def refused(self, headers: Mapping[str, str]) -> None:
        """Say that the endpoint refused the request by a rate limit (status 429).

        Args:
            headers: of its response.
        """
        self._pace.note_refused(self, headers)


class _Waiter:
    """A place in the queue while its call stands there."""

    def __init__(self, place: Place, tokens: float, moved: Condition) -> None:
        self.place = place
        self.tokens = tokens
        self.moved = moved

    def __lt__(self, other: _Waiter) -> bool:
        return self.place < other.place

    def wake(self) -> None:
        with self.moved:
            self.moved.notify()


class Pace:
    """What is known about an endpoint's limits, and the queue before it; safe to use from many threads."""

    def __init__(
        self,
        clock: Callable[[], float] = SYSTEM.monotonic,
        condition: Callable[[threading.Lock], Condition] = SYSTEM.condition,
    ) -> None:
        """Know nothing.

        Args:
            clock: seconds from any fixed point.
            condition: makes what is waited at, in the time of ``clock``.
        """
        self._clock = clock
        self._condition = condition
        self._lock = threading.Lock()
        self._queue: list[_Waiter] = []
        self._stated: dict[str, StatedRate] = {}
        self._learned = LearnedRate(clock())
        self._spent = {"requests": 0.0, "tokens": 0.0}
        self._blocked_until = 0.0
        self._fruitless = 0  # refusals in a row, those that came together counted once
        self._last_refusal = 0.0
        self._acceptances = 0
        self._output = _FIRST_OUTPUT

    @property
    def waiting(self) -> int:
        """How many calls stand in the queue now."""
        return len(self._queue)

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Wait for the turn of this call, then let the block send one request.

        Raises:
            RetryLater: the endpoint states a wait beyond the call's patience, or beyond an enclosing time limit.
            ModelUnavailable: the wait was interrupted.
        """
        place = current_place()
        tokens = self._estimate(place)
        if place is None:
            with self._lock:
                attempt = self._send(place, tokens)
        else:
            place.refused = False
            with paused():
                attempt = self._in_turn(place, tokens)
        yield attempt

    def note_accepted(self, attempt: Attempt, headers: Mapping[str, str], usage: Usage | None) -> None:
        """Learn from an answer; called by :meth:`Attempt.accepted`."""
        with self._lock:
            now = self._clock()
            self._acceptances += 1
            self._fruitless = 0
            if usage is not None:
                self._output = self._output * _MEMORY + usage.tokens_out * (1 - _MEMORY)
                self._correct(attempt, "tokens", usage.tokens - attempt.tokens, now)
            self._read(attempt, headers, now)
            self._move_on()

    def note_refused(self, attempt: Attempt, headers: Mapping[str, str]) -> None:
        """Learn from a refusal; called by :meth:`Attempt.refused`."""
        with self._lock:
            now = self._clock()
            if attempt.place is not None:
                attempt.place.note_refusal(self._acceptances, now)
            self._correct(attempt, "requests", -1.0, now)
            self._correct(attempt, "tokens", -attempt.tokens, now)
            if attempt.epoch is not None:
                self._learned.refused(attempt.epoch, attempt.sent, now, busy=bool(self._queue))
            self._read(attempt, headers, now)
            if attempt.sent >= self._last_refusal:
                self._fruitless += 1
                self._hold_back(attempt, headers)
            self._last_refusal = now
            asked = retry_after({name.lower(): value for name, value in headers.items()})
            wait = self._unasked_wait(now) if asked is None else asked
            self._blocked_until = max(self._blocked_until, now + wait)
            self._learned.block(self._blocked_until, asked)
            self._move_on()

    def _unasked_wait(self, now: float) -> float:
        stated = any(rate.known for rate in self._stated.values())
        if not stated or self._wait_stated(1.0, now) > 0:
            return 0.0  # the learned rate, or the stated one, knows when to go on
        return min(_FIRST_WAIT * 2.0 ** max(self._fruitless - 1, 0), _LONGEST_WAIT)

    # --- the queue ------------------------------------------------------------------------------------------------

    def _in_turn(self, place: Place, tokens: float) -> Attempt:
        waiter = _Waiter(place, tokens, self._condition(self._lock))
        with requests.waking(waiter.wake), self._lock:
            self._learned.refill(self._clock(), busy=bool(self._queue))
            heapq.heappush(self._queue, waiter)
            try:
                while (seconds := self._wait(waiter)) != 0:
                    waiter.moved.wait(self._bounded(seconds, place))
                return self._send(place, tokens)
            finally:
                self._queue.remove(waiter)
                heapq.heapify(self._queue)
                self._move_on()

    def _wait(self, waiter: _Waiter) -> float | None:
        """Return the seconds until the waiter's turn; None while others are before it."""
        if requests.interrupted:
            msg = "the wait for the endpoint's rate limit was interrupted"
            raise ModelUnavailable(msg)
        if self._queue[0] is not waiter:
            return None
        now = self._clock()
        stated = self._wait_stated(waiter.tokens, now)
        learned = 0.0 if self._states_requests() else self._learned.wait(now, busy=True)
        return max(stated, learned, self._blocked_until - now, 0.0)

    @staticmethod
    def _bounded(seconds: float | None, place: Place) -> float | None:
        left = time_left()
        if seconds is not None and seconds > place.patience:
            msg = f"the endpoint's rate limit lets nothing through for {seconds:.0f} s: try again later"
            raise RetryLater(msg, seconds)
        if left is not None and left <= (seconds or 0.0):
            msg = "no time is left for a model call: the endpoint's rate limit does not let it through in time"
            raise RetryLater(msg, seconds)
        return seconds if left is None or seconds is not None else left

    def _move_on(self) -> None:
        if self._queue:
            self._queue[0].moved.notify()

    # --- reckoning ------------------------------------------------------------------------------------------------

    def _estimate(self, place: Place | None) -> float:
        if place is None or not any(name.startswith("tokens") for name in list(self._stated)):
            return 0.0
        return place.prompt_tokens() + (self._output if place.output is None else place.output)

    def _send(self, place: Place | None, tokens: float) -> Attempt:
        now = self._clock()
        attempt = Attempt(self, place, tokens, now)
        for what, amount in (("requests", 1.0), ("tokens", tokens)):
            self._correct(attempt, what, amount, now)
            attempt.before[what] = self._spent[what]
        attempt.known = frozenset(self._stated)
        attempt.epoch = self._learned.sent(now, busy=bool(self._queue))
        return attempt

    def _correct(self, attempt: Attempt, what: str, amount: float, now: float) -> None:
        """Take ``amount`` more out of the allowances of a kind."""
        self._spent[what] += amount
        if what in attempt.before:  # its own correction is no later spend
            attempt.before[what] += amount
        for name, rate in self._stated.items():
            if name.partition(" ")[0] == what:
                rate.spend(amount, now)

    def _read(self, attempt: Attempt, headers: Mapping[str, str], now: float) -> None:
        for name, said in read_limits(headers).items():
            what = name.partition(" ")[0]
            since = self._spent[what] - attempt.before[what]
            if said.limit is not None or said.remaining is not None:
                self._stated.setdefault(name, StatedRate()).report(said, attempt.sent, since, now)

    def _hold_back(self, attempt: Attempt, headers: Mapping[str, str]) -> None:
        said = read_limits(headers)
        for name, rate in self._stated.items():
            amount = 1.0 if name.startswith("requests") else max(attempt.tokens, 1.0)
            left = said[name].remaining if name in said else None
            if name in attempt.known and (left is None or left < amount):
                rate.refused()

    def _wait_stated(self, tokens: float, now: float) -> float:
        amounts = {"requests": 1.0, "tokens": tokens}
        waits = (rate.wait(amounts[name.partition(" ")[0]], now) for name, rate in self._stated.items())
        return max(waits, default=0.0)

    def _states_requests(self) -> bool:
        return any(rate.known for name, rate in self._stated.items() if name.startswith("requests"))


_PACES: dict[tuple[str, str, str, int, Clock], Pace] = {}


def pace_for(base_url: str, api_key: str, model: str) -> Pace:
    """Return the pace of an endpoint, the same one for all who ask it in this process."""
    secret = hashlib.sha256(api_key.encode()).hexdigest()[:16]
    # The process id is part of the key because a forked child must not inherit a lock that was held.
    clock = current_clock()
    key = base_url.rstrip("/"), secret, model, os.getpid(), clock
    return _PACES.setdefault(key, Pace(clock.monotonic, clock.condition))


def current_place() -> Place | None:
    """Return the place in the queue of the call that this code is part of, or None."""
    return _PLACE.get()


@contextmanager
def queued(place: Place) -> Iterator[Place]:
    """Let the attempts of this block stand in the queue under ``place``."""
    token = _PLACE.set(place)
    try:
        yield place
    finally:
        _PLACE.reset(token)
