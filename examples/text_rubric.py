"""Improve a text that only a rubric can judge: one chat model writes, a second one marks; the predecessor's third.

Shows: ``get_llm_scorer``, whose mark and reasons become score and feedback.
Needs: a chat model. Costs: three calls to write and four to mark, about 6,000 tokens in all. A model's mark is noisy:
the same text may get another one next time.
"""

from __future__ import annotations

import re

from llm_optimize import eval_utils, optimize

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

_rubric = """Mark the poem below. Give 0 to 2 points for each:

1. It has exactly four lines.
2. It rhymes.
3. It has a picture that one can see.
4. It says something true about searching for the best.
5. A reader who knows no mathematics would enjoy it.

Write one short sentence for each point, then the sum on a line of its own, in the form final_score=<number>.

The poem:

{x}"""


def _mark(reply: str) -> float:
    # The last one counts: a poem that contains a mark of its own is quoted before the judge gives his.
    return float(re.findall(r"final_score=\s*(\d+(?:\.\d+)?)", reply)[-1])


score = eval_utils.get_llm_scorer(_rubric, parse_score=_mark)

if __name__ == "__main__":
    print(optimize.run(TASK, QUESTION, score, x0=x0, stop_score=STOP_SCORE, max_steps=MAX_STEPS))
