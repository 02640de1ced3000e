"""What a judge's marks are worth: before one is trusted, it marks texts that people have marked already.

Shows: ``calibrate`` (``python rubric_judge.py calibrate``), which tells how well a judge agrees with people and by how
much it differs from itself; three samples for each text, whose median counts; criteria with weights.
Needs: a chat model, better two: ``JUDGE`` in the environment names the one that marks, such as "gpt-5" or
"http://127.0.0.1:11434/v1#qwen3". Costs: eighteen calls to calibrate; three to write and twelve to mark, about 15,000
tokens in all.
"""

from __future__ import annotations

import os
import sys

from llm_optimize import optimize
from llm_optimize.scorers.rubric import Criterion, RubricJudge

TASK = """Write at most five sentences that explain to a twelve-year-old why it is colder on a mountain."""
QUESTION = "Which x should be tried next, so that the mark rises?"
MAX_STEPS = 3

x0 = """
Mountains are high, so they are nearer to space, and space is cold.
"""

score = RubricJudge(
    [
        Criterion("truth", "Is the explanation right? 10: no physicist would object; 0: it is wrong.", weight=2),
        Criterion("clarity", "Would a twelve-year-old follow it? 10: every word; 0: hardly a word."),
        Criterion("interest", "Does one want to read on? 10: to the end; 0: it is dull.", weight=0.5),
    ],
    model=os.environ.get("JUDGE"),
    samples=3,
    task=TASK,
)

MARKED_BY_PEOPLE = [
    (x0, 0.3),
    ("Rising air spreads out, because less air presses on it, and air that spreads out cools.", 0.8),
    ("The adiabatic lapse rate follows from the first law of thermodynamics and hydrostatic equilibrium.", 0.6),
]

if __name__ == "__main__":
    if sys.argv[1:] == ["calibrate"]:
        print(score.calibrate(MARKED_BY_PEOPLE))
    else:
        print(optimize.run(TASK, QUESTION, score, x0=x0, max_steps=MAX_STEPS))
