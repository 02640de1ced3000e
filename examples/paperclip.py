"""Let a chat model write a script that produces as much as it can in a server's factory; the predecessor's second.

Shows: ``exec_temp_script_unsafe``, a candidate that talks to a service. It runs with your rights and your network: read
what the model writes, or keep to models that you trust.
Needs: a chat model; ``python examples/paperclip_server.py`` running in another terminal; flask and requests (extra
``test``). Costs: three model calls, about 5,000 tokens in all, and up to 35 s for each script.
"""

from __future__ import annotations

import os
import subprocess
import time

import requests

from llm_optimize import eval_utils, optimize

_seconds = 30
_host = f"http://localhost:{os.environ.get('PAPERCLIP_PORT', '8800')}"

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


def run_factory(script: str) -> tuple[float, str]:
    """Run the script against an empty factory and count its paperclips; no request of a script outlives it."""
    requests.get(f"{_host}/reset", timeout=10)
    began = time.monotonic()
    try:
        eval_utils.exec_temp_script_unsafe(script, timeout=_seconds + 5)
    except RuntimeError as error:
        return 0, f"the script failed: {error}"
    except subprocess.TimeoutExpired:
        return 0, f"the script was killed after {time.monotonic() - began:.1f} s"
    seconds = time.monotonic() - began
    assets = requests.get(f"{_host}/assets", timeout=10).json()
    return assets.get("paperclip", 0), f"in {seconds:.1f} s the factory made {assets}"


score = run_factory

if __name__ == "__main__":
    print(optimize.run(TASK, QUESTION, run_factory, x0=x0, stop_score=STOP_SCORE, max_steps=MAX_STEPS))
