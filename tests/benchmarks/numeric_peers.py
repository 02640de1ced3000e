"""Other libraries on the numeric benchmark's problems: each with its defaults, the same ranges and the same start.

Each peer calls ``objective`` until that has had enough and raises :class:`Enough`. The start is offered where the
library can take one: Optuna as an enqueued trial, bayesian-optimization as a probe, differential evolution as ``x0``,
CMA-ES as the mean of its first generation (which does not evaluate it). CMA-ES has no default step size: a quarter of
the range, as its documentation's examples; for whole numbers and options its variant CatCMA with margin.
"""

from __future__ import annotations

import importlib.util
import math
import time
import warnings
from typing import TYPE_CHECKING, Any

from llm_optimize.text.domains import Choice, Integer, Real

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numeric_problems import Task

__all__ = ["PEERS", "Enough", "Objective", "missing"]


class Enough(Exception):
    """All evaluations were made."""


class Objective:
    """A problem's regret that writes down what it was asked, and when."""

    def __init__(self, task: Task, evaluations: int) -> None:
        self.task = task
        self.evaluations = evaluations
        self.regrets: list[float] = []
        self.times = [time.perf_counter()]

    def __call__(self, values: Sequence[Any]) -> float:
        if len(self.regrets) == self.evaluations:
            raise Enough
        inside = [domain.clip(one) for domain, one in zip(self.task.domains.values(), values, strict=True)]
        self.regrets.append(self.task.regret(inside))
        self.times.append(time.perf_counter())
        return self.regrets[-1]


def _optuna(objective: Objective, sampler: Callable[[Any], Any]) -> None:
    import optuna  # noqa: PLC0415 - a peer, in the process that runs it

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = list(objective.task.domains)

    def suggested(trial: Any) -> float:
        return objective([_optuna_value(trial, name, objective.task.domains[name]) for name in names])

    study = optuna.create_study(sampler=sampler(optuna.samplers))
    study.enqueue_trial(dict(zip(names, objective.task.start, strict=True)))
    study.optimize(suggested, n_trials=objective.evaluations)


def _optuna_value(trial: Any, name: str, domain: Any) -> Any:
    if isinstance(domain, Choice):
        return trial.suggest_categorical(name, domain.options)
    suggest = trial.suggest_int if isinstance(domain, Integer) else trial.suggest_float
    return suggest(name, domain.low, domain.high, log=domain.log)


def optuna_tpe(objective: Objective, seed: int) -> None:
    _optuna(objective, lambda samplers: samplers.TPESampler(seed=seed))


def optuna_gp(objective: Objective, seed: int) -> None:
    import torch  # noqa: PLC0415 - as above

    torch.set_num_threads(1)
    _optuna(objective, lambda samplers: samplers.GPSampler(seed=seed))


def _scaled(domain: Any, value: Any) -> float:
    """Return the value on the scale on which a library without logarithmic ranges searches."""
    return math.log10(value) if isinstance(domain, Real) and domain.log else float(value)


def _unscaled(domain: Any, value: Any) -> Any:
    return 10.0**value if isinstance(domain, Real) and domain.log else value


def bayesian_optimization(objective: Objective, seed: int) -> None:
    from bayes_opt import BayesianOptimization  # noqa: PLC0415 - as above

    domains = objective.task.domains

    def bounds(domain: Any) -> Any:
        if isinstance(domain, Choice):
            return domain.options
        ends = (_scaled(domain, domain.low), _scaled(domain, domain.high))
        return (domain.low, domain.high, int) if isinstance(domain, Integer) else ends

    def target(**point: Any) -> float:
        return -objective([_unscaled(domains[name], point[name]) for name in domains])

    start = zip(domains.items(), objective.task.start, strict=True)
    search = BayesianOptimization(
        target, {name: bounds(domain) for name, domain in domains.items()}, random_state=seed, verbose=0
    )
    search.probe({n: one if isinstance(domain, Choice) else _scaled(domain, one) for (n, domain), one in start})
    search.maximize(init_points=5, n_iter=objective.evaluations)


