"""One session of a study that several processes want to run: ``postgres_session.py ADDRESS LOG EVALUATIONS``.

The scorer notes in LOG when it begins and when it ends, with its process, each in one write.
"""

from __future__ import annotations

import os
import sys
import time

from llm_optimize import Budget, Draft, Proposal, optimize


class Counting:
    """Proposes 1, 2, 3, ...; a function of the history."""

    def propose(self, history, n):
        return Proposal((Draft(str(history.slot + 1)),))


def main(address: str, log: str, evaluations: int) -> None:
    """Run the session to its end, if it is let."""
    notes = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def score(text: str) -> float:
        os.write(notes, f"{os.getpid()} begin {text}\n".encode())
        time.sleep(0.01)
        os.write(notes, f"{os.getpid()} end {text}\n".encode())
        return float(text)

    optimize.run(
        "t", "q", score, "0", None, proposer=Counting(), verbose=False, store=address, study="shared",
        budget=Budget(evaluations=evaluations), seed=5,
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
