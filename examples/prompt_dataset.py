"""Optimize a prompt on labelled examples: which instruction makes a model sort a shop's mail best?

Shows: a CSV file as the data set, parted once into few-shot examples, examples to score on, and sealed ones that only
the verdict looks at; :class:`PromptTask`, whose candidates keep the slot ``{{text}}`` and choose few-shot examples by
name; racing, which stops a prompt that is clearly worse after a few mails.
Needs: a chat model, which writes the prompts and sorts the mail. Costs: six calls to write prompts and at most
270 short ones to sort mail, about 20,000 tokens in all.
"""

from __future__ import annotations

from pathlib import Path

from llm_optimize import optimize
from llm_optimize.scorers.example import Example, Fields
from llm_optimize.scorers.loaders import read_csv
from llm_optimize.scorers.prompt_task import PromptTask
from llm_optimize.scorers.racing import Racing
from llm_optimize.scorers.splits import split

QUESTION = "Which prompt should be tried next, so that more mails are sorted right?"
MAX_STEPS = 6

x0 = """[system]
You sort the mail of a shop.
[user]
{{text}}
Is it refund, delivery, product or praise?"""


def sorted_right(answer: str, mail: Example) -> tuple[float, str]:
    """Return 1 for the label and nothing else, half as much for the label among other words."""
    said = answer.strip().strip(".").casefold()
    if said == mail.expected:
        return 1.0, ""
    return (0.5, "the label and more: only the label is wanted") if mail.expected in said else (0.0, "the wrong label")


_mails = read_csv(Path(__file__).with_suffix(".csv"), Fields("label"))
_parts = split(_mails, train=0.15, validation=0.5, sealed=0.35, seed=9)
_shots = [
    Example(mail.inputs, mail.expected, key=f"mail-{number}") for number, mail in enumerate(_parts.train, start=1)
]

_careful = Racing(block=5, alpha=0.05, least=5)  # few proposals: none that would win is to be lost
task = PromptTask(x0, None, _parts.validation, sorted_right, shots=_shots, racing=_careful)
TASK = f"Write a prompt that makes a chat model answer a shop's mail with its label.\n{task.description}"
score = task
FINAL = task.on(_parts.sealed.open() if _parts.sealed else ())

if __name__ == "__main__":
    result = optimize.run(TASK, QUESTION, task, x0=x0, max_steps=MAX_STEPS, final=FINAL)
    print(f"\n{result}\n\n{result.verdict}")
