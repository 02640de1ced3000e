"""The predecessor's three ways to run code: what they promise, and the defects that must not come back."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest

from llm_optimize.errors import BadInput
from llm_optimize.eval_utils import exec_temp_script_unsafe, exec_unsafe, exec_with_timeout_unsafe
from llm_optimize.sandbox import unconfined

if TYPE_CHECKING:
    from pathlib import Path

FORKS = """
import os, time
for _ in range(2):
    os.fork()
if os.getpid() != os.getpgrp():
    os.setsid()
with open(path, "a") as file:
    file.write(f"{os.getpid()} ")
time.sleep(600)
"""


def run(code, /, names=("y",), seconds=30.0, **variables):
    """The helper with short arguments."""
    return exec_with_timeout_unsafe(code, variables, list(names), seconds)


def alive(path: Path) -> list[int]:
    """Processes that wrote their numbers into a file and still run."""
    pids = [int(pid) for pid in path.read_text().split()]
    assert pids
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_exactly_the_asked_names_come_back():
    """Of all that a script sets, the asked names come back, and no other."""
    assert run("y = x + 1\nz = 3", x=1) == {"y": 2}
    assert run("y = x + 1\nz = 3", names=("z", "y"), x=1) == {"y": 2, "z": 3}


def test_whole_and_broken_seconds_are_accepted():
    """The limit may be an int or a float."""
    assert run("y = 1", seconds=30) == run("y = 1", seconds=30.5) == {"y": 1}


@pytest.mark.parametrize("seconds", [0, -1, None, "2", True, math.nan])
def test_a_limit_that_is_no_time_is_refused(seconds):
    """A limit of 0, or no number, is bad input that names the argument."""
    with pytest.raises(BadInput, match="timeout_secs"):
        run("y = 1", seconds=seconds)
    with pytest.raises(BadInput, match="timeout"):
        exec_temp_script_unsafe("pass", seconds)


def test_real_objects_come_back():
    """A fitted estimator travels both ways and is usable."""
    pytest.importorskip("sklearn")
    script = "from sklearn.linear_model import LinearRegression\nclf = LinearRegression().fit(X, y)"
    fitted = run(script, names=("clf",), X=[[0.0], [1.0], [2.0]], y=[1.0, 3.0, 5.0])["clf"]
    assert fitted.predict([[3.0]])[0] == pytest.approx(7.0)
    again = run("p = float(clf.predict([[4.0]])[0])", names=("p",), clf=fitted)
    assert again["p"] == pytest.approx(9.0)


def test_functions_see_imports_variables_and_each_other():
    """The script has one namespace, whatever the names of its variables are."""
    script = "import math\ndef f():\n    return math.floor(script)\ndef g():\n    return f() + local_vars\ny = g()"
    assert run(script, script=2.5, local_vars=1) == {"y": 3}


def test_the_helpers_own_variables_are_not_visible():
    """A script finds nothing set but what was passed."""
    script = "y = sorted(n for n in globals() if not n.startswith('__') and n != 'y')"
    assert run(script, x=1) == {"y": ["x"]}


def test_passed_objects_are_copies():
    """A script cannot change the caller's objects."""
    given = [1]
    assert run("x.append(2)\ny = x", x=given) == {"y": [1, 2]}
    assert given == [1]


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ("y = 1\nraise ValueError('no')", ValueError, "no"),
        ("y = (", SyntaxError, "never closed"),
        ("import no_such_module", ModuleNotFoundError, "no_such_module"),
        ("1 / 0", ZeroDivisionError, "division"),
        ("raise KeyboardInterrupt", KeyboardInterrupt, ""),
        ("class E(Exception):\n    pass\nraise E('mine')", RuntimeError, "E: mine"),
        ("class E(Exception):\n    def __init__(self, a, b): pass\nraise E(1, 2)", RuntimeError, "E"),
        ("import subprocess\nraise subprocess.CalledProcessError(3, 'x')", subprocess.CalledProcessError, "3"),
        ("z = 1", KeyError, "without setting y"),
        ("y = lambda: 1", TypeError, "y is a function"),
        ("class C: pass\ny = C()", TypeError, "y cannot be copied back"),
        ("import sys\nsys.exit(3)", RuntimeError, "exited with status 3"),
        ("import sys\nsys.exit()", RuntimeError, "exited with status 0"),
        ("import os\nos._exit(4)", RuntimeError, "exit status 4"),
        ("import os\nos.kill(os.getpid(), 11)", RuntimeError, "signal 11"),
    ],
)
def test_each_way_to_fail_has_its_error(script, error, words):
    """The script's own error keeps its type; missing name, exit, death and what cannot be copied are told apart."""
    with pytest.raises(error) as failure:
        run(script)
    assert words in str(failure.value)


