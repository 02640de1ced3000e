"""One simulated study from its first event to its last, and what can be told of it."""

from __future__ import annotations

import math
import random
import resource
import statistics
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from virtual_time import VirtualTime
from world import Endpoint, EndpointTraits, Workers, WorkerTraits

from llm_optimize import Budget, Draft, MaxSteps, MemoryStore, Problem, Proposal, SQLiteStore, Study, llm
from llm_optimize.core.chat import Message, Request
from llm_optimize.core.events import Proposed, Told
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.proposers.portfolio import Portfolio

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Idea", "Setting", "Simulated", "quality", "simulate"]

_TASK = "Make the number larger. " * 100  # 600 tokens
PRICES = {"simulated": (1.0, 4.0)}  # dollars per million tokens in and out
MORE = 1.25  # chains per worker, so that a worker need not wait for a proposal
ARMS = ("bold", "careful")


@dataclass(frozen=True)
class Setting:
    """What is simulated; ``chains`` is the study's ``parallel``, 0 for a quarter more than there are workers."""

    workers: int = 10
    steps: int = 200
    chains: int = 0
    seed: int = 0
    budget: Budget | None = None
    eval_timeout: float | None = 600.0
    endpoint: EndpointTraits = field(default_factory=EndpointTraits)
    fleet: WorkerTraits = field(default_factory=WorkerTraits)
    most: float = 1e9
    alone: bool = False  # one proposer instead of a portfolio of two
    durable: bool = True  # a log in SQLite, else in memory


class Idea:
    """A proposer that asks the real stack of model layers for a number above the best one."""

    def __init__(self, model, reach):
        self.model = model
        self.reach = reach

    def propose(self, history, n):
        base = quality(history.best.text) if history.best is not None else 0.0
        reply = self.model.complete(Request((Message("user", f"{_TASK}{base!r} {self.reach} {history.slot}"),)))
        whole = reply.finish_reason != "length"
        return Proposal((Draft(reply.text),) if whole else (), reply.usage, "" if whole else "cut off")


def write(prompt, dice):
    """Answer as the endpoint's model: one step up or down from the best that the prompt names."""
    base, reach, slot = prompt.split()[-3:]
    return f"{float(base) + dice.gauss(0.0, float(reach)):.9f} {slot}"


def quality(text):
    """Return the score that is written in a candidate."""
    return float(text.split()[0])


