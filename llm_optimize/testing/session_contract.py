"""What a session of any back end must do; make a test class of it for a back end of your own.

::

    class TestMySessions(SessionContract):
        backend = "subprocess"
"""

from __future__ import annotations

import contextlib
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar

import pytest

from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox import REASONS, Finished, Limits, Sandbox, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SessionContract"]

_LIMITS = Limits(wall_s=20, cpu_s=20, memory_mb=512, processes=16, output_kb=16, files_mb=8)
_MANY = 200

_MODEL = """
class Mean:
    def fit(self, rows, labels):
        self.mean = sum(labels) / len(labels)
        return self
    def predict(self, rows):
        print(f"asked for {len(rows)}")
        return [self.mean for _ in rows]
model = Mean().fit(rows, labels)
"""
_FAILS = """
def raises(): return 1 / 0
def object_(): return object()
def leaves(): raise SystemExit(1)
def works(): return "works"
"""
_WRITES_TO_ALL = """
import os
def lie():
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, {what})
        except OSError:
            pass
    return 1
"""
_PATCHES = """
import sys
def lie():
    frame = sys._getframe()
    while frame := frame.f_back:
        if "codec" in frame.f_locals:
            frame.f_locals["codec"].encode_outcome = lambda found: [b"m" * 99]
    return 1
"""
_LIARS = {
    "garbage": (_WRITES_TO_ALL.format(what="b'garbage' * 9"), {"bad_value"}),
    "a pickle": (_WRITES_TO_ALL.format(what="b'cos\\nsystem\\n(S\"true\"\\ntR.' * 3"), {"bad_value"}),
    "one byte": (_WRITES_TO_ALL.format(what="b'x'"), {"bad_value"}),
    "another question's answer": (_WRITES_TO_ALL.format(what="bytes([1]) + bytes(24) + b'N'"), {"bad_value"}),
    "an endless answer": (_WRITES_TO_ALL.format(what="b'\\xff' * 24"), {"bad_value"}),
    "twice": ("import os\ndef lie():\n    os.fork()\n    return 1", {"bad_value", "killed"}),
    "dead": ("import os\ndef lie(): os._exit(0)", {"killed"}),
    "by signal": ("import os, signal\ndef lie(): os.kill(os.getpid(), signal.SIGKILL)", {"killed"}),
    "closed": ("import os\ndef lie():\n    os.closerange(3, 256)\n    return 1", {"killed"}),
    "hangs": ("import time\ndef lie(): time.sleep(99)", {"timeout"}),
    "hangs in C": ("def lie(): sum(range(10**12))", {"timeout"}),
    "floods": ("def lie():\n    while True: print('x' * 1000)", {"output"}),
    "eats": ("kept = []\ndef lie():\n    while True: kept.append(bytearray(1 << 22))", {"memory"}),
    "patched": (_PATCHES, {"bad_value"}),
}
_LATE = """
import os, threading
def arm(): threading.Timer(0.05, os._exit, (3,)).start()
def works(): return 1
"""


