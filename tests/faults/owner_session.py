"""One session of a study that is going to be killed: ``owner_session.py`` with the fields of :class:`Order` as JSON.

The status is 0 when the study has come to its end, 3 when the session ended by an error; a further start resumes it.
"""

from __future__ import annotations

import faulthandler
import json
import signal
import sys
from dataclasses import asdict, dataclass

from noting_scorer import NotingScorer

from llm_optimize import Budget, optimize
from llm_optimize.errors import LLMOptimizeError

__all__ = ["Order"]


@dataclass(frozen=True)
class Order:
    """What to run."""

    store: str
    study: str
    url: str
    notes: str
    executor: str
    parallel: int = 2
    seconds: float = 0.02
    evaluations: int | None = None
    tokens: int | None = None
    wall: float | None = None
    eval_timeout: float | None = None

    def text(self) -> str:
        """Return it as the command's word."""
        return json.dumps(asdict(self))


def main(order: Order) -> int:
    """Run the session to its end, if it is let."""
    faulthandler.register(signal.SIGUSR1)  # a campaign that sees a hang asks where
    try:
        result = optimize.run(
            "A program sets y; the larger the better.",
            "Which program sets a larger y?",
            NotingScorer(order.notes, order.seconds),
            x0="y = 0",
            max_steps=None,
            model=f"{order.url}#scripted",
            verbose=False,
            store=order.store,
            study=order.study,
            budget=Budget(evaluations=order.evaluations, tokens=order.tokens, seconds=order.wall),
            parallel=order.parallel,
            executor=order.executor,
            eval_timeout=order.eval_timeout,
        )
    except LLMOptimizeError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 3
    if result.error is not None:
        sys.stderr.write(f"{type(result.error).__name__}: {result.error}\n")
        return 3
    sys.stderr.write(f"{result.reason}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Order(**json.loads(sys.argv[1]))))
