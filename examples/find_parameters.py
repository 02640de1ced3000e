"""Find the sampling settings with which a model comes closest to a wanted answer, as Parameter-Finder does.

Shows: ``sweep.find_parameters``: Bayesian search of five sampling settings, the last lines in German.
Needs: a chat endpoint; Ollama's on this machine (http://localhost:11434/v1/chat/completions) unless another is named.
Costs: 30 answers of the model; a local one costs nothing, and ``--demo`` needs none.

Put your own texts in place of the three below, or name another endpoint::

    python examples/find_parameters.py
    python examples/find_parameters.py --url http://127.0.0.1:8000/v1 --model qwen3
    python examples/find_parameters.py --demo        # a stand-in instead of a model

The last line is ``{'target': ..., 'params': {...}}``; ``results/best.json`` holds the ready request body.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext

from llm_optimize import sweep
from llm_optimize.testing.server import ScriptedServer
from llm_optimize.testing.surface import WANTED, Surface

SYSTEM_PROMPT = "Du bist ein Erzähler."
PROMPT = "Beschreibe den Hafen am Morgen."
TARGET = WANTED


def main(argv: list[str] | None = None) -> int:
    """Search, print the last lines in German, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=sweep.URL)
    parser.add_argument("--model", default=sweep.MODEL)
    parser.add_argument("--n-iter", type=int, default=25)
    parser.add_argument("--demo", action="store_true", help="serve a stand-in and ask that")
    options = parser.parse_args(argv)
    with ScriptedServer(Surface(), models=(options.model,)) if options.demo else nullcontext() as server:
        result = sweep.find_parameters(
            options.url if server is None else server.url,
            options.model,
            SYSTEM_PROMPT,
            PROMPT,
            TARGET,
            init_points=5,
            n_iter=options.n_iter,
            language="de",
        )
    return result.code


if __name__ == "__main__":
    sys.exit(main())
