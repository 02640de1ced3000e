"""What one evaluation in the sandbox costs: ``python bench_sandbox.py [--quick]``.

Printed: median wall time of a trivial program in the confined default, with numpy and with scikit-learn preloaded, of a
program that imports scikit-learn, and of an array of 8 MB in and out; each beside its ratio to the named peer of the
same run: ``subprocess.run([python, "-I", "-c", "pass"])``, unconfined, and the import of scikit-learn. Then programs
per second on all cores, and ``exec_with_timeout_unsafe`` (the predecessor: 1030 ms).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from llm_optimize.eval_utils import exec_with_timeout_unsafe
from llm_optimize.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

SKLEARN = "from sklearn.svm import SVC\nx = 1"


def median_ms(run: Callable[[], object], rounds: int) -> float:
    """Return the median milliseconds of ``run``, after one that does not count."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        run()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[1:])


def python(statement: str) -> None:
    """Run a statement in a fresh interpreter, unconfined: the peer."""
    subprocess.run([sys.executable, "-I", "-c", statement], check=True)


def in_box(box: Sandbox, source: str = "x = 1", **inputs: object) -> None:
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


def main() -> None:
    """Measure and print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 100")
    quick = parser.parse_args().quick
    rounds, few = (5, 2) if quick else (100, 5)
    bare = median_ms(lambda: python("pass"), rounds)
    imported = median_ms(lambda: python("import sklearn.svm"), few)
    print(f"{'subprocess.run, nothing confined':42} {bare:8.2f} ms  (peer)")
    print(f"{'the same, importing scikit-learn':42} {imported:8.2f} ms  (peer)")

    def line(name: str, value: float, peer: float) -> None:
        print(f"{name:42} {value:8.2f} ms  {value / peer:6.3f} of the peer")

    with Sandbox() as box:
        print("layers:", ", ".join(box.layers().in_force))
        line("trivial program", median_ms(lambda: in_box(box), rounds), bare)
        print(f"{'throughput, all cores':42} {throughput(box, rounds * 4):8.0f} programs/s")
    with Sandbox(preload=["numpy"]) as box:
        line("trivial program, numpy preloaded", median_ms(lambda: in_box(box), rounds), bare)
        array = np.zeros(1_000_000)
        line("array of 8 MB in", median_ms(lambda: in_box(box, "x = float(a.sum())", a=array), rounds // 3 + 1), bare)
        line("array of 8 MB in and out", median_ms(lambda: in_box(box, "x = a + 1", a=array), rounds // 3 + 1), bare)
    with Sandbox(preload=["sklearn.svm"]) as box:
        line("trivial program, scikit-learn preloaded", median_ms(lambda: in_box(box), rounds), bare)
        line("program that imports scikit-learn", median_ms(lambda: in_box(box, SKLEARN), rounds), imported)
    with Sandbox(backend="subprocess") as box:
        line("trivial program, back end subprocess", median_ms(lambda: in_box(box), rounds // 5 + 1), bare)
    line("exec_with_timeout_unsafe", median_ms(lambda: exec_with_timeout_unsafe("x = 1", {}, ["x"], 9), rounds), 1030)


if __name__ == "__main__":
    main()
