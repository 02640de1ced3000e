"""One session of a study on a data set that is going to be killed: ``dataset_session.py STORE URL``."""

from __future__ import annotations

import sys

from llm_optimize import Budget, optimize
from llm_optimize.scorers.example import Example
from llm_optimize.scorers.prompt_task import PromptTask
from llm_optimize.scorers.racing import Racing

EXAMPLES = [Example({"word": f"word-{n}"}, f"WORD-{n}") for n in range(30)]
STEPS = 8


def right(output: str, example: Example) -> bool:
    """Judge an answer."""
    return bool(output == example.expected)


def main(store: str, url: str, budget: Budget | None = None) -> optimize.Result:
    """Run the session to its end, if it is let."""
    model = f"{url}#scripted"
    task = PromptTask("0: {{word}}", model, EXAMPLES, right, racing=Racing(), parallel=3, settings={"max_tokens": 20})
    return optimize.run(
        "Proposals, please.", "Better?", task, x0=task.start, max_steps=STEPS, model=model, store=store, study="data",
        verbose=False, budget=budget,
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
