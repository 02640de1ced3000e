"""What a user may give a sandbox by mistake, and what a machine may refuse it: a typed error, and a healthy sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil
import pytest

import llm_optimize
from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox import Limits, Sandbox

LANES = ["zygote"] if sys.platform == "linux" else []
BACKENDS = [*LANES, "subprocess"]

FULL = """
import os, resource, signal, sys
from llm_optimize.errors import SandboxError
from llm_optimize.sandbox import Sandbox
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
with Sandbox(backend=sys.argv[1]) as box:
    assert box.run("x = 1", outputs=["x"]).ok
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # stands for a full disk: a write beyond it fails
        for attempt in (lambda: box.run("y = x", {"x": "x" * 100_000}), lambda: box.session("1", {"x": "x" * 100_000})):
            try:
                attempt()
            except SandboxError as error:
                assert chr(10) not in str(error), error
            else:
                sys.exit("no error")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert box.run("y = x", {"x": "x" * 100_000}, ["y"]).ok
    assert len(os.listdir("/proc/self/fd")) <= before + 2, "descriptors are left"
print("done")
"""


@pytest.mark.parametrize("backend", LANES)
@pytest.mark.parametrize("name", ["no_such_module_here", "json.no_such", "unittest.__main__", "ctypes.wintypes.x"])
def test_a_preload_that_cannot_be_imported(backend, name):
    """A module that is missing, or that ends the process which imports it, is named in one line; nothing stays."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with Sandbox(preload=["json", name], backend=backend) as box:
        for _ in range(2):
            with pytest.raises(BadInput, match=name.replace(".", r"\.")) as refusal:
                box.run("x = 1")
            assert "\n" not in str(refusal.value)
    left = {child.pid for child in psutil.Process().children(recursive=True) if child.status() != "zombie"}
    assert left <= before


@pytest.mark.parametrize("preload", [["json", 3], ["a b"], [""], ["."], "json", ["json;import os"]])
def test_a_preload_that_is_no_name(preload):
    """What is no module name is refused before anything starts."""
    with pytest.raises(BadInput, match="preload"):
        Sandbox(preload=preload)


@pytest.mark.parametrize("field", ["wall_s", "cpu_s", "memory_mb", "processes", "output_kb", "files_mb"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "1", None, True, [1]])
def test_limits_that_cannot_work(field, value):
    """No limit may be zero, negative, endless or no number at all; the message names it."""
    with pytest.raises(BadInput, match=f"Limits.{field}") as refusal:
        Limits(**{field: value})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_smallest_limits_end_in_a_reason(backend):
    """Limits that leave no room to breathe give a reason, not an error, and the next program has its own."""
    tiny = [
        Limits(wall_s=1e-6),
        Limits(cpu_s=1e-6),
        Limits(memory_mb=1),
        Limits(processes=1, memory_mb=1, output_kb=1, files_mb=1),
    ]
    with Sandbox(backend=backend) as box:
        for limits in tiny:
            done = box.run("x = bytearray(10_000_000)\nprint('y' * 5000)", limits=limits)
            assert done.reason in {"timeout", "cpu", "memory", "finished", "killed", "processes"}
            assert box.run("x = 1", outputs=["x"]).values == {"x": 1}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["__builtins__", "__name__", "__import__", "class"])
def test_odd_names(backend, name):
    """Names that mean something to Python are data like any others, or refused; the next program is as ever."""
    with Sandbox(backend=backend) as box:
        try:
            done = box.run("x = 1", {name: 3}, [name])
        except BadInput:
            done = None
        assert done is None or done.ok or done.message
        assert box.run("import json\nx = 1", outputs=["x"]).values == {"x": 1}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_temporary_folder_that_is_not_there(backend, monkeypatch, tmp_path):
    """Without a usable temporary folder a run is an error of the sandbox, or works; never of the program."""
    with Sandbox(backend=backend) as box:
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
            with pytest.raises(SandboxError) as refusal:
                box.run("x = 1")
            assert "\n" not in str(refusal.value)
        assert box.run("x = 1", outputs=["x"]).values == {"x": 1}


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_full_disk(backend, tmp_path):
    """Where nothing can be written, a run is an error of the sandbox; with room again all is well, and nothing left."""
    command = [sys.executable, "-c", FULL, backend]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_where_there_is_no_numpy(backend, tmp_path):
    """An array given to a program whose interpreter has no numpy is a failure that says so, in runs and sessions."""
    numpy = pytest.importorskip("numpy")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=120)
    python = venv / "bin" / "python"
    code = (
        "import numpy, sys\nfrom llm_optimize.sandbox import Sandbox\n"
        "with Sandbox(backend=sys.argv[1]) as box:\n"
        "    array = numpy.zeros(3)\n"
        "    found = [box.run('x', {'x': array}), box.call('def f(x): pass', 'f', (array,))]\n"
        "    with box.session('def f(x): pass') as session: found.append(session.call('f', array))\n"
        "    assert {done.reason for done in found} == {'raised'}, found\n"
        "    assert all('numpy is not installed' in done.message for done in found), found\n"
        "    assert box.run('x = 1', outputs=['x']).ok\n"
    )
    paths = [str(Path(module.__file__).parents[1]) for module in (numpy, psutil, llm_optimize)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([python, "-c", code, backend], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_owners(backend):
    """Threads and a fork use one sandbox at the same time; none disturbs, or ends, what another runs."""
    with Sandbox(backend=backend, limits=Limits(wall_s=30)) as box:
        assert box.run("x = 1", outputs=["x"]).ok
        found = []

        def use(number):
            found.extend(box.run("y = x", {"x": number + n}, ["y"]).values["y"] - number - n for n in range(5))

        threads = [threading.Thread(target=use, args=(number * 100,)) for number in range(3)]
        child = os.fork()
        if child == 0:
            ok = all(box.run("y = x", {"x": n}, ["y"]).values == {"y": n} for n in range(5))
            box.close()
            os._exit(0 if ok else 1)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert found == [0] * 15
        assert box.run("x = 1", outputs=["x"]).ok
