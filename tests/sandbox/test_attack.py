"""The attack itself: it notices what gets through, so that a clean sheet means something."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from llm_optimize.sandbox import Limits, Sandbox
from llm_optimize.sandbox.attack import WALLS, Attack, Bait, HeldBy, attempts

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="counts what is on a Linux machine"),
    # without walls two honest programs share the host's ports, and each looks whether one was left open
    pytest.mark.xdist_group("unwalled"),
]

BY_NAME = {attempt.name: attempt for attempt in attempts()}


@pytest.fixture
def bait():
    """Laid out, and taken away afterwards."""
    with Bait() as laid:
        yield laid


@pytest.fixture
def unwalled(bait):
    """An attack on a sandbox without walls; only programs that do no harm are run in it."""
    with Sandbox(backend="subprocess") as box:
        yield Attack(box, bait)


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("read_host_folder", "ended with finished"),
        ("tcp_loopback", "was connected to"),
        ("unix_path", "was connected to"),
        ("unix_abstract", "was connected to"),
        ("probe_host_files", "says so itself"),
        ("write_host_folder", "was changed"),
    ],
)
def test_what_gets_through_a_weak_sandbox_is_noticed(name, sign, unwalled):
    """Without walls a program reaches the bait, and the verdict says by what this shows."""
    verdict = unwalled.run(BY_NAME[name])
    assert verdict.outcome == "through"
    assert any(sign in line for line in verdict.why), verdict.why


def test_what_would_take_the_machine_down_is_not_run(unwalled):
    """A fork bomb is not even started where no pid namespace and no limit bound it."""
    verdict = unwalled.run(BY_NAME["fork_bomb"])
    assert (verdict.outcome, verdict.seconds) == ("not run", 0.0)
    assert "pid" in verdict.why[0]


def test_one_that_got_through_is_not_blamed_on_the_next(unwalled):
    """After a breach an honest attempt is judged from a fresh start."""
    assert unwalled.run(BY_NAME["tcp_loopback"]).outcome == "through"
    assert unwalled.run(BY_NAME["recursion"]).outcome == "held"


def made(source, *expect, wall_s=1.0, endless=False):
    """A program of our own, to be judged as an attempt."""
    return replace(BY_NAME["recursion"], source=source, expect=expect, limits=Limits(wall_s=wall_s), endless=endless)


def test_a_verdict_that_speed_may_explain_is_doubted(unwalled):
    """A limit of time says nothing final of what ends by itself; a sign that the bait was reached does."""
    endless = "while True:\n    pass"
    assert unwalled.run(made(endless, "timeout", endless=True)).doubt == ""
    assert unwalled.run(made(endless, "timeout")).doubt != ""
    wrong_end = unwalled.run(made("breached = False", "raised"))
    assert (wrong_end.outcome, bool(wrong_end.doubt)) == ("through", True)
    reached = unwalled.run(BY_NAME["tcp_loopback"])
    assert (reached.outcome, reached.doubt) == ("through", "")


def test_patience_gives_time_to_what_ends_by_itself(unwalled):
    """With ten times the time a program that was stopped comes to its end; an endless one is given no more."""
    slow = made("import time\ntime.sleep(2)\nbreached = False", "finished")
    assert unwalled.run(slow).outcome == "through"
    assert unwalled.run(slow, patience=60).outcome == "held"
    stopped = unwalled.run(made("while True:\n    pass", "timeout", endless=True), patience=60)
    assert (stopped.outcome, stopped.reason) == ("held", "timeout")


def test_what_holds_a_program_is_told():
    """Only layers that are in force are named; a layer that is needed comes before those that are enough."""
    layers = ("pid", "seccomp")
    assert HeldBy(("seccomp",), ("seccomp", "landlock"), "through").told(layers) == "only by seccomp"
    assert HeldBy((), ("landlock", "pid", "seccomp"), "through").told(layers) == "by pid or seccomp"
    assert HeldBy((), ("landlock",), "through").told(layers) == "by layers together"
    assert HeldBy((), (), "held").told(layers) == "without any layer as well"
    assert HeldBy().told(layers) == ""


def test_bait_notices_what_is_done_to_it(bait):
    """Nothing is touched at first; a connection, a new file and a lowered priority each show."""
    assert bait.touched() == []
    socket.create_connection(("127.0.0.1", bait.inputs["port"])).close()
    Path(bait.inputs["host_folder"], "new").touch()
    os.setpriority(os.PRIO_PROCESS, bait.inputs["host_pid"], 19)
    assert len(bait.touched()) == 3


def test_renewed_bait_shows_nothing(bait):
    """What was done to the bait, or that it was taken away, is not seen again after it was laid out anew."""
    for harm in ("precious", "new"):
        Path(bait.inputs["host_folder"], harm).write_text("", "utf-8")
        assert len(bait.touched()) == 1
        bait.renew()
        assert bait.touched() == []
    shutil.rmtree(bait.inputs["host_folder"])
    assert "taken away" in bait.touched()[0]
    bait.renew()
    assert bait.touched() == []


def test_bait_is_taken_away(bait):
    """The key, the folder and the process are gone after use."""
    inputs = dict(bait.inputs)
    bait.__exit__()
    assert "LLM_OPTIMIZE_CANARY" not in os.environ
    assert not Path(inputs["host_folder"]).exists()
    assert not Path(f"/proc/{inputs['host_pid']}").exists()


def doctor(*names):
    command = [sys.executable, "-m", "llm_optimize", "doctor", "--attack", *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_doctor_attacks_this_machine():
    """It names the layers, prints a verdict for each program and sums up; 0 when all were held."""
    with Sandbox() as box:
        if not set(box.layers().in_force) >= WALLS:
            pytest.skip("this machine allows no walls")
    done = doctor("recursion", "tcp_loopback", "fork_bomb")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in force" in done.stdout
    assert "recursion: held without any layer as well (raised)" in done.stdout
    assert "tcp_loopback: held by " in done.stdout
    assert "3 hostile programs: 3 held, 0 through, 0 not run" in done.stdout


def test_doctor_knows_its_programs():
    """A name that is none is wrong usage, in one line."""
    done = doctor("no_such_program")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no_such_program" in done.stderr
