"""The contract of every back end of the sandbox, and what only one of them promises."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox import Limits, Sandbox, available_backends, describe
from llm_optimize.testing.sandbox_contract import SandboxContract

linux = pytest.mark.skipif(sys.platform != "linux", reason="lanes are Linux's")


@linux
class TestZygote(SandboxContract):
    """The back end for Linux."""

    backend = "zygote"


class TestSubprocess(SandboxContract):
    """The back end for every platform."""

    backend = "subprocess"


def warm_parent(box: Sandbox) -> psutil.Process:
    """The warm parent of a sandbox that is the only one of this process."""
    box.run("pass")
    return psutil.Process(box._backend._parent._process.pid)


@linux
def test_preloaded_modules_are_there():
    """A preloaded module is loaded in every program, though not a name in it."""
    with Sandbox(preload=["xml.dom.minidom"]) as box:
        done = box.run("import sys\nx = ['xml.dom.minidom' in sys.modules, 'xml' in globals()]", outputs=["x"])
    assert done.values == {"x": [True, False]}


@linux
def test_a_preload_that_is_missing_is_named():
    """A module that cannot be imported is bad input that names it, and nothing keeps running."""
    box = Sandbox(preload=["json", "no_such_module_here"])
    with pytest.raises(BadInput, match="no_such_module_here"):
        box.run("pass")


@linux
def test_the_warm_parent_is_replaced_when_it_dies(caplog):
    """After the warm parent's death the next run starts another, and says so."""
    with Sandbox(backend="zygote") as box:
        parent = warm_parent(box)
        family = [parent, *parent.children(recursive=True)]
        parent.kill()
        psutil.wait_procs(family, timeout=30)
        with caplog.at_level(logging.WARNING, "llm_optimize"):
            assert box.run("x = 1", outputs=["x"]).values == {"x": 1}
        assert "warm parent died" in caplog.text
        assert warm_parent(box).pid != parent.pid


@linux
def test_a_death_during_a_program_is_told_and_nothing_is_run_again(tmp_path):
    """A program that was running when the warm parent died is an error of the sandbox, and the next run is fine."""
    with Sandbox(backend="zygote", limits=Limits(wall_s=60)) as box:
        parent = warm_parent(box)
        killer = os.fork()
        if killer == 0:  # ends the warm parent as soon as the program's process is there
            while not any(child.children() for child in parent.children()):
                pass
            parent.kill()
            os._exit(0)
        with pytest.raises(SandboxError, match="nothing was run again"):
            box.run("import time\ntime.sleep(60)")
        os.waitpid(killer, 0)
        assert box.run("pass").ok


@linux
def test_close_ends_every_process():
    """After close no process of the sandbox is left."""
    box = Sandbox(backend="zygote")
    parent = warm_parent(box)
    family = [parent, *parent.children(recursive=True)]
    box.close()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


@linux
def test_a_forgotten_sandbox_ends_its_processes():
    """A sandbox that nobody closes ends its processes when it is collected."""
    box = Sandbox(backend="zygote")
    parent = warm_parent(box)
    del box
    gc.collect()
    _, alive = psutil.wait_procs([parent], timeout=30)
    assert alive == []


@linux
def test_the_processes_die_with_their_owner(tmp_path):
    """When the owner is killed, warm parent, lanes and programs are gone."""
    read, write = os.pipe()
    owner = os.fork()
    if owner == 0:
        box = Sandbox(backend="zygote", limits=Limits(wall_s=60))
        parent = warm_parent(box)
        os.write(write, f"{parent.pid} {parent.children()[0].pid}".encode())
        box.run("import time\ntime.sleep(60)")
        os._exit(0)
    family = [psutil.Process(int(pid)) for pid in os.read(read, 100).split()]
    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    os.close(read)
    os.close(write)