def test_the_scripts_traceback_is_a_note():
    """The error that comes back says where in the script it arose."""
    with pytest.raises(ValueError, match="deep") as failure:
        run("def f():\n    raise ValueError('deep')\nf()")
    assert "line 2" in failure.value.__notes__[0]


def test_a_variable_that_cannot_travel_is_named():
    """A variable that cannot be pickled is a TypeError with its name, before anything runs."""
    with pytest.raises(TypeError, match="callback"):
        run("y = 1", callback=lambda: 1)


def test_too_long_is_the_predecessors_error():
    """Over time a plain Exception names the seconds as they were given."""
    with pytest.raises(Exception, match=r"^Function took too long, >2 seconds$") as failure:
        run("while True: pass", seconds=2)
    assert type(failure.value) is Exception
    with pytest.raises(Exception, match=r">0\.5 seconds"):
        run("import time\ntime.sleep(600)", seconds=0.5)


def test_children_and_grandchildren_are_gone_after_a_timeout(tmp_path):
    """Whatever a script has forked, in sessions of their own too, is gone when the call returns."""
    path = tmp_path / "pids"
    with pytest.raises(Exception, match="too long"):
        run(FORKS, seconds=2, path=str(path))
    assert alive(path) == []


def test_children_are_gone_after_the_end(tmp_path):
    """A daemon that outlives its script is gone when the call returns."""
    path = tmp_path / "pids"
    script = (
        "import os, time\nread, write = os.pipe()\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        open(path, 'w').write(str(os.getpid()))\n        os.write(write, b'1')\n        time.sleep(600)\n"
        "    os._exit(0)\nos.read(read, 1)\ny = 1"
    )
    assert run(script, path=str(path)) == {"y": 1}
    assert alive(path) == []


def test_a_call_costs_no_second():
    """The least that a call takes is far from the second that the predecessor slept."""
    run("y = 1")
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run("y = 1")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5


def test_threads_may_call_at_the_same_time():
    """Calls from several threads, none of them the main one, run side by side."""
    begun = threading.Barrier(4)

    def one(number):
        begun.wait(60)
        return run("y = n * n", n=number)["y"]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(one, range(4))) == [0, 1, 4, 9]


def test_the_callers_surroundings_are_the_scripts(tmp_path, monkeypatch):
    """As before, a script has the caller's working folder, environment, import path and output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SETTING_OF_THE_TEST", "42")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "module_of_the_test.py").write_text("value = 7")
    script = (
        "import os, module_of_the_test\ny = [os.getcwd(), os.environ['SETTING_OF_THE_TEST'], module_of_the_test.value]"
    )
    assert run(script) == {"y": [str(tmp_path), "42", 7]}
    (tmp_path / "module_of_the_test.py").write_text("value = 8888")
    assert run(script)["y"][2] == 8888, "a module of the caller's own is read again for each script"


def test_output_goes_where_the_callers_goes(capfd):
    """What a script prints appears in the caller's streams."""
    run("import sys\nprint('out')\nprint('err', file=sys.stderr)\ny = 1")
    assert capfd.readouterr() == ("out\n", "err\n")


