"""Ten ways to make a prompt better: in what the prompts of a first population differ.

They are the aspects by which :mod:`llm_optimize.scorers.prompt_judge` marks prompts, said as something to do; the
list of aspects is that of the terminal program promptimal 2.0 (Shobrook, 2024).
"""

from __future__ import annotations

from llm_optimize.proposers.brief import Angle

__all__ = ["STRATEGIES"]

_KEEP = "Keep what the prompt is for, and every placeholder in it."

STRATEGIES = (
    Angle("clarity", f"Rewrite x for clarity: plain words, short sentences, one reading only, no jargon. {_KEEP}"),
    Angle("context", f"Rewrite x so that it gives the background that a reader needs to do the task well. {_KEEP}"),
    Angle("specificity", f"Rewrite x so that it says exactly what is wanted: content, length, form, limits. {_KEEP}"),
    Angle("guidance", f"Rewrite x so that it says how to go about the task, step by step. {_KEEP}"),
    Angle("examples", f"Rewrite x with one or two short examples of input and output, made up if need be. {_KEEP}"),
    Angle("role", f"Rewrite x so that it opens with the role, the expertise and the tone that fit the task. {_KEEP}"),
    Angle("boundaries", f"Rewrite x so that it says what to leave out, and what to do when it is unsure. {_KEEP}"),
    Angle("reasoning", f"Rewrite x so that the answer is thought through and checked before it is given. {_KEEP}"),
    Angle("flexibility", f"Rewrite x so that it copes with inputs of every kind, the odd ones included. {_KEEP}"),
    Angle(
        "structure", f"Rewrite x in a clear order: headings or lists where they help, the output's form last. {_KEEP}"
    ),
)
"""One instruction for each aspect; which draft gets which one is drawn by the study's seed."""
