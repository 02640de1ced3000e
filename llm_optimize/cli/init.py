"""``llm-optimize init [FILE]``: write a task file to begin with, which runs as it is and needs no key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.cli import flags
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    import argparse

__all__ = ["STARTER", "add", "main"]

STARTER = '''\
"""What to make better, and how good it is. Run it with: llm-optimize run {name}

As it stands it needs no key: it has numbers to tune, and a numeric optimizer tunes them. With a chat model
(OPENAI_API_KEY, or --model http://127.0.0.1:11434/v1#qwen3) the model also rewrites the text around them.
"""

# What the situation and the goal are. A chat model sees it as its system prompt.
TASK = "Find the oven setting that bakes the best bread. The text holds one setting per line."

# What is asked of the model after each attempt.
QUESTION = "Which setting would bake a better bread?"

# The text to begin with. A comment marks what may be tuned: a range, `log` for ratios, `|` for options.
# Leave x0 out to let the model write the first text.
x0 = """\\
degrees = 180.0  # tune: degrees=120..280
minutes = 30     # tune: minutes=10..90
"""


def score(text):
    """Return how good a text is: a number, higher is better; or (number, feedback for the model)."""
    values = {{}}
    for line in text.splitlines():
        name, _, value = line.partition("#")[0].partition("=")
        if value:
            values[name.strip()] = float(value)
    heat = (values["degrees"] - 231) / 40
    time = (values["minutes"] - 42) / 15
    feedback = ("too hot" if heat > 0 else "too cold") + ", " + ("too long" if time > 0 else "too short")
    return 10 - heat**2 - time**2, feedback


# Everything below is optional; flags such as --max-steps win over it.
MAX_STEPS = 20            # proposals after x0
STOP_SCORE = 9.99         # stop as soon as a score reaches this
# MODEL = "gpt-5"         # or "http://127.0.0.1:11434/v1#qwen3"
# BUDGET = {{"evaluations": 100, "tokens": 200_000, "dollars": 1.0, "seconds": 600}}
# PARALLEL = 4            # proposals and evaluations in flight
# EXECUTOR = "processes"  # where evaluations run: also dask://HOST:PORT, ray://HOST:PORT
# IDEAS = 1               # drafts asked for in one proposal
# EVAL_TIMEOUT = 60       # seconds after which a candidate counts as failed
# NOISE = "auto"          # test candidates again where scores vary, and report a gain with its interval
# FINAL = score           # better a score on examples that the search never sees: for x0 and the winner alone
# SUSPICIOUS_ABOVE = 10   # a score that cannot be honest ends the run
# SEED = 0
# TUNE = {{"degrees": (120, 280), "minutes": (10, 90, int)}}    # instead of the comments in x0
'''


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("init", help="write a task file to begin with", description=flags.about(__doc__))
    parser.add_argument("file", metavar="FILE", nargs="?", default="task.py", help="where to (default: task.py)")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Write the file unless there is one; return the exit code."""
    path = Path(args.file).expanduser()
    if path.suffix != ".py":
        msg = f"{path}: a task file is Python; give a name that ends in .py"
        raise BadInput(msg)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER.format(name=path))
    except FileExistsError:
        msg = f"{path}: exists and is left as it is; give another name"
        raise BadInput(msg) from None
    except OSError as error:
        msg = f"{path}: cannot be written ({error.strerror}); give a path in a folder that exists and is yours"
        raise BadInput(msg) from None
    print(f"{path} is written; run it with: llm-optimize run {path}", file=sys.stderr)
    return 0
