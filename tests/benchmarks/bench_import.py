"""What ``import llm_optimize`` costs over bare Python: ``python bench_import.py [--quick]``. Limit: 120 ms.

Printed: median wall time of fresh interpreters, the difference to ``python -c pass``, and the ratio of the two; the
same for the front door's modules and, as the peer, for GEPA's ``optimize_anything``. Compiled code is kept, as it is
where a package is installed, whatever PYTHONDONTWRITEBYTECODE says; without it, all files are compiled at each start.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

LIMIT_MS = 120
STATEMENTS = {
    "bare": "pass",
    "llm_optimize": "import llm_optimize",
    "front door": "from llm_optimize import optimize, eval_utils, llm",
    "gepa": "import gepa.optimize_anything",
}


def once(statement: str) -> float:
    """Return the milliseconds that a fresh interpreter takes for ``statement``."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Take the statements in turn, so that a busy moment hits all of them, and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 15")
    rounds = 3 if parser.parse_args().quick else 15
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(rounds + 1):
        for name, statement in STATEMENTS.items():
            times[name].append(once(statement))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}  # the first one warms the disk
    bare = medians["bare"]
    for name, value in medians.items():
        over = value - bare
        print(f"{name:13} {value:7.1f} ms, {over:7.1f} over bare Python, {value / bare:5.2f} times it; "
              f"{over / LIMIT_MS:5.2f} of the limit {LIMIT_MS} ms")  # fmt: skip


if __name__ == "__main__":
    main()
