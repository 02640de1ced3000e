"""A study that is going to be killed, and resumed by starting it again: ``kills_study.py STORE OVER``; OVER ends it.

Each scorer call runs a program in the sandbox. When the sandbox's own processes are killed it says so by SandboxError;
the scorer asks once more, as a user's would, and anything beyond that ends the study with status 1.
"""

# ruff: noqa: T201 - run by hand, it prints its figures

from __future__ import annotations

import sys

from llm_optimize import Draft, Problem, Proposal, SQLiteStore, StopFile, Study
from llm_optimize.errors import SandboxError
from llm_optimize.sandbox import Sandbox

SOURCE = "import time\ntime.sleep(0.002)\ny = x * 2"


class Count:
    """Proposes the numbers in order."""

    def propose(self, history, n):
        return Proposal(tuple(Draft(str(history.next_id + place)) for place in range(n)))


def main(path: str, over: str) -> int:
    """Run the study to its end, if it is let; return 1 if a score is wrong."""
    with Sandbox() as box:

        def score(text: str) -> float:
            for last in (False, True):
                try:
                    done = box.run(SOURCE, {"x": int(text)}, ["y"])
                except SandboxError:
                    if last:
                        raise
                    continue
                if done.reason == "finished":
                    return float(done.values["y"])
                if done.reason != "killed" or last:  # the program itself may have been the one that was killed
                    break
            msg = f"{done.reason}: {done.message}"
            raise RuntimeError(msg)

        with SQLiteStore(path) as store:
            study = Study(Problem("count", start="0"), Count(), score, store=store, name="kills", stop=StopFile(over))
            study.run()
            trials = study.history.trials
    wrong = [trial for trial in trials if getattr(trial.outcome, "score", None) != 2.0 * int(trial.candidate.text)]
    for trial in wrong[:5]:
        print(trial, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
