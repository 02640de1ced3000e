"""The world around a simulated study: a model's endpoint with limits, and workers of which some hang or die.

What is modelled is what lies outside the process: the server's side of HTTP, in place of the SDK's client; the engine
that hands evaluations to workers; how long things take. Retries, pace, prices, ledger, loop and log are the real ones.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, deque
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx2
import openai

from llm_optimize.core.scoring import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Endpoint", "EndpointTraits", "WorkerTraits", "Workers"]

_URL = "http://127.0.0.1:1/v1"
_TRAVEL = 0.05  # seconds that a refusal takes
_REQUEST = httpx2.Request("POST", _URL)
_PLACES = itertools.count()  # each endpoint has an address of its own, so that their paces are not mixed up


@dataclass(frozen=True)
class EndpointTraits:
    """What an endpoint allows and how it behaves; limits are per minute, refilled steadily, one minute's at most.

    A share of the answers is slow by a factor drawn from a Pareto distribution. ``says`` is what a refusal states:
    ``retry-after``, or nothing. In an outage it answers 503, from one moment to another in seconds.
    """

    requests: float = 1e9
    tokens: float = 1e12
    concurrent: int = 10**6
    failing: float = 0.005
    median: float = 8.0
    spread: float = 0.5
    slow: float = 0.01
    says: str = "retry-after"
    outages: tuple[tuple[float, float], ...] = ()
    answer: int = 300


@dataclass(frozen=True)
class WorkerTraits:
    """How long evaluations take (log-normal) and what goes wrong: shares of the evaluations, seconds."""

    median: float = 40.0
    spread: float = 0.9
    hangs: float = 0.003
    dies: float = 0.003
    parted: float = 0.001  # the engine gives the worker up and repeats, yet the worker lives and answers
    rebirth: float = 30.0
    quick: Callable[[str], bool] = lambda _: False  # candidates that take a tenth of a second


class Endpoint:
    """Stands where an ``openai.OpenAI`` stands; answers in the clock's time."""

    def __init__(self, clock, traits, write, seed=0):
        self.clock = clock
        self.traits = traits
        self.write = write  # (prompt, dice) -> the answer's text
        self.counts = Counter()  # of answers by status
        self.charged = 0  # tokens
        self.unread = 0  # of these: of answers that came after the client had gone
        self.most = 0  # requests at the same time
        self.base_url = f"{_URL}/{next(_PLACES)}"
        self.api_key = "none"
        self.chat = SimpleNamespace(completions=self)
        self.with_raw_response = self
        self._dice = random.Random(seed)
        self._level = {"requests": traits.requests, "tokens": traits.tokens}
        self._at = 0.0
        self._flying = 0

    def with_options(self, **_):
        return self

    def create(self, *, messages, timeout, extra_body=None, **_):
        """Answer as the SDK does; a prompt counts a token for each four characters, a reply ends at ``max_tokens``."""
        self.clock.sleep(_TRAVEL)
        prompt = len(messages[-1]["content"]) // 4
        asked = (extra_body or {}).get("max_tokens") or self.traits.answer
        self._admit(prompt + min(asked, self.traits.answer))
        seconds, failing = self._draw()
        self._flying += 1
        self.most = max(self.most, self._flying)
        try:
            self.clock.sleep(min(seconds, timeout.read))
        finally:
            self._flying -= 1
        if failing:
            self._refuse(500, openai.InternalServerError)
        return self._answer(messages, prompt, asked, late=seconds > timeout.read)

    def _draw(self):
        traits, dice = self.traits, self._dice
        seconds = dice.lognormvariate(0, traits.spread) * traits.median
        seconds *= dice.paretovariate(1.1) if dice.random() < traits.slow else 1.0
        return seconds, dice.random() < traits.failing

    def _admit(self, tokens):
        if any(begin <= self.clock.seconds < end for begin, end in self.traits.outages):
            self._refuse(503, openai.InternalServerError)
        if self._flying >= self.traits.concurrent:
            self._refuse(429, openai.RateLimitError, 1.0)
        wanted = {"requests": 1.0, "tokens": float(tokens)}
        passed, self._at = self.clock.seconds - self._at, self.clock.seconds
        waits = []
        for name, amount in wanted.items():
            limit = getattr(self.traits, name)
            self._level[name] = min(self._level[name] + passed * limit / 60, limit)
            waits.append((amount - self._level[name]) * 60 / limit)
        if max(waits) > 0:
            self._refuse(429, openai.RateLimitError, max(waits))
        for name, amount in wanted.items():
            self._level[name] -= amount

    def _refuse(self, status, error, wait=None):
        self.counts[status] += 1
        headers = {"retry-after": f"{wait:.3f}"} if wait is not None and self.traits.says == "retry-after" else {}
        raise error("no", response=httpx2.Response(status, headers=headers, request=_REQUEST), body=None)

    def _answer(self, messages, prompt, asked, *, late):
        answer = min(asked, self.traits.answer)
        self.charged += prompt + answer
        if late:
            self.counts["timeout"] += 1
            self.unread += prompt + answer
            raise openai.APITimeoutError(_REQUEST)
        self.counts[200] += 1
        text = self.write(messages[-1]["content"], self._dice)
        body = {
            "model": "simulated",
            "choices": [
                {"message": {"role": "assistant", "content": text}, "finish_reason": _ended(answer, self.traits)}
            ],
            "usage": {"prompt_tokens": prompt, "completion_tokens": answer},
        }
        return SimpleNamespace(headers={}, parse=lambda: body)


