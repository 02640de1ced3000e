"""One session of a noisy study that is going to be killed: ``noise_session.py STORE LOG PARALLEL``.

The noise of a score is a function of the text and of how often the log shows that it was scored, so a study that was
killed can be compared with one that was not. Each scoring is noted in LOG in one write.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter

from llm_optimize import Budget, Draft, Proposal, SQLiteStore, optimize
from llm_optimize.core.events import Proposed, Retold, Told
from llm_optimize.core.noise import Noise


class Jumps:
    """Moves the best number; a function of the history."""

    def propose(self, history, n):
        dice = random.Random(f"{history.seed} {history.slot}")
        return Proposal(tuple(Draft(f"{float(history.best.text) + dice.gauss(0, 1):.6f}") for _ in range(n)))


def counted(path: str) -> Counter[str]:
    """How often each text has been scored, as the log has it."""
    texts: dict[int, str] = {}
    seen: Counter[str] = Counter()
    with SQLiteStore(path) as store:
        for _, event in store.read("noise"):
            if isinstance(event, Proposed):
                texts |= {one.id: one.text for one in event.candidates}
            elif isinstance(event, Told) or (isinstance(event, Retold) and event.part != "sealed"):
                seen[texts[event.candidate_id]] += 1
    return seen


def main(path: str, log: str, parallel: int) -> None:
    """Run the session to its end, if it is let."""
    notes = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    seen = counted(path)

    def score(text: str) -> float:
        os.write(notes, f"scored {text}\n".encode())
        time.sleep(0.002)  # so that a kill often falls into a scoring
        dice = random.Random(f"{text} {seen[text]}")
        seen[text] += 1
        return float(text) + dice.gauss(0, 1)

    def final(text: str) -> float:
        os.write(notes, f"sealed {text}\n".encode())
        time.sleep(0.002)
        return float(text)

    optimize.run(
        "t", "q", score, "0", None, proposer=Jumps(), verbose=False, store=path, study="noise", parallel=parallel,
        budget=Budget(evaluations=120), noise=Noise(fresh=6), final=final, seed=5,
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
