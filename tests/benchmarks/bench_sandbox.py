"""What one evaluation in the sandbox costs: ``python bench_sandbox.py [--quick]``.

Every figure is the median wall time of the confined default beside its peers of the same run, measured in turn with
them, so that a busy machine slows both: a bare ``fork`` and ``_exit`` of a process with the preloaded modules, and of
one that has also what any warm parent has loaded for itself (the floor of this way of working),
``subprocess.run([python, "-I", "-c", ...])`` unconfined, bubblewrap around the same
interpreter, and multiprocessing's forkserver. Then an array of 8 MB in and out, programs per second on all cores, the
back end ``subprocess``, and ``exec_with_timeout_unsafe`` (the predecessor: 1030 ms).

Limits that it prints with ``ok`` or ``MISSED``: a trivial program costs less than a bare interpreter, and at most 1.5
times a bare fork of the same warm parent where a process stands ready; one that needs scikit-learn at most 2 % of
importing it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import numpy as np

from llm_optimize.eval_utils import exec_with_timeout_unsafe
from llm_optimize.sandbox import Sandbox
from llm_optimize.sandbox.warm import GUEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TRIVIAL = "x = 1"
HEAVY = ["sklearn.svm"]
SKLEARN = "from sklearn.svm import SVC\nx = 1"
IMPORT = "import sklearn.svm"
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
BWRAP = ("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all")
PAUSE_S = 0.03  # between two programs, so that a process stands ready, as when a proposer thinks meanwhile

FORKS = """
import gc, importlib, os, runpy, sys, time
if sys.argv[1]: runpy.run_path(sys.argv[1])
for name in sys.argv[2:]: importlib.import_module(name)
gc.collect(); gc.freeze()
for _ in sys.stdin:
    began = time.perf_counter()
    child = os.fork()
    if child == 0: os._exit(0)
    os.waitpid(child, 0)
    print((time.perf_counter() - began) * 1000, flush=True)
"""


class BareForks:
    """A process that forks and reaps when asked to."""

    def __init__(self, preload: Sequence[str], *, as_warm_parent: bool = False) -> None:
        """Start it with these modules, or with all that a warm parent has which preloads them."""
        command = [sys.executable, "-I", "-c", FORKS, str(GUEST) if as_warm_parent else "", *preload]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **THREADS}
        )

    def __enter__(self) -> Self:
        """Return itself, ready."""
        self.once()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.communicate()

    def once(self) -> float:
        """Return the milliseconds of one fork and exit, measured where they happen."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


def timed(run: Callable[[], object]) -> Callable[[], float]:
    """Return a function that runs once and returns the milliseconds."""

    def once() -> float:
        began = time.perf_counter()
        run()
        return (time.perf_counter() - began) * 1000

    return once


def in_turn(runs: dict[str, Callable[[], float]], rounds: int, pause: float = 0.0) -> dict[str, float]:
    """Return the median milliseconds of each, measured in turn, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            time.sleep(pause)
            took = run()
            if number:
                times[name].append(took)
    return {name: statistics.median(found) for name, found in times.items()}


def python(statement: str, *prefix: str) -> None:
    """Run a statement in a fresh interpreter."""
    subprocess.run([*prefix, sys.executable, "-I", "-c", statement], check=True)


def nothing() -> None:
    """Do what a trivial program does."""


def in_server(context: multiprocessing.context.BaseContext) -> None:
    """Run a function in a fork of multiprocessing's server."""
    process = context.Process(target=nothing)
    process.start()
    process.join()


def in_box(box: Sandbox, source: str = TRIVIAL, **inputs: object) -> None:
    """Run a program that must end well."""
    done = box.run(source, inputs, ["x"])
    if not done.ok:
        raise SystemExit(done.message)


