"""One session of a sweep that is going to be killed: ``sweep_session.py URL STORE TARGET PAIRS PARALLEL STOP_AFTER``.

After that many evaluations are on disk it prints a line and waits for its end. 0 lets it run to its own.
"""

from __future__ import annotations

import sys
import threading

from llm_optimize import sweep
from llm_optimize.core.events import Told


def main(url: str, store: str, target: str, *numbers: int) -> None:
    """Run the session."""
    pairs, parallel, stop_after = numbers
    told = 0

    def observe(event) -> None:
        nonlocal told
        told += isinstance(event, Told)
        if told == stop_after and isinstance(event, Told):
            say("waiting")
            threading.Event().wait()

    result = sweep.optimize(
        "m", base_url=url, user_prompts=["a", "b", "c", "d"], desired_output=target, similarity="token_f1",
        settings={"temperature": (0.1, 1.0, 0.1), "top_k": (1, pairs // 40)}, store=store, study="sweep", folder="out",
        parallel=parallel, verbose=False, probe=False, observers=(observe,),
    )  # fmt: skip
    say(str(len(result.pairs)))


def say(line: str) -> None:
    """Write a line that the other side waits for."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
