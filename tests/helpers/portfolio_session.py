"""One session of a study with two models in a portfolio that will be killed: ``portfolio_session.py STORE URL``."""

from __future__ import annotations

import sys

from llm_optimize import llm, optimize
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.portfolio import Portfolio

STEPS = 40


class Fickle:
    """Asks another arm with every result that comes in, so that a resume would choose otherwise."""

    def rank(self, history, arms):
        return sorted(arms, reverse=len(history.trials) % 2 == 0)


def main(store: str, url: str) -> None:
    """Run the session to its end, if it is let."""
    arms = {name: ChatProposer(llm.connect(f"{url}#{name}")) for name in ("a", "b")}
    optimize.run(
        "Write a longer line.",
        "What is longer?",
        lambda text: float(sum(map(ord, text)) % 97),
        x0="start",
        max_steps=STEPS,
        proposer=Portfolio(arms, Fickle()),
        verbose=False,
        store=store,
        study="mixed",
        parallel=3,
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
