"""Every engine keeps the same contract: inside the domains, repeatable, stateless, silent."""

from __future__ import annotations

import logging
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

import llm_optimize
from llm_optimize.errors import BadInput
from llm_optimize.proposers.engines import ENGINES, check_engine, choose_engine, suggest
from llm_optimize.text.domains import Choice, Integer, Real

NAMES = [name for name in ENGINES if name != "auto"]
MIXED = (Real(0.01, 100, log=True), Integer(1, 20), Choice(("rbf", "poly", "linear")), Integer(1, 10**6, log=True))


def loss(values):
    c, k, kernel, n = values
    return math.log10(c) ** 2 + (k - 7) ** 2 / 20 + (kernel != "poly") + (math.log10(n) - 3) ** 2


def told(count, domains=MIXED, score=loss, seed=1):
    rng = random.Random(seed)
    points = [tuple(domain.at(rng.random()) for domain in domains) for _ in range(count)]
    return [(point, -score(point)) for point in points]


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("count", [0, 1, 3, 12, 30])
def test_suggestion_lies_inside_its_domains(engine, count):
    """Values are of each domain's own type and inside it, with and without data."""
    values = suggest(engine, MIXED, told(count), seed=(3, 1))
    assert [domain.clip(value) for domain, value in zip(MIXED, values, strict=True)] == list(values)
    assert [type(value) for value in values] == [float, int, str, int]


@pytest.mark.parametrize("engine", NAMES)
def test_equal_seeds_and_data_give_equal_suggestions(engine):
    """An engine keeps nothing: a call repeats exactly, whatever was asked in between, and seeds matter."""
    data = told(20)
    first = suggest(engine, MIXED, data, seed=(3, 1))
    suggest(engine, MIXED, told(9, seed=5), seed=(8, 8))
    assert suggest(engine, MIXED, data, seed=(3, 1)) == first
    assert len({suggest(engine, MIXED, data[:2], seed=(3, slot)) for slot in range(5)}) > 1


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("domain", [Real(-5, 5), Integer(1, 3), Choice(("a", "b"))])
def test_single_value_can_be_tuned(engine, domain):
    """One dimension of any kind is enough."""
    data = [((domain.at(place),), place) for place in (0.1, 0.5, 0.9, 0.3, 0.7, 0.2, 0.8)]
    (value,) = suggest(engine, [domain], data, seed=(1,))
    assert domain.clip(value) == value


@pytest.mark.parametrize("engine", ["gp", "tpe", "cmaes"])
def test_engines_learn(engine):
    """With its own suggestions as data an engine ends well below what as many random points give."""
    results = []
    for name in (engine, "random"):
        data = told(4)
        for step in range(36):
            values = suggest(name, MIXED, data, seed=(2, step))
            data.append((values, -loss(values)))
        results.append(-max(score for _, score in data))
    assert results[0] < results[1]


def test_gaussian_process_avoids_what_is_pending():
    """Suggestions that are under evaluation are not repeated, and the next one keeps its distance."""
    box = (Real(-10, 10), Real(-10, 10))
    data = told(14, box, lambda point: (point[0] - 3) ** 2 + (point[1] + 4) ** 2)
    first = suggest("gp", box, data, seed=(1, 1))
    second = suggest("gp", box, data, [first], seed=(1, 2))
    assert math.dist(first, second) > 1e-3


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize(
    "score", [lambda _: 1.0, lambda _: 1e308, lambda _: -1e-320, lambda point: 10.0 ** (30 * point[1] / 2)]
)
def test_odd_scores_are_survived(engine, score):
    """Equal, huge, tiny and wildly spread scores raise nothing and give usable values."""
    values = suggest(engine, MIXED, told(16, score=score), seed=(1,))
    assert all(domain.clip(value) == value for domain, value in zip(MIXED, values, strict=True))


@pytest.mark.parametrize("engine", NAMES)
def test_repeated_points_with_different_scores_are_survived(engine):
    """A noisy scorer gives one point several scores."""
    box = (Real(0, 1), Real(0, 1))
    data = [((0.5, 0.5), score) for score in (1.0, 2.0, 0.5, 1.5, 3.0)] * 3
    values = suggest(engine, box, data, seed=(1,))
    assert all(0 <= value <= 1 for value in values)


def test_optuna_says_nothing(caplog, capfd):
    """Neither log lines nor warnings come from Optuna, whose own verbosity stays as the user set it."""
    caplog.set_level(logging.INFO)
    level = logging.getLogger("optuna").level
    suggest("tpe", MIXED, told(12), [told(1, seed=9)[0][0]], seed=(1,))
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("optuna").level in (level, logging.INFO)


def test_auto_takes_the_gaussian_process_while_data_are_few():
    """The default is the process; with much data or many numbers, CMA-ES for numbers and TPE for the rest."""
    numbers = [Real(0, 1)] * 3
    assert choose_engine("auto", numbers, 0) == "gp"
    assert choose_engine("auto", numbers, 300) == "gp"
    assert choose_engine("auto", numbers, 301) == "cmaes"
    assert choose_engine("auto", MIXED, 301) == "tpe"
    assert choose_engine("auto", [Real(0, 1)] * 21, 10) == "tpe"
    assert choose_engine("tpe", numbers, 0) == "tpe"


def test_unknown_engine_is_refused():
    """The message lists the engines there are."""
    with pytest.raises(BadInput, match="choose one of auto, gp, tpe, cmaes, random"):
        check_engine("bayes")


BARE = """
import sys
sys.path.insert(0, sys.argv[1])
from llm_optimize.errors import BadInput
from llm_optimize.proposers.engines import check_engine, choose_engine, suggest
from llm_optimize.text.domains import Real
print(choose_engine("auto", [Real(0, 1)], 10), suggest("random", [Real(0, 1)], [], seed=(1,)))
for name in ("gp", "tpe", "cmaes"):
    try:
        check_engine(name)
    except BadInput as error:
        print(error)
"""


def test_without_any_extra_the_engine_is_random_and_the_others_name_the_remedy():
    """Python alone is enough to search at random; an engine asked for by name says what to install."""
    root = str(Path(llm_optimize.__file__).parents[1])
    done = subprocess.run([sys.executable, "-I", "-S", "-c", BARE, root], capture_output=True, text=True, check=True)
    first, *refusals = done.stdout.splitlines()
    assert first.startswith("random (0.")
    assert len(refusals) == 3
    assert all("pip install 'llm-optimize[numeric]'" in line for line in refusals)
