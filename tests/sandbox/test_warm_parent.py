"""The warm parent and its lanes over time: replaced when worn, unharmed by what cannot work."""

from __future__ import annotations

import errno
import gc
import os
import resource
import sys
import tempfile

import psutil
import pytest

from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox import Limits, Sandbox
from llm_optimize.sandbox.base import Program

if sys.platform != "linux":
    pytest.skip("lanes are Linux's", allow_module_level=True)

from llm_optimize.sandbox.pool import LanePool
from llm_optimize.sandbox.warm import WarmParent
from llm_optimize.sandbox.zygote import ENVIRONMENT, ZygoteBackend

ONE = Program("x = 1", outputs=("x",))


def test_a_preload_that_ends_the_interpreter_is_named():
    """A module that ends the process while it is imported is bad input that names it."""
    with pytest.raises(BadInput, match=r"unittest\.__main__"):
        Sandbox(preload=["json", "unittest.__main__"], backend="zygote").run("pass")


def test_a_worn_lane_is_replaced():
    """A lane that has served its number of programs is closed, and another is ready without being asked for."""
    parent = WarmParent([], ENVIRONMENT)
    pool = LanePool(lambda: parent.open_lane(walls="none", network="host", drop=False), serves=3)
    seen = []
    for _ in range(10):
        with pool.borrowed() as lane:
            seen.append(lane.pid)
    with pool.lock:
        pool.clear()
    parent.close()
    assert [seen.count(pid) for pid in dict.fromkeys(seen)][:3] == [3, 3, 3]


def test_a_grown_warm_parent_is_replaced_while_programs_go_on():
    """When the warm parent has grown too much another takes over; a program that runs meanwhile ends well."""
    backend = ZygoteBackend((), "none", look_every=1, growth_kb=-(1 << 30))
    live = backend.open(Program(""))
    parents = []
    for _ in range(3):
        assert backend.run(ONE).values == {"x": 1}
        parents.append(backend._parent._process)
    assert len({process.pid for process in parents}) == 3
    assert live.end() is not None
    live.release()
    del live
    backend.close()
    _, alive = psutil.wait_procs([psutil.Process(p.pid) for p in parents if psutil.pid_exists(p.pid)], timeout=30)
    assert alive == []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.kill(os.getppid(), 9)",
        "import os\nos.kill(-1, 9)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "import ctypes\nctypes.string_at(0)",
        "import os\nos.closerange(0, 1000)",
        "x = '" + "a" * 30_000_000 + "'",
        "x = 1 \0",
        "def f(:",
    ],
    ids=["kill lane", "kill all", "stop", "crash", "close all", "30 MB", "null byte", "syntax"],
)
def test_the_warm_parent_is_unharmed(source):
    """After a program that does harm, the same warm parent and the same lane run the next one."""
    with Sandbox(backend="zygote", limits=Limits(wall_s=5)) as box:
        box.run("pass")
        parent = box._backend._parent._process.pid
        lane = psutil.Process(parent).children()[0].pid
        box.run(source, limits=Limits(wall_s=3, cpu_s=3))
        assert box.run("x = 1", {}, ["x"]).values == {"x": 1}
        assert box._backend._parent._process.pid == parent
        assert psutil.Process(parent).children()[0].pid == lane


def test_limits_may_change_from_program_to_program():
    """The process that waits takes whatever limits its program comes with, smaller or larger than the last."""
    source = "import resource, os\nx = [resource.getrlimit(resource.RLIMIT_FSIZE)[0] >> 20, os.statvfs('.').f_blocks]"
    with Sandbox(backend="zygote") as box:
        sizes = [box.run(source, {}, ["x"], Limits(files_mb=mb)).values["x"] for mb in (4, 1, 64, 4)]
    assert [size for size, _ in sizes] == [4, 1, 64, 4]
    assert [blocks * 4096 >> 20 for _, blocks in sizes] == [4, 1, 64, 4]


def test_no_place_for_temporary_files_is_an_error_of_the_sandbox(tmp_path, monkeypatch):
    """Where no temporary file can be made the sandbox says so, and works again when there is place."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    box = Sandbox(backend="zygote")
    with pytest.raises(SandboxError, match="cannot be started"):
        box.run("pass")
    monkeypatch.undo()
    assert box.run("pass").ok
    box.close()


def test_no_descriptors_left_is_an_error_of_the_sandbox():
    """When the host has no descriptor left the run is an error of the sandbox, and the next one is fine."""
    with Sandbox(backend="zygote") as box:
        box.run("pass")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        gc.collect()  # what other tests left to it must not free a descriptor in the middle
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            with pytest.raises(SandboxError) as refused:
                box.run("pass")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert refused.value.__cause__.errno == errno.EMFILE
        assert box.run("x = 1", {}, ["x"]).ok
