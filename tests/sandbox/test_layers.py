"""Each layer of the Linux back end by its name: in force, left out and announced, and honest programs under it."""

from __future__ import annotations

import logging
import os
import sys

import pytest

from llm_optimize.errors import BadInput
from llm_optimize.sandbox import Limits, Sandbox, cgroup
from llm_optimize.sandbox.base import LAYERS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")

LIMITS = Limits(wall_s=30, cpu_s=20, memory_mb=512, processes=16, output_kb=16, files_mb=8)
IMPLIED = {
    "user": {"pid", "net", "ipc", "uts", "mount"},
    "no_new_privs": {"landlock", "seccomp"},
}
HONEST = {
    "subprocess": "import subprocess\nx = subprocess.run(['echo', 'hi'], capture_output=True, text=True).stdout",
    "threads": "from concurrent.futures import ThreadPoolExecutor\nx = list(ThreadPoolExecutor(4).map(abs, [-1, 2]))",
    "pool": "import multiprocessing\nx = multiprocessing.get_context('fork').Pool(2).map(abs, [-1, 2])",
    "files": "import tempfile\nwith tempfile.TemporaryFile() as f:\n    f.write(b'x' * 9000)\n    x = f.tell()",
    "asyncio": "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 1\nx = asyncio.run(f())",
    "database": "import sqlite3\nx = sqlite3.connect('a.db').execute('select 1').fetchone()[0]",
    "mapping": "import mmap\nm = mmap.mmap(-1, 9000)\nm[:2] = b'ab'\nx = m[:2]",
    "itself": "import os, resource\nos.kill(os.getpid(), 0)\nx = open('/proc/self/stat').read()[:1] > ''",
    "clocks": "import time, datetime, uuid, secrets\nx = time.time() > 0 and len(secrets.token_bytes(4)) == 4",
    "locale": "import zoneinfo, locale, shutil, platform\nx = platform.system()",
}


@pytest.fixture(scope="module")
def box():
    """A sandbox with all layers."""
    with Sandbox(backend="zygote", limits=LIMITS) as sandbox:
        yield sandbox


@pytest.mark.parametrize("work", HONEST)
def test_honest_programs_work(box, work):
    """What ordinary programs use of the standard library works under all layers."""
    done = box.run(HONEST[work], {}, ["x"])
    assert done.ok, done


def test_numeric_libraries_work():
    """Both numpy and scikit-learn work under all layers, preloaded or imported, with threads of their own."""
    pytest.importorskip("sklearn")
    source = (
        "import numpy as np\nfrom sklearn.ensemble import RandomForestClassifier\nfrom sklearn.svm import SVC\n"
        "X = np.random.default_rng(0).normal(size=(60, 4))\ny = X[:, 0] > 0\n"
        "x = [float(SVC().fit(X, y).score(X, y)) > .8,"
        " float(RandomForestClassifier(5, n_jobs=2).fit(X, y).score(X, y)) > .8,"
        " float(np.linalg.svd(X)[1][0]) > 0]"
    )
    for preload in ([], ["sklearn.svm", "sklearn.ensemble"]):
        with Sandbox(preload=preload, backend="zygote") as sandbox:
            done = sandbox.run(source, {}, ["x"])
            assert done.values == {"x": [True, True, True]}, done


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_that_is_left_out_is_told(name, caplog):
    """Without one layer the others stand, the result names what was in force, and the log and ``missing`` say so."""
    with Sandbox(backend="zygote") as sandbox:
        full = set(sandbox.layers().in_force)
    with (
        caplog.at_level(logging.WARNING, "llm_optimize"),
        Sandbox(backend="zygote", limits=LIMITS, without=(name,)) as sandbox,
    ):
        done = sandbox.run("x = 1", {}, ["x"])
        layers = sandbox.layers()
    assert done.values == {"x": 1}
    assert done.layers == layers.in_force
    assert full - set(layers.in_force) == ({name} | IMPLIED.get(name, set())) & full
    assert (name, "switched off") in layers.missing
    assert caplog.text.count("weaker than asked") == 1
    assert name in caplog.text


@pytest.mark.parametrize("name", ["mount", "pid", "user", "rlimits", "seccomp"])
def test_limits_hold_without_a_layer(name):
    """Memory, processor time and processes of a tree are bounded whichever layer is missing."""
    hog = (
        "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n"
        "        x = bytearray(b'x') * (48 << 20)\n        time.sleep(9)\ntime.sleep(9)"
    )
    crowd = (
        "import threading, time\nfor _ in range(40): threading.Thread(target=time.sleep, args=(9,)).start()\n"
        "time.sleep(9)"
    )
    with Sandbox(backend="zygote", without=(name,), limits=LIMITS) as sandbox:
        assert sandbox.run(hog, limits=Limits(memory_mb=96, wall_s=20)).reason == "memory"
        assert sandbox.run("while True: pass", limits=Limits(cpu_s=1, wall_s=20)).reason == "cpu"
        assert sandbox.run(crowd).reason == "processes"
        assert sandbox.run("x = 1", {}, ["x"]).ok


