"""Improve a text that only a rubric can judge: one chat model writes, a second one marks; the predecessor's third.

Shows: ``RubricJudge``, whose marks and reasons become score and feedback, and which the text cannot talk to.
Needs: a chat model, better two: ``JUDGE`` in the environment names the one that marks, such as "gpt-5" or
"http://127.0.0.1:11434/v1#qwen3". Costs: three calls to write and four to mark, about 6,000 tokens in all. A model's
mark is noisy: the same text may get another one next time; ``rubric_judge.py`` measures by how much.
"""

from __future__ import annotations

import os

from llm_optimize import optimize
from llm_optimize.scorers.rubric import Criterion, RubricJudge

TASK = """Write a poem of four lines about optimization that a reader who has never trained a model would enjoy."""
QUESTION = "Which x should be tried next, so that the mark rises?"
MAX_STEPS = 3
STOP_SCORE = 10.0

x0 = """
Optimization is good.
It makes numbers go up.
I like it.
The end.
"""

score = RubricJudge(
    [
        Criterion("form", "2: it has exactly four lines, and they rhyme; 1: one of both; 0: neither.", high=2),
        Criterion("picture", "2: it has a picture that one can see; 0: it has none.", high=2),
        Criterion("truth", "2: it says something true about searching for the best; 0: nothing.", high=2),
        Criterion("joy", "2: a reader who knows no mathematics would enjoy it; 0: would not.", weight=2, high=2),
    ],
    model=os.environ.get("JUDGE"),
    task=TASK,
    scale=(0, 10),
)

if __name__ == "__main__":
    print(optimize.run(TASK, QUESTION, score, x0=x0, stop_score=STOP_SCORE, max_steps=MAX_STEPS))
