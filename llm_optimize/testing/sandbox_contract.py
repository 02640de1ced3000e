"""What every back end of the sandbox must do; make a test class of it for a back end of your own.

::

    class TestMyBackend(SandboxContract):
        backend = "subprocess"

pytest then runs every ``test_`` method below.
"""

from __future__ import annotations

import math
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar

import pytest

from llm_optimize.errors import BadInput
from llm_optimize.sandbox import REASONS, Finished, Limits, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SandboxContract"]

_LIMITS = Limits(wall_s=30, cpu_s=20, memory_mb=512, processes=16, output_kb=16, files_mb=8)
_THREADS = 4

_NAMESPACE = """
import math
def f():
    return math.floor(x)
def g():
    return f()
y = g() if __name__ == "__main__" else 0
"""
_LEAVES = """
import builtins, math, os
left = 1
math.pi = 3
builtins.left = 1
os.environ["left"] = "1"
open("left", "w").close()
"""
_LOOKS = """
import math, os
x = [math.pi > 3.1, "left" in dir(), "left" in os.environ, os.listdir()]
try:
    left
except NameError:
    x.append("clean")
"""
_SEARCHES = """
import os, sys
x = ["sk-canary" in str(os.environ), any(name.startswith("llm_optimize") for name in sys.modules)]
"""

_ODD: dict[str, tuple[str, set[str]]] = {
    "null byte": ("x = 1 \0", {"raised"}),
    "lone surrogate": ("x = '\ud800'", {"raised"}),
    "not closed": ("x = [", {"raised"}),
    "only spaces": (" \t \n", {"missing_output"}),
    "encoding that does not exist": ("# coding: no-such\nx = 1", {"finished", "raised"}),
    "a million brackets": ("x = " + "(" * 1_000_000, {"raised", "memory", "killed"}),
    "a million signs": ("x = " + "-" * 1_000_000 + "1", {"raised", "memory", "killed", "finished"}),
    "a million lines": ("x = 1\n" * 1_000_000, {"finished", "memory", "timeout", "cpu", "killed"}),
    "long error": ("raise ValueError('x' * 10_000_000)", {"raised"}),
    "error that cannot be shown": ("class E(Exception):\n    __str__ = None\nraise E", {"raised"}),
    "error that never ends": ("class E(Exception):\n    def __str__(self): return str(self)\nraise E", {"raised"}),
    "no error at all": ("class E(BaseException): pass\nraise E", {"raised"}),
    "replaced built-ins": ("__builtins__ = {}\nimport builtins\nbuiltins.len = None\nx = 1", {"raised", "killed"}),
}