def test_with_all_layers_left_out_programs_still_run_and_end():
    """Without any layer the tree is still ended at the limit, and the result claims nothing else."""
    with Sandbox(backend="zygote", without=LAYERS) as sandbox:
        done = sandbox.run("import os, time\nos.fork()\ntime.sleep(60)", limits=Limits(wall_s=0.3))
        assert (done.reason, done.layers) == ("timeout", ("tree_kill",))
        assert sandbox.run("x = 1", {}, ["x"]).values == {"x": 1}


def test_unknown_layers_are_refused():
    """A name that is no layer, or one that cannot be left out, is refused in one line."""
    for name in ("walls", "tree_kill", 3):
        with pytest.raises(BadInput, match="without"):
            Sandbox(without=(name,))
    with pytest.raises(BadInput, match="without"):
        Sandbox(backend="subprocess", without=("seccomp",))


SOCKETS = """
import socket, time
kept = []
for _ in range(400):
    pair = socket.socketpair()
    kept.append(pair)
    for end in pair:
        end.setblocking(False)
        try:
            while True: end.send(bytes(65536))
        except BlockingIOError: pass
time.sleep(9)
"""
GIVEN_BACK = """
import mmap, os, time
for _ in range(6):
    if os.fork() == 0:
        taken = mmap.mmap(-1, 40 << 20)
        for at in range(0, len(taken), 1 << 20):
            taken[at : at + (1 << 20)] = bytes(1 << 20)
            taken.madvise(mmap.MADV_DONTNEED, at, 1 << 20)
        time.sleep(60)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("source", "limits"),
    [(SOCKETS, Limits(memory_mb=64, wall_s=20)), (GIVEN_BACK, Limits(memory_mb=128, wall_s=20))],
    ids=["sockets", "shared pages given back"],
)
def test_memory_outside_the_tables_is_counted(box, source, limits):
    """Memory that is held where no process has it mapped in ends the program all the same."""
    assert box.run(source, limits=limits).reason == "memory"


def test_the_working_folder_is_new_unless_untouched(box):
    """A folder that was written to, or only marked, is replaced; it tells nothing of the last program."""
    look = "import os\ns = os.stat('.')\nx = [sorted(os.listdir('.')), oct(s.st_mode), s.st_mtime_ns < 10**18]"
    clean = box.run(look, {}, ["x"]).values["x"]
    for mark in ("open('a', 'w').close()", "import os\nos.utime('.', (1, 1))", "import os\nos.chmod('.', 0o1777)"):
        assert box.run(mark).ok
        assert box.run(look, {}, ["x"]).values["x"] == clean
    done = box.run("open('a', 'wb').write(bytes(3 << 20))\nx = 1", {}, ["x"], Limits(files_mb=4))
    assert done.ok
    assert box.run("open('a', 'wb').write(bytes(3 << 20))", limits=Limits(files_mb=1)).reason == "raised"


def tree(folder, controllers, *, own="/user/session.scope"):
    """A control file system as the kernel shows it, where our group's parent hands out the controllers."""
    place = folder / own.strip("/")
    place.mkdir(parents=True)
    (folder / "cgroup.controllers").write_text("cpu memory pids")
    for group, handed in ((place, ""), (place.parent, controllers)):
        (group / "cgroup.subtree_control").write_text(handed)
        (group / "cgroup.procs").write_text("")
    member = folder / "member"
    member.write_text(f"3:cpu:/else\n0::{own}\n")
    return member, place.parent


def test_a_delegated_group_is_found(tmp_path):
    """The group around ours is used when it hands out memory and pids and is ours to write; else the reason is told."""
    member, parent = tree(tmp_path / "good", "memory pids")
    assert cgroup.delegated(tmp_path / "good", member) == (parent, "")
    member, _ = tree(tmp_path / "half", "pids")
    assert cgroup.delegated(tmp_path / "half", member)[0] is None
    assert "delegated" in cgroup.delegated(tmp_path / "half", member)[1]
    assert "version 2" in cgroup.delegated(tmp_path / "none", member)[1]


def test_a_group_bounds_and_counts(tmp_path):
    """A group gets its limits and members by the files of the kernel, and tells when a member was ended for memory."""
    folder = tmp_path / f"llm_optimize-{os.getpid()}-0"
    folder.mkdir()
    for name in ("cgroup.procs", "memory.max", "pids.max"):
        (folder / name).write_text("")
    (folder / "memory.events").write_text("low 0\noom 0\noom_kill 0\n")
    group = cgroup.Group(tmp_path, "0")
    group.limit(64, 8)
    group.enter()
    written = {name: (folder / name).read_text() for name in ("cgroup.procs", "memory.max", "pids.max")}
    assert written == {"cgroup.procs": "0", "memory.max": str(64 << 20), "pids.max": "9"}
    assert not group.ran_out()
    (folder / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert group.ran_out()
    assert not group.ran_out()
    group.close()
