"""OPRO's linear regression and travelling salesman, with any model, a numeric engine, or both, beside the paper's own.

Run: ``python tests/benchmarks/bench_opro.py`` for both tasks with a stand-in model. Who proposes:
``--model URL#name`` a chat model; ``--standin`` a function that reads the prompt (the default; see
``opro_standins.py`` for what it does and how often it fails); ``--engine gp|tpe|cmaes|random`` a numeric engine alone,
on whole w and b from -50 to 50, or on random keys for tours; ``--mix`` adds the engine to the model. ``--prompt ours``
asks the model by the package's own chat proposer and not by the paper's prompt (with ``--model`` alone).

As in the paper a step is 8 proposals and regression ends when the true pair was proposed. Unique pairs are counted
including the five starts. Steps and pairs are means and standard deviations over the five repetitions, whether they
found the pair or ran out of steps; gaps are means and standard errors, and steps of a tour those of the runs that
reached the optimum. The paper's tours were other instances of the same distribution. An engine is told its ranges, a
model is not. Engines take long over 4,000 tours of many points, which are as many numbers: give fewer ``--steps``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from opro import Begun, Opro
from opro_standins import RATES, line, standin, tour
from opro_tables import Run, regression_rows, salesman_rows
from tasks import linear_regression, tsp
from tasks.linear_regression import LinearRegression

from llm_optimize import Box, ChatProposer, Hybrid, MemoryStore, NumericProposer, Study, llm
from llm_optimize.core.events import Proposed
from llm_optimize.core.types import Problem
from llm_optimize.proposers.engines import ENGINES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.events import Event
    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import ChatModel, Proposer, Scorer

PER_STEP = 8
_FOUND = "the optimum was found"
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Instance:
    """What is optimized in a run, and how it is put to a model.

    Attributes:
        score: of a candidate.
        starts: candidates to begin with.
        goal: the score of the optimum.
        task: the problem in words, for ``--prompt ours``.
        opro: makes the paper's proposer for a model.
        tune: the numbers of a candidate, for an engine.
        same: what two candidates have in common that are written differently and mean the same.
    """

    score: Scorer
    starts: tuple[str, ...]
    goal: float
    task: str
    opro: Callable[[ChatModel], Opro]
    tune: Box
    same: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Who:
    """Who proposes.

    Attributes:
        model: makes the chat model for a seed, or None for an engine alone.
        engine: of :data:`ENGINES`, or None for a model alone.
        prompt: ``paper`` or ``ours``.
        changes: fields of :class:`~opro.Opro` that are not as in the paper.
    """

    model: Callable[[int, Callable[..., str]], ChatModel] | None
    engine: str | None
    prompt: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    def proposer(self, one: Instance, seed: int, answer: Callable[..., str]) -> Proposer:
        """Return the proposer of a run."""
        numeric = NumericProposer(one.tune, self.engine) if self.engine else None
        if self.model is None:
            return Begun(one.starts, numeric or NumericProposer(one.tune))
        model = self.model(seed, answer)
        chat: Proposer = replace(one.opro(model), **self.changes) if self.prompt == "paper" else ChatProposer(model)
        return Begun(one.starts, Hybrid(chat, numeric) if numeric else chat)


def run(one: Instance, proposer: Proposer, seed: int, steps: int) -> Run:
    """Propose and evaluate, step by step, until the optimum was found or the steps are used up."""
    proposals: list[Proposed] = []

    def note(event: Event) -> None:
        if isinstance(event, Proposed):
            proposals.append(event)

    def taken() -> int:
        return sum(all(candidate.origin != "start" for candidate in event.candidates) for event in proposals)

    def stop(history: History) -> str | None:
        if history.pending:
            return None  # a step is evaluated to its end
        best = history.best
        if best is not None and best.score is not None and best.score >= one.goal - _ROUNDING:
            return _FOUND
        return "the steps are used up" if taken() >= steps else None

    study = Study(
        Problem(one.task, "Which should be tried next, so that the score rises?", one.starts[0]), proposer, one.score,
        store=MemoryStore(), stop=stop, ideas=PER_STEP, seed=seed, observers=(note,),
    )  # fmt: skip
    while (reason := study.run().reason).startswith("no candidate"):
        pass  # three fruitless steps end a session, not a run of the paper
    history = study.last
    best = history.best
    gap = (one.goal - best.score) / abs(one.goal) if best is not None and best.score is not None else float("nan")
    asked = [event for event in proposals if event.usage.calls]
    came = sum(candidate.origin.startswith("chat") for event in asked for candidate in event.candidates)
    repeated = sum(event.note.count("a duplicate of #") for event in asked)
    invalid = PER_STEP * len(asked) - came - repeated
    return Run(
        taken(),
        len({one.same(trial.text) for trial in history.trials}),
        reason == _FOUND,
        gap,
        history.usage,
        invalid,
        repeated,
    )


def regression(w: int, b: int, repetition: int) -> Instance:
    """Return a repetition of the regression; the words for the model hold no formula."""
    data = LinearRegression(w, b, repetition)
    task = "Find whole numbers w and b for which an unknown function of them is highest. x is written: w=18, b=15"
    read = partial(_read, linear_regression.read_pair, linear_regression.written)
    opro = partial(Opro, prompt=linear_regression.prompt, read=read, shown=linear_regression.BEST_SHOWN)
    starts = tuple(map(linear_regression.written, data.starts))
    return Instance(data, starts, -data.least, task, opro, Box(-50, 50, integer=True), linear_regression.read_pair)


def salesman(n: int, number: int, *, keys: bool) -> Instance:
    """Return an instance of the travelling salesman; with ``keys`` candidates are written as an engine needs them."""
    data = tsp.instance(n, number)
    task = f"Find the shortest closed trace through these points, from 0, each visited once: {data.points}. "
    task += "The score is minus its length. x is written: <trace>0,3,1,2</trace>"
    write = tsp.as_keys if keys else tsp.written
    read = partial(_read, partial(tsp.read_trace, n=n), write)
    starts = tuple(map(write, data.starts))
    opro = partial(Opro, prompt=data.prompt, read=read, shown=tsp.BEST_SHOWN)
    return Instance(data, starts, -data.optimum, task, opro, Box(0, 1), partial(tsp.read_trace, n=n))


def _read(parse: Callable[[str], Any], write: Callable[[Any], str], reply: str) -> str | None:
    found = parse(reply)
    return None if found is None else write(found)


def measure_regression(who: Who, steps: int, pairs: Sequence[tuple[int, int]], repetitions: int) -> None:
    """Print the table of the regression."""
    print("\nLinear regression: text-bison | gpt-3.5-turbo | gpt-4 in the paper's rows")
    for w, b in pairs:
        runs = []
        for repetition in range(repetitions):
            one = regression(w, b, repetition)
            runs.append(run(one, who.proposer(one, repetition, line), repetition, steps))
        print(regression_rows((w, b), runs), flush=True)


def measure_salesman(who: Who, steps: int, sizes: Sequence[int], instances: int) -> None:
    """Print the table of the travelling salesman."""
    print("\nTravelling salesman: text-bison | gpt-3.5-turbo | gpt-4 in the paper's rows")
    for n in sizes:
        runs = []
        for number in range(instances):
            one = salesman(n, number, keys=who.engine is not None)
            runs.append(run(one, who.proposer(one, number, tour), number, steps))
        known = [tsp.instance(n, number) for number in range(instances)]
        nearest = [one.gap(tsp.nearest_neighbour(one.points)) for one in known]
        farthest = [one.gap(tsp.farthest_insertion(one.points)) for one in known]
        print(salesman_rows(n, (nearest, farthest), runs), flush=True)


def chosen(options: argparse.Namespace) -> tuple[Who, str]:
    """Return who proposes, and that in words."""
    engine = options.engine or ("gp" if options.mix else None)
    changes: dict[str, Any] = {"settings": {"temperature": options.temperature, "max_tokens": 1024}}
    changes |= {"shown": options.shown} if options.shown else {}
    if options.engine and not options.mix:
        return Who(None, engine, options.prompt), f"the numeric engine {engine} alone"
    words = f"prompt: {options.prompt}" + (f", mixed with the numeric engine {engine}" if engine else "")
    if options.model:
        return Who(lambda *_: llm.connect(options.model), engine, options.prompt, changes), f"{options.model}; {words}"
    rates = ", ".join(f"{name} {share:.0%}" for name, share in RATES.items())
    said = f"a STAND-IN, no language model: a function that changes what the prompt shows ({rates}); {words}"
    return Who(lambda seed, answer: standin(answer, seed), engine, options.prompt, changes), said


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("regression", "tsp"))
    parser.add_argument("--model", help="URL#name, or a name")
    parser.add_argument("--standin", action="store_true", help="the default")
    parser.add_argument("--engine", choices=ENGINES)
    parser.add_argument("--mix", action="store_true", help="the model and the engine (gp, or --engine)")
    parser.add_argument("--prompt", choices=("paper", "ours"), default="paper")
    parser.add_argument("--shown", type=int, help="candidates in a prompt, with the paper's: 20 pairs, 10 traces")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--repetitions", type=int, default=linear_regression.REPETITIONS)
    parser.add_argument("--instances", type=int, default=tsp.COUNT)
    parser.add_argument("--sizes", type=int, nargs="+", choices=tsp.SIZES, default=tsp.SIZES)
    parser.add_argument("--quick", action="store_true", help="one pair, 10 points, 2 runs of 10 steps each")
    options = parser.parse_args()
    if options.prompt == "ours" and not options.model:
        parser.error("--prompt ours needs --model: the stand-ins read the paper's prompt")
    who, said = chosen(options)
    print(f"Proposals by {said}. {PER_STEP} per step, at most {10 if options.quick else options.steps} steps.")
    if options.task != "tsp":
        pairs = linear_regression.TRUE_PAIRS[: 1 if options.quick else None]
        measure_regression(
            who, 10 if options.quick else options.steps, pairs, 2 if options.quick else options.repetitions
        )
    if options.task != "regression":
        sizes, instances = ((10,), 2) if options.quick else (options.sizes, options.instances)
        measure_salesman(who, 10 if options.quick else options.steps, sizes, instances)


if __name__ == "__main__":
    main()