def _ended(answer, traits):
    return "stop" if answer == traits.answer else "length"


@dataclass(eq=False)
class _Task:
    """One evaluation at the engine; ``attempts`` are under way or were."""

    scorer: object
    text: str
    scope: object
    future: Future
    asked: float
    began: float | None = None
    attempts: int = 0
    running: dict = field(default_factory=dict)  # by worker: what is due for it


class _Answer(Future):
    """The future that the loop holds; cancelling it takes the task from its worker."""

    def __init__(self, called_off):
        super().__init__()
        self._called_off = called_off

    def cancel(self):
        self._called_off(self)
        return super().cancel()


class Workers:
    """An engine with a queue: first come first served, repeats what a dead worker had, drops second answers.

    Attributes:
        begun: (text, worker) for each attempt, in order.
        waits: seconds between an evaluation's request and its first attempt.
        late: answers that nobody waited for any more.
        done: evaluations by worker.
        spans: (from, to) of each attempt that came to an end.
        served: seconds of the attempts that answered in time.
        lost: seconds of attempts whose worker died, hung or answered late.
    """

    def __init__(self, clock, number, traits=None, seed=0):
        self.clock = clock
        self.traits = traits or WorkerTraits()
        self.begun = []
        self.waits = []
        self.late = 0
        self.deaths = 0
        self.done = [0] * number
        self.spans = []
        self.served = []
        self.lost = 0.0
        self._seed = seed
        self._free = deque(range(number))
        self._queue = deque()
        self._tasks = {}

    def submit(self, fn, /, *args):
        raise NotImplementedError("only evaluations come here")

    def evaluate(self, scorer, text, scope):
        """As :class:`llm_optimize.core.protocols.Evaluators` says."""
        future = _Answer(self._called_off)
        task = _Task(scorer, text, scope, future, self.clock.seconds)
        self._tasks[future] = task
        self._queue.append(task)
        self._serve()
        return future

    def _serve(self):
        while self._queue and self._free:
            self._begin(self._queue.popleft(), self._free.popleft())

    def _begin(self, task, worker):
        dice = random.Random(f"{self._seed}/{task.text}/{task.attempts}")
        seconds = dice.lognormvariate(0, self.traits.spread) * self.traits.median
        seconds = 0.1 if self.traits.quick(task.text) else seconds
        fate, part = dice.random(), dice.random()
        if task.began is None:
            task.began = self.clock.seconds
            self.waits.append(task.began - task.asked)
        task.attempts += 1
        self.begun.append((task.text, worker))
        hangs, dies = self.traits.hangs, self.traits.hangs + self.traits.dies
        if fate < hangs:
            task.running[worker] = (None, self.clock.seconds)
        elif fate < dies:
            self._due(task, worker, seconds * part, lambda: self._die(task, worker))
        else:
            if fate < dies + self.traits.parted:
                self.clock.at(seconds * part, lambda: self._again(task))
            self._due(task, worker, seconds, lambda: self._finish(task, worker, seconds))

    def _due(self, task, worker, delay, call):
        task.running[worker] = (self.clock.at(delay, call), self.clock.seconds)

    def _leave(self, task, worker, rest=0.0):
        """Take the task from the worker, which is free after ``rest`` seconds; return how long it had it."""
        _, began = task.running.pop(worker)
        seconds = self.clock.seconds - began
        self.spans.append((began, self.clock.seconds))
        self.clock.at(rest, lambda: self._come_back(worker))
        return seconds

    def _come_back(self, worker):
        self._free.append(worker)
        self._serve()

    def _finish(self, task, worker, seconds):
        self._leave(task, worker)
        self.done[worker] += 1
        if task.future.done():
            self.late += 1
            self.lost += seconds
            return
        self.served.append(seconds)
        self._tasks.pop(task.future, None)
        outcome, _ = evaluate(task.scorer, task.text, task.scope)
        try:
            task.future.set_result((outcome, seconds))
        except InvalidStateError:
            self.late += 1

    def _die(self, task, worker):
        self.deaths += 1
        self.lost += self._leave(task, worker, self.traits.rebirth)
        self._again(task)

    def _again(self, task):
        if not task.future.done():
            self._queue.appendleft(task)
            self._serve()

    def _called_off(self, future):
        task = self._tasks.pop(future, None)
        if task is None:
            return
        if task in self._queue:
            self._queue.remove(task)
        for worker, (due, _) in list(task.running.items()):
            if due is not None:
                self.clock.call_off(due)
            self.lost += self._leave(task, worker, self.traits.rebirth)
