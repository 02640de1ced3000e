"""Rank prompts and temperatures by how close their answers come to a wanted one, as NUX Optimize promises.

Shows: ``sweep.NuxAI``: prompts x temperatures, slots, repeats with their spread, the ranking as a page.
Needs: OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own.
Costs: 16 answers of the model (2 prompts x 4 temperatures x 2 repeats); ``--demo`` needs none.

Every pair is asked, every answer is kept in ``results/results.jsonl`` as it arrives, and ``results/index.html`` shows
the ranking::

    python examples/sweep_prompts.py
    python examples/sweep_prompts.py --demo          # a stand-in instead of a model
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext

from llm_optimize import sweep
from llm_optimize.testing.server import ScriptedServer
from llm_optimize.testing.surface import WANTED, Surface

ARTICLE = "At dawn the boats came in. The baker was already up, and so was the keeper of the lighthouse."


def main(argv: list[str] | None = None) -> int:
    """Sweep, print the ranking, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="chatgpt")
    parser.add_argument("--demo", action="store_true", help="serve a stand-in and ask that")
    options = parser.parse_args(argv)
    stand_in = Surface(prompts={"Retell": 1.0, "Summarize": 0.6})
    with ScriptedServer(stand_in, models=("stand-in",)) if options.demo else nullcontext() as server:
        optimizer = sweep.NuxAI(options.model) if server is None else sweep.NuxAI("stand-in", base_url=server.url)
        result = optimizer.optimize(
            interval=0.25,
            user_prompts=["Retell as the opening of a novel: {{article}}", "Summarize: {{article}}"],
            desired_output=WANTED,
            inputs={"article": ARTICLE},
            repeats=2,
        )
    return result.code


if __name__ == "__main__":
    sys.exit(main())