def scipy_de(objective: Objective, seed: int) -> None:
    from scipy.optimize import differential_evolution  # noqa: PLC0415 - as above

    domains = list(objective.task.domains.values())
    # An option is a whole number here: its place in the list.
    bounds = [
        (0, len(domain.options) - 1)
        if isinstance(domain, Choice)
        else (_scaled(domain, domain.low), _scaled(domain, domain.high))
        for domain in domains
    ]
    start = [
        domain.options.index(one) if isinstance(domain, Choice) else _scaled(domain, one)
        for domain, one in zip(domains, objective.task.start, strict=True)
    ]
    whole = [not isinstance(domain, Real) for domain in domains]

    def function(row: Any) -> float:
        return objective(
            [
                domain.options[round(one)] if isinstance(domain, Choice) else _unscaled(domain, one)
                for domain, one in zip(domains, row, strict=True)
            ]
        )

    while True:  # one that has converged begins again
        differential_evolution(function, bounds, x0=start, integrality=whole, rng=seed)
        seed, start = seed + 1_000, None


def cmaes(objective: Objective, seed: int) -> None:
    import numpy as np  # noqa: PLC0415 - as above
    from cmaes import CMA, CatCMAwM  # noqa: PLC0415 - as above

    domains = list(objective.task.domains.values())
    if not all(isinstance(domain, Real) for domain in domains):
        return _cmaes_mixed(objective, seed, CatCMAwM)
    low, high = (np.array([getattr(domain, end) for domain in domains]) for end in ("low", "high"))
    bounds = np.column_stack([low, high])
    # One step size for all columns, so the columns are scaled to 0..1.
    mean = (np.array(objective.task.start) - low) / (high - low)
    while True:
        search = CMA(mean=mean, sigma=0.25, bounds=(bounds - low[:, None]) / (high - low)[:, None], seed=seed)
        while not search.should_stop():
            rows = [search.ask() for _ in range(search.population_size)]
            search.tell([(row, objective(low + row * (high - low))) for row in rows])
        mean, seed = np.random.default_rng(seed).random(len(domains)), seed + 1_000


def _cmaes_mixed(objective: Objective, seed: int, library: Any) -> None:
    domains = list(objective.task.domains.values())
    reals = [i for i, domain in enumerate(domains) if isinstance(domain, Real)]
    wholes = [i for i, domain in enumerate(domains) if isinstance(domain, Integer)]
    options = [i for i, domain in enumerate(domains) if isinstance(domain, Choice)]
    while True:
        search = library(
            x_space=[[_scaled(domains[i], domains[i].low), _scaled(domains[i], domains[i].high)] for i in reals],
            z_space=[list(range(domains[i].low, domains[i].high + 1)) for i in wholes],
            c_space=[len(domains[i].options) for i in options],
            seed=seed,
        )
        while not search.should_stop():
            asked = [search.ask() for _ in range(search.population_size)]
            told = []
            for one in asked:
                values: list[Any] = [None] * len(domains)
                for i, value in zip(reals, one.x, strict=True):
                    values[i] = _unscaled(domains[i], value)
                for i, value in zip(wholes, one.z, strict=True):
                    values[i] = int(value)
                for i, coded in zip(options, one.c, strict=True):
                    values[i] = domains[i].options[int(coded.argmax())]
                told.append((one, objective(values)))
            search.tell(told)
        seed += 1_000


PEERS: dict[str, tuple[tuple[str, ...], Callable[[Objective, int], None]]] = {
    "Optuna TPE": (("optuna",), optuna_tpe),
    "Optuna GP": (("optuna", "torch"), optuna_gp),
    "CMA-ES": (("cmaes", "numpy"), cmaes),
    "bayes_opt": (("bayes_opt",), bayesian_optimization),
    "scipy DE": (("scipy",), scipy_de),
}
"""By name: the packages that it needs, and how it is run."""


def missing(name: str) -> list[str]:
    """Return the packages that a peer needs and that are not installed."""
    return [package for package in PEERS[name][0] if importlib.util.find_spec(package) is None]


def run(name: str, objective: Objective, seed: int) -> None:
    """Run a peer until the objective has had enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bounds, of convergence, of what is experimental
        try:
            PEERS[name][1](objective, seed)
        except Enough:
            return