def test_a_fork_of_the_caller_may_call():
    """A forked caller starts processes of its own."""
    run("y = 1")
    child = os.fork()
    if child == 0:
        os._exit(0 if run("y = 2") == {"y": 2} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert run("y = 3") == {"y": 3}


def test_pickles_are_the_price():
    """What the docstring warns of is so: unpickling a script's object runs code here."""
    script = "class E:\n    def __reduce__(self): return (eval, ('6 * 7',))\ny = E()"
    assert run(script) == {"y": 42}
    assert "hostile" in exec_with_timeout_unsafe.__doc__


def test_without_lanes_the_same_holds(tmp_path):
    """The way for other platforms, a fresh interpreter, gives the same values and errors."""
    packed = unconfined.pickled.pack("y = x + 1", {"x": 1}, ["y"])
    assert pickle.loads(packed)[0] == "y = x + 1"
    assert unconfined.pickled.unpack(unconfined._reply_of_fresh_interpreter(packed, 30)) == {"y": 2}
    with pytest.raises(unconfined.OutOfTime):
        unconfined._reply_of_fresh_interpreter(unconfined.pickled.pack("while True: pass", {}, []), 0.5)
    with pytest.raises(RuntimeError, match="exit status 3"):
        unconfined._reply_of_fresh_interpreter(unconfined.pickled.pack("import os; os._exit(3)", {}, []), 30)


def test_exec_unsafe_defines_names():
    """Names go to the given dicts: those declared global to the first, the others to the second."""
    space, local = {"base": 2}, {"offset": 1}
    exec_unsafe(
        "global double\nimport math\ndef double(x):\n    return math.floor(base * x) + offset\nz = 1", space, local
    )
    assert space["double"](4) == 9
    assert set(local) == {"offset", "math", "z"}
    assert "z" not in space


def test_exec_unsafe_functions_see_each_other():
    """A function finds the imports and functions beside it, which plain exec with two dicts does not give."""
    space = {}
    exec_unsafe(
        "global is_prime\n\nimport math\ndef root(n): return math.isqrt(n)\ndef is_prime(n): return root(n)", space, {}
    )
    assert space["is_prime"](17) == 4


def test_exec_unsafe_raises_what_the_script_raises():
    """The script's error comes through, and what was defined before it stays."""
    space = {}
    with pytest.raises(ZeroDivisionError):
        exec_unsafe("x = 1\n1 / 0", space, space)
    assert space["x"] == 1
    local = {}
    with pytest.raises(SyntaxError):
        exec_unsafe("x = (", {}, local)
    with pytest.raises(ZeroDivisionError):
        exec_unsafe("x = 1\n1 / 0", {}, local)
    assert local == {"x": 1}


def test_a_temporary_script_runs_by_this_interpreter(tmp_path):
    """A script runs as a program of this very interpreter and returns nothing."""
    path = tmp_path / "found"
    assert exec_temp_script_unsafe(f"import sys\nopen({str(path)!r}, 'w').write(sys.executable + __name__)", 30) is None
    assert path.read_text() == sys.executable + "__main__"


def test_a_temporary_scripts_failure_holds_all_output():
    """A failing script is a RuntimeError with stdout and stderr together, in order."""
    with pytest.raises(RuntimeError) as failure:
        exec_temp_script_unsafe("import sys\nprint('first', flush=True)\nprint('second', file=sys.stderr)\n1 / 0", 30)
    assert str(failure.value).startswith("first\nsecond\nTraceback")
    assert "ZeroDivisionError" in str(failure.value)


def test_a_silent_failure_names_the_status():
    """A script that fails without a word is a RuntimeError with its exit status."""
    with pytest.raises(RuntimeError, match="status 3"):
        exec_temp_script_unsafe("raise SystemExit(3)", 30)


def test_a_temporary_scripts_tree_ends_with_its_time(tmp_path):
    """Over time subprocess.TimeoutExpired, with what was printed, and every process of the script is gone."""
    path = tmp_path / "pids"
    with pytest.raises(subprocess.TimeoutExpired) as failure:
        exec_temp_script_unsafe(f"print('begun', flush=True)\npath = {str(path)!r}\n{FORKS}", 2.5)
    assert failure.value.timeout == 2.5
    assert "begun" in failure.value.output
    assert alive(path) == []


@pytest.mark.parametrize("script", ["pass", "1 / 0", "import time\ntime.sleep(600)"])
def test_no_temporary_file_is_left(script, tmp_path, monkeypatch):
    """However a script ends, its file is gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        exec_temp_script_unsafe(script, 1)
    except (RuntimeError, subprocess.TimeoutExpired):
        assert script != "pass"
    assert list(tmp_path.iterdir()) == []
