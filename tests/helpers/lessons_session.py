"""One session with lessons of a study that is going to be killed: ``lessons_session.py STORE URL STEPS PARALLEL``."""

from __future__ import annotations

import sys

from llm_optimize import Budget, llm, optimize
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.lessons import Lessons


def main(store: str | None, url: str, steps: int, parallel: int = 1, budget: Budget | None = None) -> optimize.Result:
    """Run the session to its end, if it is let."""
    return optimize.run(
        "Write a longer line.",
        "What is longer?",
        lambda text: (float(len(text)), f"feedback on {text.strip()}"),
        x0="start",
        max_steps=steps,
        proposer=ChatProposer(llm.connect(f"{url}#scripted"), lessons=Lessons(every=4)),
        verbose=False,
        store=store,
        study="lessons",
        parallel=parallel,
        budget=budget,
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