@linux
def test_a_fork_of_the_host_has_lanes_of_its_own():
    """After a fork both processes use the sandbox, each its own processes, and neither ends the other's."""
    with Sandbox(backend="zygote") as box:
        parent = warm_parent(box)
        child = os.fork()
        if child == 0:
            done = box.run("x = 2", outputs=["x"])
            box.close()
            os._exit(0 if done.values == {"x": 2} else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert parent.is_running()
        assert box.run("x = 3", outputs=["x"]).values == {"x": 3}


@linux
def test_many_runs_leave_no_descriptor_and_no_lane():
    """Hundreds of programs, failing ones among them, leave the host's descriptors and the lanes as they were."""
    with Sandbox(backend="zygote", limits=Limits(wall_s=20)) as box:
        parent = warm_parent(box)
        here = psutil.Process()
        before = (here.num_fds(), len(parent.children()))
        for number in range(200):
            box.run(("x = 1", "raise ValueError", "import os; os._exit(1)", "x = object()")[number % 4], outputs=["x"])
        assert (here.num_fds(), len(parent.children())) == before


@pytest.mark.parametrize("backend", ["zygote", "subprocess"])
def test_no_temporary_file_is_left(backend, tmp_path, monkeypatch):
    """Folders that a run needed are gone after it, whatever the program left in them."""
    if available_backends()[backend]:
        pytest.skip(available_backends()[backend])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Sandbox(backend=backend) as box:
        assert box.run("import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').close()\nos.chmod('a', 0)").ok
    assert list(tmp_path.iterdir()) == []


@linux
def test_the_network_is_there_when_asked_for():
    """With ``network="host"`` a program reaches the host's loopback, and the layer is not claimed."""
    with Sandbox(network="host", backend="zygote") as box:
        done = box.run("import socket\nsocket.create_connection(('127.0.0.1', 1), 5)")
        assert "ConnectionRefused" in done.message
        assert "net" not in done.layers


def test_a_weaker_back_end_is_announced(caplog):
    """The back ends without walls say so once, through the log."""
    with caplog.at_level(logging.WARNING, "llm_optimize"), Sandbox(backend="subprocess") as box:
        box.run("pass")
        box.run("pass")
    assert caplog.text.count("weaker") == 1


def test_in_process_is_announced_and_works(caplog):
    """The back end without any isolation gives the same values and failures, and says what it is."""
    with caplog.at_level(logging.WARNING, "llm_optimize"), Sandbox(backend="in_process") as box:
        done = box.run("print('hi')\ny = x + 1", {"x": 1}, ["y"])
        assert (done.values, done.stdout, done.layers) == ({"y": 2}, "hi\n", ())
        assert box.run("1 / 0").reason == "raised"
        assert box.run("y = object()", outputs=["y"]).reason == "bad_value"
        assert box.layers().in_force == ()
    assert "in_process" in caplog.text
    assert sys.modules["__main__"].__dict__.get("y") is None


def test_describe_names_layers_and_gaps():
    """What ``doctor`` shows is there without a run: the back end, its layers, what it does not cover."""
    layers = describe()
    assert layers.backend in available_backends()
    assert layers.in_force
    assert layers.uncovered


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"preload": "numpy"}, "preload"),
        ({"preload": ["a b"]}, "preload"),
        ({"network": "some"}, "network"),
        ({"backend": "fortress"}, "backend"),
        ({"limits": 3}, "limits"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, field):
    """A wrong setting is refused in one line that names it."""
    with pytest.raises(BadInput, match=field) as refusal:
        Sandbox(**settings)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value"), [("wall_s", 0), ("cpu_s", -1), ("memory_mb", 1.5), ("processes", True), ("output_kb", None)]
)
def test_limits_that_cannot_work_are_refused(name, value):
    """A limit that is no positive number is refused by its name."""
    with pytest.raises(BadInput, match=f"Limits.{name}"):
        Limits(**{name: value})
    with pytest.raises(BadInput):
        Limits(wall_s=float("nan"))


@linux
def test_arrays_are_not_slow():
    """A large array crosses by buffer: no element is ever a Python object."""
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(3_000_000)
    with Sandbox(preload=["numpy"]) as box:
        start = time.process_time()
        done = box.run("y = x + 1", {"x": array}, ["y"])
        assert time.process_time() - start < 5
    assert done.values["y"].sum() == array.size
    assert Path("/proc").exists()
