"""Better prompts in bulk: questions that a model gets wrong are rewritten, scored, and made into a training file.

Shows: picking hard items, rewrites with scores fed back, caps, the held-out comparison, files for SFT and DPO.
Needs: a chat model (OPENAI_API_KEY, or OPENAI_BASE_URL of any compatible server).
Costs: at most 500 short calls, which is the cap; what it may cost at most is printed before the first one.

    python examples/distill_prompts.py [QUESTIONS.csv]

QUESTIONS.csv has the layout of MMLU: question, four choices, the letter of the right one. Without it a few questions
are written to ``questions.csv``. The run is kept in ``distilled/``: started again it goes on, and asks nothing twice.
"""

from __future__ import annotations

import sys
from pathlib import Path

from llm_optimize import distill, export

QUESTIONS = """question,A,B,C,D,answer
heaviest planet,Earth,Jupiter,Mars,Venus,B
river thru cairo,Nile,Rhine,Amazon,Volga,A
what gas plants take in,oxygen,helium,carbon dioxide,neon,C
bones adult has,106,206,306,406,B
first element table,helium,carbon,hydrogen,iron,C
speed light km/s,300,3000,30000,300000,D
"""


def main(file: Path) -> None:
    """Make the run and its training file."""
    items = distill.read_items("mmlu", file)
    settings = distill.Settings(samples=3, wrong=2, validation=0.3)
    caps = distill.Caps(calls=500)
    done = distill.run(items, "distilled", settings=settings, caps=caps, say=print)
    print(done)
    improved = export.from_distill("distilled")
    if improved:
        print(export.write(improved, "train.jsonl", "chat", force=True))
        print(export.write(improved, "preferences.jsonl", "dpo", force=True))


if __name__ == "__main__":
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("questions.csv")
    if not given.exists():
        given.write_text(QUESTIONS, encoding="utf-8")
    main(given)
