"""Let a chat model write a script that produces as much as it can in a server's factory; the predecessor's second.

Shows: a candidate that talks to a service: the sandbox lets it reach this one port of the host and nothing else.
Needs: a chat model; ``python examples/paperclip_server.py`` running in another terminal; flask and requests (extra
``test``). Costs: three model calls, about 5,000 tokens in all, and up to 35 s for each script.
"""

from __future__ import annotations

import os
from functools import cache

import requests

from llm_optimize import Limits, Sandbox, optimize

_seconds = 30
_port = os.environ.get("PAPERCLIP_PORT", "8800")
_host = f"http://localhost:{_port}"

TASK = f"""Write a Python script that makes as many paperclips as it can within {_seconds} seconds.

- Each GET request to {_host}/make/paperclip makes one paperclip.
- The script may use the standard library (threads and processes too) and the package requests, nothing else.
- It must talk to {_host} only, and to /make/paperclip only.
- A script that is still running after {_seconds + 5} seconds is killed and counts as having made none."""
QUESTION = "Which x should be tried next, so that more paperclips are made?"
MAX_STEPS = 3
STOP_SCORE = 1e9

x0 = f"""
import requests

for _ in range(3):
    requests.get("{_host}/make/paperclip")
"""


@cache
def _sandbox() -> Sandbox:
    limits = Limits(wall_s=_seconds + 5, cpu_s=2 * _seconds)
    return Sandbox(preload=["requests"], limits=limits, network=f"loopback:{_port}")


def run_factory(script: str) -> tuple[float, str]:
    """Run the script against an empty factory and count its paperclips; no request of a script outlives it."""
    requests.get(f"{_host}/reset", timeout=10)
    done = _sandbox().run(script)
    if not done.ok:
        return 0, f"the script failed ({done.reason}): {done.message}"
    assets = requests.get(f"{_host}/assets", timeout=10).json()
    return assets.get("paperclip", 0), f"in {done.seconds:.1f} s the factory made {assets}"


score = run_factory

if __name__ == "__main__":
    print(optimize.run(TASK, QUESTION, run_factory, x0=x0, stop_score=STOP_SCORE, max_steps=MAX_STEPS))
