"""What it costs to choose and to write a prompt, by policy: ``python bench_policies.py [--quick] [--only WORD ...]``.

For each window, parent and form with the defaults of the other two, for all of them together, for the epochs layout
and for the hybrid: milliseconds from ``propose`` to the request, that is choosing and composing, without the model.
The study grows by one trial between two prompts, as in a run; the figure is the median. Beside it stands the first
prompt of a process that resumes the study, which may go through all trials once. Counted is the processor's time of
the thread that proposes, which waits for nothing, so that a busy machine does not count. Candidates have 600
characters, one evaluation in eight fails, and each has scores on 20 examples. Limit: 5 ms a prompt at 1,000 and at
100,000 trials.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import time

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.errors import ModelUnavailable
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.forms.edits import Edits
from llm_optimize.proposers.forms.full_text import FullText
from llm_optimize.proposers.lessons import Lessons
from llm_optimize.proposers.mixing import Hybrid
from llm_optimize.proposers.numeric import NumericProposer
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.crossover import Crossover
from llm_optimize.proposers.parents.features import Feature
from llm_optimize.proposers.parents.islands import Islands
from llm_optimize.proposers.parents.latest import Latest
from llm_optimize.proposers.parents.mixed import Mixed
from llm_optimize.proposers.parents.pareto_front import ParetoFront
from llm_optimize.proposers.parents.restart import Restart
from llm_optimize.proposers.parents.softmax import Softmax
from llm_optimize.proposers.parents.tournament import Tournament
from llm_optimize.proposers.parents.widening import Widening
from llm_optimize.proposers.portfolio import Portfolio
from llm_optimize.proposers.window import Window
from llm_optimize.proposers.windows.diverse import Diverse
from llm_optimize.proposers.windows.recent import Recent
from llm_optimize.proposers.windows.top import Top

LIMIT_MS = 5.0
LENGTHS = (1_000, 100_000)
PROMPTS = 40
EXAMPLES = 20
TOGETHER = 50
WORDS = "read the order and name its number first then state what happens next in one short friendly sentence"
GRID = (Feature("length", 300, 900, log=True), Feature("size", 0, 1))

WINDOWS = {"window": Window, "recent": Recent, "top": Top, "diverse": Diverse}
PARENTS = {
    "widening": Widening,
    "latest": Latest,
    "best": Best,
    "softmax": Softmax,
    "tournament": Tournament,
    "front": ParetoFront,
    "islands": Islands,
    "grid": lambda: Islands(features=GRID),
    "restart": lambda: Restart(Softmax()),
    "crossover": lambda: Crossover(ParetoFront(), rate=1),
    "mixed": lambda: Mixed(((0.5, Islands(features=GRID)), (0.5, Restart(ParetoFront())))),
}
FORMS = {"full": FullText, "edits": Edits}


def silent(_):
    """Stand in for a model at the moment when the request leaves."""
    return ModelUnavailable("nobody is asked")


def chat(**settings):
    """Return a chat proposer that gets as far as the request."""
    return ChatProposer(ScriptedModel(silent), **settings)


def rows():
    """Yield (name, maker of a proposer), each kind of policy with the defaults of the others, then all together."""
    for name, make in WINDOWS.items():
        yield f"window {name}", lambda make=make: chat(window=make())
    for name, make in PARENTS.items():
        yield f"parent {name}", lambda make=make: chat(parent=make())
    for name, make in FORMS.items():
        yield f"form {name}", lambda make=make: chat(form=make())
    for window, form in itertools.product(WINDOWS, FORMS):
        yield (
            f"{window} + mixed + {form}",
            lambda names=(window, form): chat(
                window=WINDOWS[names[0]](), parent=PARENTS["mixed"](), form=FORMS[names[1]](), lessons=Lessons()
            ),
        )
    yield "layout epochs", lambda: chat(layout="epochs")
    yield "hybrid", lambda: Hybrid(chat(), NumericProposer())
    yield "portfolio", lambda: Portfolio({"a": chat(), "b": chat(form=Edits(), parent=Islands())})


def study(trials):
    """Yield the history after each of the last trials of a study with so many."""
    draw = random.Random(5)
    history = History.empty().after(Opened(Problem("Answer well.", "Which instruction is better?", "start"), seed=5))
    for first in range(0, trials, TOGETHER):
        for number in range(first, first + TOGETHER):
            history = history.after(Proposed((candidate(number, draw),), slot=number))
        for number in range(first, first + TOGETHER):
            history = history.after(Told(number, outcome(number, draw)))
            if number >= trials - PROMPTS:
                yield history.assuming(0, first + TOGETHER)


def candidate(number, draw):
    """Return a text that shares most of its words with others."""
    text = f"{number}: " + " ".join(draw.choices(WORDS.split(), k=120))
    parent = draw.randrange(max(0, number - 100), number) if number else None
    return Candidate(number, text, "The last one was too long.", "chat:m" if number else "start", parent)


def outcome(number, draw):
    """Return a score with examples and feedback, or a failure."""
    if draw.random() < 1 / 8:
        return Failure("raised", f"ValueError: number {number}")
    examples = tuple(float(draw.random() < 0.5) for _ in range(EXAMPLES))
    feedback = "Wrong on: " + ", ".join(f"question {n} (too long)" for n in draw.sample(range(200), 6))
    return Evaluation(draw.gauss(0, 1), feedback, {"size": draw.random()}, examples)


def asked(proposer, history):
    """Return the milliseconds of processor time until the request leaves."""
    began = time.thread_time()
    try:
        proposer.propose(history, 1)
    except ModelUnavailable:
        return (time.thread_time() - began) * 1000
    msg = "the proposer asked nobody"
    raise RuntimeError(msg)


def main():
    """Print a line for each row: ms at each length, the first prompt after a resume, and the share of the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run: 200 and 400 trials; its figures say little")
    parser.add_argument("--only", nargs="*", default=[], help="rows whose names contain one of these words")
    options = parser.parse_args()
    lengths = (200, 400) if options.quick else LENGTHS
    studies = {length: list(study(length)) for length in lengths}
    print(
        "ms per prompt, choosing and composing".ljust(44)
        + "".join(f"{n:>11,}" for n in lengths)
        + "   first after a resume, ms"
    )
    worst = 0.0
    for name, make in rows():
        if options.only and not any(word in name for word in options.only):
            continue
        figures, firsts = [], []
        for histories in studies.values():
            proposer = make()
            first, *others = (asked(proposer, history) for history in histories)
            figures.append(statistics.median(others))
            firsts.append(first)
        worst = max(worst, *figures)
        cells = "".join(f"{figure:11.2f}" for figure in figures) + "   " + "".join(f"{first:10.1f}" for first in firsts)
        print(f"{name:44}{cells}   {max(figures) / LIMIT_MS:5.2f} of the limit {LIMIT_MS:g}")
    print(f"highest: {worst:.2f} ms, {worst / LIMIT_MS:.2f} of the limit {LIMIT_MS:g}")


if __name__ == "__main__":
    main()
