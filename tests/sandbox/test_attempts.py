"""Hostile programs against the sandbox: each ends as expected, reaches nothing, and leaves nothing for the next."""

from __future__ import annotations

import sys

import pytest

from llm_optimize.sandbox import REASONS, Sandbox
from llm_optimize.sandbox.attack import WALLS, Attack, Bait, attempts
from llm_optimize.sandbox.base import LAYERS

ATTEMPTS = attempts()

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")


@pytest.fixture(scope="module")
def attack():
    """One sandbox for all attempts, with numpy preloaded and an array that all programs are given."""
    numpy = pytest.importorskip("numpy")
    with Bait() as bait, Sandbox(preload=["numpy", "json", "random", "statistics"]) as box:
        if not set(box.layers().in_force) >= WALLS:
            pytest.skip(f"this machine allows no walls: {box.layers().missing}")
        yield Attack(box, bait, {"array": numpy.arange(1000.0)})


@on_linux
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_a_hostile_program_is_held(attempt, attack):
    """It ends as expected, touches no bait, leaves nothing, and the next honest programs score what they did before."""
    verdict = attack.run(attempt)
    if verdict.outcome == "through" and attempt.only_by and not attempt.only_by & set(verdict.layers):
        pytest.xfail(f"held only by {' or '.join(sorted(attempt.only_by))}: {verdict.why}")
    assert verdict.outcome == "held", verdict.why


def test_the_attempts_are_many_and_say_what_they_try():
    """There are at least 85; each has one line, known reasons and known layers."""
    assert len(ATTEMPTS) >= 85
    for attempt in ATTEMPTS:
        assert attempt.tries, attempt.name
        assert set(attempt.expect) <= set(REASONS), attempt.name
        held_by = attempt.held_by
        named = {*held_by.by, *held_by.needed, *attempt.only_by}.union(*attempt.needs)
        assert named <= {*LAYERS, "tree_kill"}, attempt.name
        assert held_by.bare in ("held", "through", "not run"), f"{attempt.name}: run tests/soak/matrix.py --tables"


def test_bombs_are_only_run_where_they_are_bounded():
    """Whatever forks without end says that it needs a pid namespace and a limit of processes."""
    for attempt in ATTEMPTS:
        if "bomb" in attempt.name and ("fork" in attempt.name or "thread" in attempt.name):
            assert attempt.needs == (frozenset({"pid"}), frozenset({"rlimits"})), attempt.name
