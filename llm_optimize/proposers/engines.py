"""Numeric engines behind one call: data in, the next values out, nothing kept in between.

============  ==========================================================  =================================
name          method                                                      needs
============  ==========================================================  =================================
``gp``        Gaussian process, :mod:`llm_optimize.proposers.bayesian`    numpy, scipy
``tpe``       tree-structured Parzen estimator of Optuna, in memory       optuna
``cmaes``     covariance matrix adaptation, replayed from the data        cmaes, numpy
``random``    even draws                                                  nothing
``auto``      ``gp`` while evaluations are few and it is the best by far  whatever is installed
============  ==========================================================  =================================
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.proposers import bayesian
from llm_optimize.proposers.arrays import Array, cmaes, installed, numpy, optuna
from llm_optimize.text.domains import Choice, Integer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.text.domains import Domain, Value

__all__ = ["ENGINES", "check_engine", "choose_engine", "suggest"]

_Told = tuple["Sequence[Value]", float]


_GP_TRIALS = 300
_GP_COLUMNS = 20
_CMA_TRIALS = 100  # below that a covariance is guesswork, and TPE does better
_CMA_SIGMA = 0.25

_NEEDS: dict[str, tuple[str, ...]] = {
    "gp": ("numpy", "scipy"),
    "tpe": ("optuna",),
    "cmaes": ("cmaes", "numpy"),
    "random": (),
}

ENGINES = ("auto", *_NEEDS)
"""The names that :func:`suggest` and ``NumericProposer(engine=...)`` accept."""


def check_engine(name: str) -> None:
    """Refuse an engine that cannot run, before anything is spent.

    Raises:
        BadInput: the name is unknown, or a package that it needs is not installed.
    """
    if name not in ENGINES:
        msg = f"engine is {name!r}: choose one of {', '.join(ENGINES)}"
        raise BadInput(msg)
    if name != "auto" and not installed(*_NEEDS[name]):
        msg = f"engine {name!r} needs {' and '.join(_NEEDS[name])}: run pip install 'llm-optimize[numeric]'"
        raise BadInput(msg)


def choose_engine(name: str, domains: Sequence[Domain], trials: int) -> str:
    """Return the engine to use: ``name`` itself, or for ``auto`` the best one installed.

    Args:
        name: one of :data:`ENGINES`.
        domains: what is tuned.
        trials: how many results there are. The Gaussian process is by far the best per evaluation, but its cost
            grows; from 300 trials or 20 numbers on, CMA-ES (numbers only) or TPE take over.

    Raises:
        BadInput: see :func:`check_engine`.
    """
    check_engine(name)
    if name != "auto":
        return name
    numbers = not any(isinstance(domain, Choice) for domain in domains)
    fitting = {
        "gp": trials <= _GP_TRIALS and len(domains) <= _GP_COLUMNS,
        "cmaes": numbers and trials > _CMA_TRIALS,
        "tpe": True,
        "random": True,
    }
    return next(engine for engine, fits in fitting.items() if fits and installed(*_NEEDS[engine]))


def suggest(  # noqa: PLR0913 - what an engine is given
    engine: str,
    domains: Sequence[Domain],
    told: Sequence[_Told],
    pending: Sequence[Sequence[Value]] = (),
    seed: Sequence[int] = (0,),
    *,
    noise: float | None = None,
) -> tuple[Value, ...]:
    """Return the values to try next, one per domain, each inside its domain.

    Args:
        engine: one of :data:`ENGINES` except ``auto``.
        domains: what is tuned.
        told: (values, score) in order of arrival, the start first; higher is better, every score finite.
        pending: values that are being evaluated; engines that can keep away from them.
        seed: whole numbers >= 0; equal seeds and equal data give equal suggestions.
        noise: the standard deviation of a score of unchanged values, in units of the score, where it was measured;
            for the Gaussian process. None leaves it to the engine to find out.

    Example:
        >>> suggest("random", [Integer(1, 3)], [], seed=(7,)) in [(1,), (2,), (3,)]
        True
    """
    if engine == "gp":
        return bayesian.suggest(domains, told, pending, seed, noise)
    return _SUGGEST[engine](domains, told, pending, seed)


def _random(
    domains: Sequence[Domain], _told: Sequence[_Told], _pending: Sequence[Sequence[Value]], seed: Sequence[int]
) -> tuple[Value, ...]:
    # Seeded by text, since a hash of a tuple of ints would collide for small ones.
    rng = random.Random(repr(tuple(seed)))  # noqa: S311 - a search, not a secret
    return tuple(domain.at(rng.random()) for domain in domains)


def _tpe(
    domains: Sequence[Domain], told: Sequence[_Told], pending: Sequence[Sequence[Value]], seed: Sequence[int]
) -> tuple[Value, ...]:
    # Optuna announces every study that is created; one per suggestion is noise. Its other loggers stay as they are.
    logging.getLogger("optuna.storages._in_memory").setLevel(logging.WARNING)
    names = [str(column) for column in range(len(domains))]
    space = {name: _distribution(domain) for name, domain in zip(names, domains, strict=True)}
    sampler = optuna().samplers.TPESampler(seed=_one_seed(seed), multivariate=True)
    study = optuna().create_study(direction="maximize", sampler=sampler)

    def trial(values: Sequence[Value], **result: Any) -> Any:  # noqa: ANN401 - Optuna's own keywords and type
        inside = (domain.clip(value) for domain, value in zip(domains, values, strict=True))
        return optuna().trial.create_trial(params=dict(zip(names, inside, strict=True)), distributions=space, **result)

    running = optuna().trial.TrialState.RUNNING
    study.add_trials([trial(values, value=score) for values, score in told])
    study.add_trials([trial(values, state=running) for values in pending])
    asked = study.ask(space).params
    return tuple(domain.clip(asked[name]) for name, domain in zip(names, domains, strict=True))


def _distribution(domain: Domain) -> Any:  # noqa: ANN401 - Optuna's own type, and Optuna is optional
    if isinstance(domain, Choice):
        return optuna().distributions.CategoricalDistribution(domain.options)
    if isinstance(domain, Integer):
        return optuna().distributions.IntDistribution(domain.low, domain.high, log=domain.log)
    return optuna().distributions.FloatDistribution(domain.low, domain.high, log=domain.log)


def _cmaes(
    domains: Sequence[Domain], told: Sequence[_Told], _pending: Sequence[Sequence[Value]], seed: Sequence[int]
) -> tuple[Value, ...]:
    """Replay the data in generations, then draw; whole numbers and options are rounded to."""
    np = numpy()
    columns = max(2, len(domains))  # the library refuses one column, so a lone one gets a companion without effect
    places = [_places(domains, values, columns) for values, _ in told]
    bounds = np.array([[0.0, 1.0]] * columns)
    start, mean, size = 0, places[0] if places else np.full(columns, 0.5), None
    while True:
        engine = cmaes().CMA(
            mean=mean, sigma=_CMA_SIGMA, bounds=bounds, seed=_one_seed((*seed, start)), population_size=size
        )
        size = engine.population_size
        while start + size <= len(told) and not engine.should_stop():
            engine.tell([(places[i], -told[i][1]) for i in range(start, start + size)])
            start += size
        if not engine.should_stop():
            break
        # Converged: begin again elsewhere with a larger population (Auger and Hansen, IPOP-CMA-ES, 2005).
        mean, size = np.random.default_rng(start).random(columns), 2 * size
    drawn = engine.ask()
    return tuple(domain.at(float(place)) for domain, place in zip(domains, drawn, strict=False))


def _places(domains: Sequence[Domain], values: Sequence[Value], columns: int) -> Array:
    places = [domain.place(value) for domain, value in zip(domains, values, strict=True)]
    return numpy().array([*places, *[0.5] * (columns - len(places))])


def _one_seed(seed: Sequence[int]) -> int:
    return random.Random(repr(tuple(seed))).getrandbits(31)  # noqa: S311 - a search, not a secret


_SUGGEST: dict[str, Callable[..., tuple[Value, ...]]] = {
    "gp": bayesian.suggest,
    "tpe": _tpe,
    "cmaes": _cmaes,
    "random": _random,
}
