"""64 chains against a server with a rate limit, over HTTP, the server in a process of its own.

How much of the limit is used is measured by ``tests/benchmarks/bench_limit.py`` and, in virtual time, by
``test_rates.py``; here is what must hold on any machine.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from llm_optimize import optimize

CHAINS = 64
STEPS = 120
LIMIT = {"rate": 40.0, "burst": 40.0}
TOKENS = {"token_rate": 20_000.0, "token_burst": 10_000.0}


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(LIMIT | {"says": "headers"}, id="headers"),
        pytest.param(LIMIT | {"says": "retry-after"}, id="retry-after"),
        pytest.param(LIMIT | {"says": "bare"}, id="bare"),
        pytest.param({"rate": 1000.0, "burst": 1000.0, "says": "headers"} | TOKENS, id="tokens"),
    ],
)
def test_64_chains_against_a_limit_never_fail(limit, root):
    """Every step is proposed and scored, and the refused attempts are a burst at first and few afterwards."""
    command = [sys.executable, str(root / "tests" / "helpers" / "limited_server.py"), json.dumps(limit)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        result = optimize.run(
            "Find a longer text.", "Which is longer?", lambda text: float(len(text)), "x", STEPS, f"{url}#limited",
            verbose=False, store=None, parallel=CHAINS,
        )  # fmt: skip
        figures = json.loads(server.communicate("")[0].splitlines()[-1])
    assert result.error is None
    assert len(result.scores) == STEPS + 1
    assert figures["accepted"] == STEPS
    assert figures["share"] <= 1.01  # the server's own count: the limit was held
    assert figures["refused"] <= 3 * CHAINS