class SandboxContract:
    """The contract of :class:`~llm_optimize.sandbox.base.Backend`, seen through a sandbox; set :attr:`backend`."""

    backend: ClassVar[str]
    """Name of the back end."""

    @pytest.fixture
    def box(self) -> Iterator[Sandbox]:
        """A sandbox of this back end with small limits."""
        with Sandbox(backend=self.backend, limits=_LIMITS) as sandbox:
            yield sandbox

    def test_values_come_back(self, box: Sandbox) -> None:
        """Exactly the wanted names come back, as data equal to what the program had."""
        source = "a = x + 1\nb = {'k': [1, 2.5, None, True, 'é', b'z', 10**30]}\nc = (1, 2)\nunwanted = 1"
        done = box.run(source, inputs={"x": 1}, outputs=["a", "b", "c"])
        assert done.ok
        assert done.reason == "finished"
        assert done.message == ""
        assert done.values == {"a": 2, "b": {"k": [1, 2.5, None, True, "é", b"z", 10**30]}, "c": [1, 2]}

    def test_numbers_that_are_none_stay_apart(self, box: Sandbox) -> None:
        """NaN and the infinities come back as themselves."""
        done = box.run("x = [float('nan'), float('inf'), y]", {"y": -math.inf}, ["x"])
        assert math.isnan(done.values["x"][0])
        assert done.values["x"][1:] == [math.inf, -math.inf]

    def test_arrays_cross_both_ways(self, box: Sandbox) -> None:
        """A numpy array keeps dtype, shape and elements; the host's is not changed, the program's may be."""
        numpy = pytest.importorskip("numpy")
        array = numpy.arange(12, dtype="int32").reshape(3, 4)[:, ::2]
        done = box.run("x[0, 0] = 100\ny = x * 0.5\nz = x.sum()", {"x": array}, ["x", "y", "z"])
        assert done.ok, done.message
        assert array[0, 0] == 0
        assert done.values["x"].dtype == array.dtype
        assert done.values["x"].tolist() == [[100, 2], [4, 6], [8, 10]]
        assert done.values["y"].dtype == float
        assert done.values["z"] == array.sum() + 100

    def test_one_namespace(self, box: Sandbox) -> None:
        """Functions see imports, inputs and each other, and the program runs as ``__main__``."""
        assert box.run(_NAMESPACE, {"x": 2.5}, ["y"]).values == {"y": 2}

    def test_calls(self, box: Sandbox) -> None:
        """A function is called as often as asked; result and a time for each call come back."""
        done = box.call("def f(a, *, b):\n    return a * b", "f", args=(3,), kwargs={"b": [1]}, repeat=5)
        assert done.ok, done.message
        assert done.values["result"] == [1, 1, 1]
        assert len(done.values["seconds"]) == 5  # noqa: PLR2004 - as often as repeat says
        assert 0 <= sum(done.values["seconds"]) <= done.seconds

    def test_a_missing_function_is_named(self, box: Sandbox) -> None:
        """Calling what the source does not define is a missing output that names it."""
        done = box.call("def g(): pass", "is_prime", args=(3,))
        assert (done.ok, done.reason) == (False, "missing_output")
        assert "is_prime" in done.message

    def test_output_is_captured(self, box: Sandbox) -> None:
        """What is printed comes back, stream by stream, from child processes too."""
        done = box.run("import os, sys\nprint('out')\nprint('err é', file=sys.stderr)\nos.system('echo child')")
        assert done.stdout == "out\nchild\n"
        assert done.stderr == "err é\n"

    def test_output_is_cut(self, box: Sandbox) -> None:
        """More output than the limit is cut, not lost whole; far more ends the program."""
        some = box.run("print('x' * 40_000)")
        assert some.ok
        assert len(some.stdout) == _LIMITS.output_kb * 1024
        much = box.run("while True: print('x' * 1000)")
        assert much.reason == "output"

    @pytest.mark.parametrize(
        ("source", "reason", "words"),
        [
            ("def f():\n    return 1 / zero\nzero = 0\nf()", "raised", ["line 2", "1 / zero", "ZeroDivisionError"]),
            ("x = (", "raised", ["SyntaxError", "x = ("]),
            ("import no_such_module", "raised", ["no_such_module"]),
            ("raise SystemExit(3)", "raised", ["SystemExit"]),
            ("import sys\nsys.exit()", "missing_output", ["x"]),
            ("y = 1", "missing_output", ["x"]),
            ("import os\nos._exit(3)", "killed", ["3"]),
            ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "killed", ["11"]),
            ("x = [1, {'k': object()}]", "bad_value", ["'x'", "'k'", "object"]),
            ("x = []\nx.append(x)", "bad_value", ["nested"]),
            ("x = [bytearray(1 << 20) for _ in range(10**6)]", "memory", []),
            ("def f(): f()\nf()", "raised", ["RecursionError"]),
            ("x = '\ud800'", "raised", ["surrogate"]),
            ("x = 1 \0", "raised", ["null"]),
        ],
    )
    def test_failures_are_values(self, box: Sandbox, source: str, reason: str, words: list[str]) -> None:
        """A program that fails is a value with a reason of the closed set and a message fit for a model."""
        done = box.run(source, outputs=["x"])
        assert isinstance(done, Finished)
        assert not done.ok
        assert done.reason in REASONS
        assert done.reason == reason, done
        assert done.values == {}
        for word in words:
            assert word in done.message
        assert ".py" not in done.message.replace("<program>", ""), "frames of our own are not the model's business"

    def test_time_is_limited(self, box: Sandbox) -> None:
        """The wall limit ends a program that sleeps, and keeps what it had printed; the message names the limit."""
        done = box.run("import time\nprint('begun')\ntime.sleep(60)", limits=Limits(wall_s=0.5))
        assert done.reason == "timeout"
        assert "0.5" in done.message
        assert done.stdout == "begun\n"

    def test_processor_time_is_limited(self, box: Sandbox) -> None:
        """The limit of processor time ends a program that computes."""
        assert box.run("while True: pass", limits=Limits(wall_s=60, cpu_s=1)).reason == "cpu"

    def test_processes_are_limited(self, box: Sandbox) -> None:
        """A program that starts too many threads or processes ends with that reason."""
        source = "import threading, time\nfor _ in range(99): threading.Thread(target=time.sleep, args=(9,)).start()"
        assert box.run(source).reason == "processes"

    def test_nothing_passes_to_the_next_program(self, box: Sandbox) -> None:
        """Variables, patched modules, files, environment and working folder of one are not there for the next."""
        assert box.run(_LEAVES).ok
        assert box.run(_LOOKS, outputs=["x"]).values == {"x": [True, False, False, [], "clean"]}

    def test_the_host_is_not_visible(self, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        """The host's environment, arguments and modules are not there."""
        monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
        assert box.run(_SEARCHES, outputs=["x"]).values == {"x": [False, False]}

    def test_threads_run_programs_at_the_same_time(self, box: Sandbox) -> None:
        """Programs of several threads run side by side: each waits for a sign that all have begun."""
        begun = threading.Barrier(_THREADS)

        def one(number: int) -> object:
            begun.wait(60)
            return box.run("x = n * n", {"n": number}, ["x"]).values["x"]

        with ThreadPoolExecutor(_THREADS) as threads:
            assert list(threads.map(one, range(_THREADS))) == [n * n for n in range(_THREADS)]

    def test_costs_are_measured(self, box: Sandbox) -> None:
        """Wall time is the host's; processor time and memory are not negative and not absurd."""
        done = box.run("x = bytearray(30_000_000)\nsum(range(3_000_000))")
        assert done.seconds > 0
        assert 0 <= done.cpu_seconds < 60  # noqa: PLR2004 - it did not use a minute
        assert 0 <= done.peak_mb < 2048  # noqa: PLR2004 - nor two gigabytes

    def test_bad_arguments_are_refused(self, box: Sandbox) -> None:
        """What cannot be run as asked is refused in one line that names the field, before anything runs."""
        refused: list[Callable[[], object]] = [
            lambda: box.run(b"x = 1"),  # type: ignore[arg-type]
            lambda: box.run("x = 1", {"x": object()}),
            lambda: box.run("x = 1", {"not a name": 1}),
            lambda: box.run("x = 1", outputs="x"),
            lambda: box.run("x = 1", outputs=["not a name"]),
            lambda: box.call("def f(): pass", "f", repeat=0),
            lambda: box.call("def f(): pass", "f", args=(object(),)),
        ]
        for run in refused:
            with pytest.raises(BadInput) as refusal:
                run()
            assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize("name", _ODD)
    def test_odd_programs_are_values(self, box: Sandbox, name: str) -> None:
        """Source that no compiler takes, or that takes the compiler down, is a reason; the next program is as ever."""
        source, reasons = _ODD[name]
        done = box.run(source, outputs=["x"])
        assert done.reason in reasons, done
        assert len(done.message) <= 4000  # noqa: PLR2004 - a model is to read it
        assert box.run("x = 1", outputs=["x"]).values == {"x": 1}

    def test_large_sources_and_inputs_arrive(self, box: Sandbox) -> None:
        """50 MB of source run if they can be compiled; 50 MB of text go in, and come out."""
        assert box.run(f"# {'x' * 50_000_000}\nx = 1", outputs=["x"]).values == {"x": 1}
        text = "é" * 25_000_000
        assert box.run("y = x", {"x": text}, ["y"]).values["y"] == text

    def test_bad_settings_of_a_run_are_refused(self, box: Sandbox) -> None:
        """Limits, inputs and arguments of a wrong kind are refused in one line that names the field."""
        refused: dict[str, Callable[[], object]] = {
            "limits": lambda: box.run("pass", limits=3),  # type: ignore[arg-type]
            "inputs": lambda: box.run("pass", inputs=[1]),  # type: ignore[arg-type]
            "Limits.wall_s": lambda: Limits(wall_s=math.nan),
            "Limits.memory_mb": lambda: Limits(memory_mb=0),
            "Limits.processes": lambda: Limits(processes=-1),
            "args": lambda: box.call("def f(): pass", "f", args="ab"),
            "kwargs": lambda: box.call("def f(): pass", "f", kwargs=[1]),  # type: ignore[arg-type]
            "name": lambda: box.call("def f(): pass", "f()"),
        }
        for field, run in refused.items():
            with pytest.raises(BadInput, match=field) as refusal:
                run()
            assert "\n" not in str(refusal.value)

    def test_it_says_what_is_in_force(self, box: Sandbox) -> None:
        """The layers are named by the sandbox and in every result, and what is not covered is told."""
        layers = box.layers()
        assert layers.backend == self.backend
        assert layers.uncovered
        assert box.run("pass").layers == layers.in_force

    def test_it_travels(self, box: Sandbox) -> None:
        """A pickled copy has the same settings and starts processes of its own."""
        with pickle.loads(pickle.dumps(box)) as copy:  # noqa: S301 - our own object
            assert copy.limits == box.limits
            assert copy.run("x = 1", outputs=["x"]).values == {"x": 1}

    def test_it_starts_again_after_close(self) -> None:
        """Closing twice is harmless, and a run afterwards starts it again."""
        box = Sandbox(backend=self.backend)
        assert box.run("pass").ok
        box.close()
        box.close()
        assert box.run("pass").ok
        box.close()
