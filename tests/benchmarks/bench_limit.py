"""How much of an endpoint's rate limit 64 chains use: ``python bench_limit.py [--quick]``.

A server in a process of its own lets 10 requests a second through (a bucket of 10) and says so in headers, or by
Retry-After alone, or not at all; a fourth one limits tokens. Limits: no failure, and at least 95 % of what the bucket
would have let through between the first answer and the last. The CPU seconds are those of the client's process, which
runs 64 chains; waiting for the limit must cost next to none.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from llm_optimize import optimize

SERVER = Path(__file__).parents[1] / "helpers" / "limited_server.py"
CHAINS = 64
ROWS = {
    "headers": {"rate": 10.0, "burst": 10.0, "says": "headers"},
    "retry-after": {"rate": 10.0, "burst": 10.0, "says": "retry-after"},
    "bare 429": {"rate": 10.0, "burst": 10.0, "says": "bare"},
    "tokens": {"rate": 1000.0, "burst": 1000.0, "says": "headers", "token_rate": 3000.0, "token_burst": 3000.0},
}
WANTED = 0.95


def cpu_seconds() -> float:
    """Return the CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(row: str, steps: int, latency: float) -> dict[str, float]:
    """Run 64 chains against a server with a limit; return what the server counted and what it cost here."""
    options = json.dumps(ROWS[row] | {"latency": latency})
    command = [sys.executable, str(SERVER), options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        began = cpu_seconds()
        result = optimize.run(
            "Find a longer text.", "Which is longer?", lambda text: float(len(text)), "x", steps, f"{url}#limited",
            verbose=False, store=None, parallel=CHAINS,
        )  # fmt: skip
        figures = json.loads(server.communicate("")[0].splitlines()[-1])
    failed = result.error is not None or result.reason.partition(":")[0] == "no candidate"
    return figures | {"cpu": cpu_seconds() - began, "failures": float(failed), "steps": len(result.scores) - 1}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run of 40 steps; its figures say little")
    parser.add_argument("--row", choices=ROWS, action="append")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds that each answer takes")
    options = parser.parse_args()
    for row in options.row or ROWS:
        found = measured(row, 40 if options.quick else options.steps, options.latency)
        print(
            f"{row:12} {found['failures']:.0f} failures, {found['share']:6.1%} of the limit (wanted {WANTED:.0%}), "
            f"{found['accepted']:.0f} let through and {found['refused']:.0f} refused in {found['seconds']:.1f} s, "
            f"{found['cpu']:.2f} s of CPU here ({found['cpu'] / max(found['accepted'], 1) * 1000:.1f} ms per step)",
            flush=True,
        )


if __name__ == "__main__":
    main()