class SessionContract:
    """The contract of :class:`~llm_optimize.sandbox.Session`; set :attr:`backend`."""

    backend: ClassVar[str]
    """Name of the back end."""

    @pytest.fixture
    def box(self) -> Iterator[Sandbox]:
        """A sandbox of this back end with small limits."""
        with Sandbox(backend=self.backend, limits=_LIMITS) as sandbox:
            yield sandbox

    def test_a_model_stays_inside(self, box: Sandbox) -> None:
        """What the source leaves is there for later questions; answers come out, with what was printed for each."""
        with box.session(_MODEL, {"rows": [[1], [2]], "labels": [1.0, 2.0]}) as session:
            assert session.started.ok, session.started.message
            first, second = session.call("model.predict", [[1], [2], [3]]), session.call("model.predict", rows=[[4]])
            assert (first.values["result"], second.values["result"]) == ([1.5] * 3, [1.5])
            assert (first.stdout, second.stdout) == ("asked for 3\n", "asked for 1\n")
            assert 0 < first.seconds < _LIMITS.wall_s
            assert first.layers == box.layers().in_force

    def test_scripts_share_the_namespace(self, box: Sandbox) -> None:
        """Further scripts find and change what is there, take inputs and leave outputs; NaN comes back as NaN."""
        with box.session("total = 1") as session:
            assert session.run("total += more", {"more": 41}, ["total"]).values == {"total": 42}
            found = session.run("nan = float('nan')", outputs=["total", "nan"]).values
            assert found["total"] == 42  # noqa: PLR2004 - from the script before
            assert math.isnan(found["nan"])
            assert session.run("x = 1", outputs=["y"]).reason == "missing_output"

    def test_arrays_cross_both_ways(self, box: Sandbox) -> None:
        """A large array crosses both ways while the other side may be writing too."""
        numpy = pytest.importorskip("numpy")
        array = numpy.arange(500_000, dtype="float64")
        with box.session("def double(x):\n    x *= 2\n    return x") as session:
            done = session.call("double", array)
            assert done.ok, done.message
            assert (done.values["result"] == array * 2).all()

    def test_a_source_that_fails_ends_it(self, box: Sandbox) -> None:
        """Where the source itself fails, the session is over and every question gets the same reason."""
        with box.session("x = 1 / 0") as session:
            assert (session.started.ok, session.started.reason, session.alive) == (False, "raised", False)
            assert "ZeroDivisionError" in session.call("f").message
            assert session.call("f").reason == "raised"

    def test_a_question_that_fails_leaves_it_open(self, box: Sandbox) -> None:
        """An exception, a missing name, and a value that is not data are that question's own failure."""
        with box.session(_FAILS) as session:
            reasons = [session.call(name).reason for name in ("raises", "object_", "leaves", "nothing", "works.no")]
            assert reasons == ["raised", "bad_value", "raised", "missing_output", "missing_output"]
            assert session.call("works").values["result"] == "works"

    @pytest.mark.parametrize("how", _LIARS)
    def test_liars_are_ended(self, box: Sandbox, how: str) -> None:
        """Whatever the process does instead of answering once, in time and in form, is a reason; then it is over."""
        source, reasons = _LIARS[how]
        limits = Limits(wall_s=2 if "timeout" in reasons else 20, cpu_s=20, memory_mb=200, processes=16, output_kb=4)
        with box.session(source, limits=limits) as session:
            assert session.started.ok, session.started.message
            done = session.call("lie")
            while done.ok:  # a second answer may come only after the first was taken
                done = session.run("")
            assert done.reason in reasons, done
            assert done.reason in REASONS
            assert done.values == {}
            assert not session.alive
            after = session.call("lie")
            assert (after.ok, after.reason) == (False, done.reason)
        assert box.run("x = 1", outputs=["x"]).values == {"x": 1}

    def test_death_between_questions(self, box: Sandbox) -> None:
        """A process that dies while nobody asks is found dead at the next question."""
        with box.session(_LATE) as session:
            assert session.call("arm").ok
            done = session.call("works")
            while done.ok:
                done = session.call("works")
            assert done.reason == "killed"

    def test_processor_time_is_counted_over_all_questions(self, box: Sandbox) -> None:
        """Each question may be short: the processor time of all of them together has one limit."""
        source = (
            "import time\ndef burn():\n    end = time.process_time() + 0.3\n    while time.process_time() < end: pass"
        )
        with box.session(source, limits=Limits(wall_s=60, cpu_s=1)) as session:
            reasons = [session.call("burn").reason for _ in range(12)]
        assert set(reasons) == {"finished", "cpu"}
        assert reasons == sorted(reasons, reverse=True), "the session ends with the first breach"

    def test_output_is_counted_over_all_questions(self, box: Sandbox) -> None:
        """What each question prints is cut by itself; far too much of all of them together ends the session."""
        with box.session("def say(): print('x' * 5000)", limits=Limits(wall_s=20, output_kb=1)) as session:
            first = session.call("say")
            reasons = [session.call("say").reason for _ in range(9)]
        assert first.ok
        assert len(first.stdout) == 1024  # noqa: PLR2004 - 1 KiB
        assert reasons[-1] == "output"

    def test_misuse_is_refused(self, box: Sandbox) -> None:
        """Asking a closed session, for no name, or with what is not data is refused in one line and changes nothing."""
        session = box.session("def f(x=0): return x")
        refused: list[Callable[[], object]] = [
            lambda: session.call(""),
            lambda: session.call("not a name"),
            lambda: session.call("f", object()),
            lambda: session.call("f", x={1, 2}),
            lambda: session.run(b"x"),  # type: ignore[arg-type]
            lambda: session.run("x", {"x y": 1}),
            lambda: session.run("x", outputs="x"),
        ]
        for ask in refused:
            with pytest.raises(BadInput) as refusal:
                ask()
            assert "\n" not in str(refusal.value)
        assert session.call("f", 3).values["result"] == 3  # noqa: PLR2004 - what it was given
        session.close()
        session.close()
        with pytest.raises(BadInput, match="closed"):
            session.call("f")

    def test_bad_starts_are_refused(self, box: Sandbox) -> None:
        """A session is refused as a run would be, and nothing is left running."""
        with pytest.raises(BadInput):
            box.session(b"x")  # type: ignore[arg-type]
        with pytest.raises(BadInput):
            box.session("x", {"x": object()})
        with pytest.raises(BadInput):
            box.session("x", {"no name": 1})
        assert box.run("pass").ok

    def test_threads_take_turns(self, box: Sandbox) -> None:
        """Questions from several threads are answered each by its own answer."""
        with box.session("def f(n): return n") as session, ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda n: session.call("f", n).values["result"], range(_MANY)))
        assert found == list(range(_MANY))

    def test_several_live_beside_programs(self, box: Sandbox) -> None:
        """Sessions live side by side and beside programs, and see nothing of one another."""
        with box.session("x = 1") as one, box.session("x = 2") as two:
            assert box.run("x = 3", outputs=["x"]).values == {"x": 3}
            assert "NameError" in box.run("y = x").message
            assert [session.run("", outputs=["x"]).values["x"] for session in (one, two)] == [1, 2]

    def test_closing_the_box_ends_it(self) -> None:
        """A session of a closed sandbox answers with a failure or the sandbox's own error, and never hangs."""
        box = Sandbox(backend=self.backend, limits=_LIMITS)
        session: Session = box.session("def f(): return 1")
        box.close()
        with contextlib.suppress(SandboxError):
            assert isinstance(session.call("f"), Finished)
        with contextlib.suppress(SandboxError):
            session.close()
        with pytest.raises(BadInput):
            session.call("f")
