"""One session of a study that is going to be killed: ``crash_session.py STORE URL LOG STEPS PARALLEL``.

The scorer notes in LOG when it begins and when it ends, each in one write, so that a kill leaves whole lines.
"""

from __future__ import annotations

import os
import sys
import time

from llm_optimize import optimize


def main(store: str, url: str, log: str, steps: int, parallel: int) -> None:
    """Run the session to its end, if it is let."""
    notes = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def score(text: str) -> float:
        os.write(notes, f"begin {text.strip()}\n".encode())
        time.sleep(0.002)
        os.write(notes, f"end {text.strip()}\n".encode())
        return float(len(text))

    optimize.run(
        "Write a longer line.",
        "What is longer?",
        score,
        x0="start",
        max_steps=steps,
        model=f"{url}#scripted",
        verbose=False,
        store=store,
        study="crash",
        parallel=parallel,
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
