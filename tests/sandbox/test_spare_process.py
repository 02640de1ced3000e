"""The process that waits for a program: killed, left, given other limits; and whose ends of its pipes are whose."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from llm_optimize.errors import SandboxError
from llm_optimize.sandbox import Limits, Sandbox
from llm_optimize.sandbox.base import Program

if sys.platform != "linux":
    pytest.skip("lanes are Linux's", allow_module_level=True)

from llm_optimize.sandbox import wire
from llm_optimize.sandbox.driving import Work
from llm_optimize.sandbox.warm import WarmParent
from llm_optimize.sandbox.zygote import ENVIRONMENT, output_pipes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.sandbox.driving import Lane

LIMITS = Limits(wall_s=20, cpu_s=20)
SLEEP = "import time\ntime.sleep(60)"


def work(source: str = "x = 1", limits: Limits = LIMITS, names: bytes = b"x") -> Work:
    """Return what a waiting process is given."""
    return Work(wire.task(limits, source.encode(), names, b"", b""), limits, "")


@pytest.fixture
def lane() -> Iterator[Lane]:
    """A lane with all layers, in which a process waits."""
    parent = WarmParent([], ENVIRONMENT)
    opened = parent.open_lane(walls="full", network="none", drop=True)
    if not opened._ahead:
        pytest.skip("no process waits ahead of its program here")
    opened._prepare(work())
    yield opened
    opened.close()
    parent.close()


def spare(lane: Lane) -> psutil.Process:
    """Return the process that waits in a lane; it is there as soon as the host has its pipes."""
    (child,) = psutil.Process(lane.pid).children()
    return child


def ended(process: psutil.Process) -> bool:
    """Return whether it ends; its parent need not have collected it."""
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        os.sched_yield()
    return False


def test_a_process_killed_while_it_waits_runs_nothing(lane):
    """Where the waiting process was killed, the task is refused as never run, and the lane serves again."""
    waiting = spare(lane)
    waiting.kill()
    assert ended(waiting)
    with pytest.raises(ConnectionError):
        lane.evaluate(work(), output_pipes(LIMITS), 20)


def test_the_sandbox_goes_on_when_its_waiting_processes_are_killed():
    """Killing the process that waits costs no program: the next one runs, again and again."""
    with Sandbox(limits=LIMITS) as box:
        for number in range(5):
            assert box.run(f"x = {number}", {}, ["x"]).values == {"x": number}
            (lane,) = box._backend._pool._idle
            for child in psutil.Process(lane.pid).children():  # at times none yet, or one that is not yet fenced in
                child.kill()
                assert ended(child)


def test_a_lane_killed_before_its_program_runs_nothing(lane):
    """A task for a lane that is gone is refused as never run; its waiting process ends with it."""
    waiting = spare(lane)
    os.kill(lane.pid, signal.SIGKILL)
    assert ended(waiting)
    with pytest.raises(ConnectionError):
        lane.evaluate(work(), output_pipes(LIMITS), 20)


def test_a_lane_killed_between_task_and_watch_ends_the_program(lane):
    """When the lane dies while the process has its task, before it heard of it, nothing is run again or left."""
    waiting = spare(lane)
    os.kill(lane.pid, signal.SIGSTOP)  # it will not hear that the program runs
    ends = lane._send(work(SLEEP))
    os.kill(lane.pid, signal.SIGKILL)
    with pytest.raises(SandboxError, match="nothing was run again"):
        lane._collect((), 20)
    for end in ends:
        os.close(end)
    assert ended(waiting)


def test_a_program_that_ends_before_the_lane_hears_of_it_is_reported_once(lane):
    """A program that ended before the lane was told that it runs is reported once, and the late word harms no other."""
    for number in range(3):
        lane._prepare(work())
        os.kill(lane.pid, signal.SIGSTOP)
        ends = lane._send(work(f"x = {number}"))
        poller = select.poll()
        poller.register(ends[0], 0)
        assert poller.poll(30_000)  # its other end closes with the program, which nobody collects
        os.kill(lane.pid, signal.SIGCONT)
        report = lane._collect((), 20)
        assert (report.status, report.cause) == (0, "")
        assert os.read(ends[-1], 1 << 16).endswith(bytes([number, *bytes(7)]))
        for end in ends:
            os.close(end)


def test_a_host_that_dies_leaves_no_process(lane):
    """When the host's ends close, the lane and the process that waits end."""
    waiting, keeper = spare(lane), psutil.Process(lane.pid)
    lane.close()
    assert ended(waiting)
    assert ended(keeper)


