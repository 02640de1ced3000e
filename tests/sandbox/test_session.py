"""Sessions of every back end, and what only lanes promise of them."""

from __future__ import annotations

import gc
import os
import sys
import time

import psutil
import pytest

from llm_optimize.errors import BadInput
from llm_optimize.sandbox import Limits, Sandbox
from llm_optimize.testing.session_contract import SessionContract

linux = pytest.mark.skipif(sys.platform != "linux", reason="lanes are Linux's")


@linux
class TestZygoteSessions(SessionContract):
    """Sessions in lanes."""

    backend = "zygote"


@pytest.mark.skipif(sys.platform == "win32", reason="the back end subprocess has no sessions on Windows")
class TestSubprocessSessions(SessionContract):
    """Sessions in interpreters of their own."""

    backend = "subprocess"


def offspring():
    """How many processes this one has below it, once those that end have ended."""
    gc.collect()
    return len([child for child in psutil.Process().children(recursive=True) if child.status() != "zombie"])


def settled(before, seconds=20):
    """Whether no more processes and descriptors than before are left, given a little time to end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if offspring() <= before[0] and psutil.Process().num_fds() <= before[1]:
            return True
    return False


@pytest.mark.parametrize("backend", ["zygote", "subprocess"])
@pytest.mark.parametrize("end", ["closed", "dead", "timeout", "forgotten"])
def test_nothing_is_left_of_a_session(backend, end):
    """However a session ends, no process, descriptor or child that it had started is left."""
    source = (
        "import os, time\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        time.sleep(99)\n"
        "def die(): os._exit(1)\n"
        "def hang(): time.sleep(99)\n"
    )
    with Sandbox(backend=backend, limits=Limits(wall_s=1)) as box:
        box.run("pass")
        box.session().close()
        before = (offspring(), psutil.Process().num_fds())
        session = box.session(source)
        assert session.started.ok, session.started
        assert offspring() > before[0]
        if end == "dead":
            assert session.call("die").reason == "killed"
        elif end == "timeout":
            assert session.call("hang").reason == "timeout"
        elif end == "closed":
            session.close()
        del session
        assert settled(before), (offspring(), psutil.Process().num_fds(), before)


@linux
def test_a_session_gives_its_lane_back():
    """Sessions one after the other use one lane, which is clean for whoever comes next."""
    with Sandbox(backend="zygote") as box:
        box.run("pass")
        before = psutil.Process().num_fds()
        for number in range(20):
            with box.session("import os\nopen('left', 'w').close()\nleft = os.listdir()") as session:
                assert session.run("", outputs=["left"]).values == {"left": ["left"]}, number
        assert box.run("import os\nx = os.listdir()", outputs=["x"]).values == {"x": []}
        assert psutil.Process().num_fds() <= before + 2


@linux
def test_a_fork_of_the_host_may_not_ask():
    """A session belongs to the process that opened it: a fork is refused, and does not disturb it."""
    with Sandbox(backend="zygote") as box, box.session("def f(): return 1") as session:
        child = os.fork()
        if child == 0:
            try:
                session.call("f")
            except BadInput:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert session.call("f").values["result"] == 1


def test_in_process_has_no_sessions():
    """The back end without processes says so in one line."""
    with Sandbox(backend="in_process") as box, pytest.raises(BadInput, match="no sessions"):
        box.session("x = 1")


def test_peeking_models_are_judged_on_what_they_answer():
    """Fit inside, predict inside on features without labels, score outside: a patched metric changes nothing."""
    numpy = pytest.importorskip("numpy")
    generator = numpy.random.default_rng(0)
    rows = generator.normal(size=(60, 3))
    labels = (rows @ [1.0, -2.0, 0.5] > 0).astype("int64")
    source = (
        "import numpy as np\n"
        "np.mean = lambda *_: 1.0\n"
        "weights, *_ = np.linalg.lstsq(rows, labels * 2.0 - 1, rcond=None)\n"
        "def predict(rows): return (rows @ weights > 0).astype('int64')\n"
        "def cheat(rows): return labels\n"
    )
    with (
        Sandbox(preload=["numpy"]) as box,
        box.session(source, {"rows": rows[:40], "labels": labels[:40]}) as session,
    ):
        honest, cheat = session.call("predict", rows[40:]), session.call("cheat", rows[40:])
    assert honest.ok, honest.message
    assert (honest.values["result"] == labels[40:]).mean() > 0.7
    assert len(cheat.values["result"]) != 20