def throughput(box: Sandbox, programs: int) -> float:
    """Return programs per second with one thread for each core."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(lambda _: in_box(box), range(workers)))
        began = time.perf_counter()
        list(threads.map(lambda _: in_box(box), range(programs)))
        return programs / (time.perf_counter() - began)


def line(name: str, value: float, *ratios: tuple[str, float], limit: float | None = None) -> None:
    """Print a figure, its ratios to the named peers, and whether the first of them keeps to the limit."""
    text = "".join(f"  {value / peer:7.3f} of {what}" for what, peer in ratios)
    kept = "" if limit is None else f"  (limit {limit}: {'ok' if value / ratios[0][1] <= limit else 'MISSED'})"
    print(f"{name:44} {value:8.2f} ms{text}{kept}")


def peers(preload: list[str], box: Sandbox, forks: BareForks, warm: BareForks) -> dict[str, Callable[[], float]]:
    """Return what is measured in turn for one set of modules."""
    runs = {
        "sandbox": timed(lambda: in_box(box)),
        "fork": forks.once,
        "fork of a warm parent": warm.once,
        "python": timed(lambda: python("pass")),
    }
    if preload == HEAVY:  # one server for each process, and its modules are chosen before it starts
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", *preload])
        runs["forkserver"] = timed(lambda: in_server(context))
    return runs


def compare(preload: list[str], rounds: int) -> None:
    """Print a trivial program beside its peers, once with a pause between programs and once without."""
    name = ", ".join(preload) or "nothing"
    with (
        Sandbox(preload=preload) as box,
        BareForks(preload) as forks,
        BareForks(preload, as_warm_parent=True) as warm,
    ):
        runs = peers(preload, box, forks, warm)
        if not preload and shutil.which("bwrap"):
            runs["bubblewrap"] = timed(lambda: python("pass", *BWRAP))
        ready = in_turn(runs, rounds, PAUSE_S)
        tight = in_turn({name: runs[name] for name in ("sandbox", "fork")}, rounds)
        print(f"\n{name} preloaded" + ("" if preload else f"; layers: {', '.join(box.layers().in_force)}"))
        fork, bare = ("a bare fork", ready["fork"]), ("python -I", ready["python"])
        line("trivial program, a process ready", ready["sandbox"], bare, fork, limit=1)
        parent = ("a bare fork of a warm parent", ready["fork of a warm parent"])
        line("the same, beside a bare fork and exit", ready["sandbox"], fork, limit=1.5)
        line("the same, beside one of a warm parent", ready["sandbox"], parent, limit=1.5)
        line("trivial program, one after the other", tight["sandbox"], ("a bare fork", tight["fork"]), bare)
        for peer in sorted(set(ready) - {"sandbox"}):
            line(f"peer: {peer}", ready[peer])
        print(f"{'throughput, all cores':44} {throughput(box, rounds * 4):8.0f} programs/s")
    if not preload and "bubblewrap" not in ready:
        print("peer: bubblewrap is not installed (apt-get install bubblewrap)")


def main() -> None:
    """Measure and print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="7 rounds instead of 60")
    quick = parser.parse_args().quick
    rounds, few = (7, 2) if quick else (60, 5)
    for preload in ([], ["numpy"], HEAVY):
        compare(preload, rounds)
    print("\nprograms that need more")
    array = np.zeros(1_000_000)
    with Sandbox(preload=HEAVY) as box:
        found = in_turn({"box": timed(lambda: in_box(box, SKLEARN)), "python": timed(lambda: python(IMPORT))}, few)
        needed = in_turn({"box": timed(lambda: in_box(box, SKLEARN))}, rounds, PAUSE_S)
        line("program that imports scikit-learn", needed["box"], ("importing it", found["python"]), limit=0.02)
    with Sandbox(preload=["numpy"]) as box:
        runs = {
            "python": timed(lambda: python("pass")),
            "in": timed(lambda: in_box(box, "x = float(a.sum())", a=array)),
            "both": timed(lambda: in_box(box, "x = a + 1", a=array)),
        }
        found = in_turn(runs, rounds // 2 + 1, PAUSE_S)
        line("array of 8 MB in", found["in"], ("python -I", found["python"]))
        line("array of 8 MB in and out", found["both"], ("python -I", found["python"]))
    with Sandbox(backend="subprocess") as box:
        line("trivial program, back end subprocess", in_turn({"box": timed(lambda: in_box(box))}, few)["box"])
    unsafe = {"unsafe": timed(lambda: exec_with_timeout_unsafe(TRIVIAL, {}, ["x"], 9))}
    line("exec_with_timeout_unsafe", in_turn(unsafe, rounds)["unsafe"], ("the predecessor", 1030))


if __name__ == "__main__":
    main()