def test_the_hosts_ends_are_in_no_other_process(lane):
    """The host's end of a waiting process's socket and pipes is held by the host alone."""
    ours = {Path(f"/proc/self/fd/{end}").readlink() for end in lane._waiting[:1]}
    for process in (psutil.Process(lane.pid), spare(lane), psutil.Process(lane.pid).parent()):
        links = {found.readlink() for found in Path(f"/proc/{process.pid}/fd").iterdir()}
        assert not ours & links
    assert not any(os.get_inheritable(end) for end in lane._waiting)


def test_a_program_finds_its_own_descriptors_only():
    """A program that came in one message has its three pipes and nothing else open."""
    source = (
        "import os\nx = []\nfor n in range(1024):\n    try: x.append(os.readlink(f'/proc/self/fd/{n}')[:5])\n"
        "    except OSError: pass"
    )
    with Sandbox(limits=LIMITS) as box:
        box.run("pass")
        assert box.run(source, {}, ["x"]).values == {"x": ["/dev/", "pipe:", "pipe:", "pipe:"]}


def test_each_program_has_the_limits_that_it_came_with():
    """Limits change from program to program: those of the process, of its tree and of its folder are the new ones."""
    source = (
        "import os, resource\n"
        "x = [resource.getrlimit(resource.RLIMIT_FSIZE)[0] >> 20, os.statvfs('.').f_blocks * 4096 >> 20,"
        " resource.getrlimit(resource.RLIMIT_CPU)[0], resource.getrlimit(resource.RLIMIT_NPROC)[0]]"
    )
    with Sandbox() as box:
        for files_mb, cpu_s, processes in ((4, 7, 3), (64, 9, 30), (64, 9, 30), (2, 5, 8)):
            limits = Limits(files_mb=files_mb, cpu_s=cpu_s, processes=processes)
            assert box.run(source, {}, ["x"], limits).values["x"] == [files_mb, files_mb, cpu_s + 1, processes + 2]
        assert box.run("while True: pass", limits=Limits(cpu_s=1, wall_s=20)).reason == "cpu"
        assert box.run(SLEEP, limits=Limits(wall_s=0.3)).reason == "timeout"
        crowd = "import os, time\nfor _ in range(6): os.fork() or time.sleep(9)\ntime.sleep(9)"
        assert box.run(crowd, limits=Limits(processes=2, wall_s=20)).reason == "processes"


@pytest.mark.parametrize("size", [0, wire.INLINE - 200, wire.INLINE, wire.INLINE * 3])
def test_short_and_long_tasks_are_the_same(size):
    """Source and inputs arrive whole whether they travel in the message or in files, and arrays can be written to."""
    np = pytest.importorskip("numpy")
    array = np.arange(max(size // 8, 1), dtype=float)
    with Sandbox(preload=["numpy"], limits=LIMITS) as box:
        done = box.run("a += 1\nx = a", {"a": array}, ["x"])
        assert done.ok, done
        assert (done.values["x"] == array + 1).all()
        assert box.run("#" * size + "\nx = 1", {}, ["x"]).values == {"x": 1}
        assert box.call("#" * size + "\ndef f(n): return n", "f", [b"a" * size]).values["result"] == b"a" * size


def test_a_program_of_the_protocol_is_read_as_it_was_written():
    """Every part of a task message is read back as it was, the inputs on a boundary of 64 bytes."""
    parts = (b"x = 1\n", b"x\ny", b"call", b"in")
    message = wire.task(Program("").limits, *parts)
    read = wire.read(memoryview(bytearray(message)))
    assert tuple(map(bytes, read["parts"])) == parts
    assert (len(message) - len(parts[-1])) % 64 == 0
    assert read["limits"] == {"memory_mb": 2048, "cpu_s": 60.0, "processes": 64, "files_mb": 256}
    assert wire.task(Limits(), b"x" * wire.INLINE, b"", b"", b"y") == b""
    assert wire.read(memoryview(wire.order({"run": "session"}))) == {"run": "session"}
    assert wire.read_report(wire.report(3, 9, 1 << 40, 0.5, "memory")) == (9, 1 << 40, 0.5, "memory")