@dataclass
class Simulated:
    """What came of it; ``real``, ``cpu`` and ``own`` (of the owner's thread) are seconds of this machine."""

    setting: Setting
    clock: VirtualTime
    endpoint: Endpoint
    workers: Workers
    study: Study
    ending: object
    real: float
    cpu: float
    own: float
    events: list

    def figures(self):
        """Return the figures of the table."""
        trials = self.study.history.trials
        seconds = max(event.at for _, event in self.events if isinstance(event, Told)) - self.events[0][1].at
        number = self.setting.workers
        mean = statistics.fmean(self.workers.served)
        early, late = self._middle()
        rate = (len(trials) * 9 // 10 - len(trials) // 10) / (late - early)
        busy = sum(max(0.0, min(end, late) - max(began, early)) for began, end in self.workers.spans)
        made = self._made()
        lags = [told - made[trial.id] for told, trial in enumerate(trials) if trial.id in made]
        shares = self._arms()
        return {
            "told": len(trials),
            "virtual h": seconds / 3600,
            "per hour": rate * 3600,
            "of ideal": rate * mean / number,
            "idle": 1 - busy / (number * (late - early)),
            "429": self.endpoint.counts[429],
            "5xx": self.endpoint.counts[500] + self.endpoint.counts[503],
            "timeouts": self.endpoint.counts["timeout"],
            "unread tokens": self.endpoint.unread / max(self.endpoint.charged, 1),
            "repeated": len(self.workers.begun) - len({text for text, _ in self.workers.begun}),
            "late": self.workers.late,
            "lost worker time": self.workers.lost / sum(end - began for began, end in self.workers.spans),
            "longest wait": max(self.workers.waits),
            "worker spread": statistics.pstdev(self.workers.done) / statistics.fmean(self.workers.done),
            "arms": ", ".join(f"{name} {share:.0%}" for name, share in shares.items()),
            "lag": statistics.fmean(lags) if lags else 0.0,
            "best": self.study.history.best.score,
            "overshoot": self.overshoot(),
            "tail": self._tail(seconds),
            "real s": self.real,
            "ms per step": self.cpu * 1000 / len(trials),
            "owner ms": self.own * 1000 / len(trials),
            "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "reason": self.ending.reason,
        }

    def overshoot(self):
        """Return the tokens that the server has charged beyond the cap, by its own count; 0 without a cap."""
        cap = self.setting.budget.tokens if self.setting.budget is not None else None
        return 0 if cap is None else max(0, self.endpoint.charged - cap)

    def _middle(self):
        """Return when a tenth and when nine tenths had been told, in seconds: the start and the tail lie outside."""
        told = [seconds for seconds, event in self.events if isinstance(event, Told)]
        return told[len(told) // 10], told[len(told) * 9 // 10]

    def _made(self):
        """By candidate: how many had been told when its proposal began; its slot stands in its text."""
        return {one.id: self.study.proposer.seen[int(one.text.split()[1])] for one in self._candidates()}

    def _candidates(self):
        return [one for _, event in self.events if isinstance(event, Proposed) for one in event.candidates if one.id]

    def _arms(self):
        made = Counter(event.arm for _, event in self.events if isinstance(event, Proposed) and event.arm)
        return {name: made[name] / max(made.total(), 1) for name in ARMS}

    def _tail(self, seconds):
        """Return the share of the time after nine in ten had been told."""
        told = [event.at for _, event in self.events if isinstance(event, Told)]
        return (told[-1] - told[len(told) * 9 // 10]) / seconds


class _Watched:
    """The portfolio, and how far the study was when each proposal began."""

    def __init__(self, inner):
        self.inner = inner
        self.seen = defaultdict(int)

    def propose(self, history, n):
        self.seen[history.slot] = len(history.trials)
        return self.inner.propose(history, n)


def simulate(setting: Setting, folder: Path, *, clock=None, at=(), score=None) -> Simulated:
    """Run a study in virtual time, with a log in ``folder``; ``at`` are (seconds, function of the clock) to be called.

    ``score`` is the scorer; by default the number in the candidate is its score.

    The retries draw from the module ``random``, as in a real run: it is seeded here.
    """
    clock = clock or VirtualTime(setting.most)
    random.seed(setting.seed)
    endpoint = Endpoint(clock, setting.endpoint, write, setting.seed)
    chat = OpenAIChat("simulated", client=endpoint)
    model = llm.connect(chat, prices=PRICES, cache=False)
    arms = {name: Idea(model, reach) for name, reach in zip(ARMS, (0.1, 0.02), strict=True)}
    workers = Workers(clock, setting.workers, setting.fleet, setting.seed)
    events = []
    store = SQLiteStore(str(folder / "studies.db")) if setting.durable else MemoryStore()
    study = Study(
        Problem("climb", start="0.0 0"), _Watched(arms["bold"] if setting.alone else Portfolio(arms)), score or quality,
        store=store, stop=MaxSteps(setting.steps), budget=setting.budget, executor=workers,
        parallel=setting.chains or math.ceil(setting.workers * MORE), seed=setting.seed,
        eval_timeout=setting.eval_timeout, notice_after=3600.0, clock=clock,
        observers=[lambda event: events.append((clock.seconds, event))],
    )  # fmt: skip
    for seconds, call in at:
        clock.at(seconds, lambda call=call: call(clock))
    began, used, own = time.perf_counter(), time.process_time(), time.thread_time()
    try:
        ending = study.run()
        real, cpu = time.perf_counter() - began, time.process_time() - used
        own = time.thread_time() - own - clock.own_cpu
    finally:
        clock.end()
    return Simulated(setting, clock, endpoint, workers, study, ending, real, cpu, own, events)
