"""The stand-in models read every prompt alike, fail as often as they say, and know their tasks."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from arena import SCALES, Arena, judge
from standins import learning, packing
from standins.model import RATES, Rates, StandIn
from standins.reading import inner, read, rewrapped
from standins.skills import SKILLS
from tasks.registry import TASKS

from llm_optimize import Failure
from llm_optimize.errors import NoCandidate
from llm_optimize.text.fences import extract

NONE = Rates(refusal=0, prose=0, cut=0, invalid=0, repeat=0, misquote=0)
NET = "(0, 1) (2, 3) (4, 5) (6, 7) (0, 2) (1, 3) (4, 6) (5, 7) (1, 2) (5, 6)"
OTHER = "(0, 7) (1, 6) (2, 5) (3, 4) (0, 3) (4, 7) (1, 2) (5, 6) (0, 1) (6, 7)"
WORDS = "12 of 256 inputs of zeros and ones stay unsorted, the first is 0 0 0 0 1 0 0 0"

OURS = [
    ("system", "Your aim is the input x with the highest score.\n\n# Task\n\nSort."),
    (
        "user",
        f"""Attempt #0:

```
{OTHER}
```

Result of attempt #0:

score: 0.31 (higher is better)""",
    ),
    ("assistant", f"I move one.\n\n```\n{NET}\n```"),
    (
        "user",
        f"""The current x is attempt #1. The best so far is attempt #0, shown above, score 0.31.

The current x:

```
{NET}
```

The result f(x):

```
score: 0.25 (higher is better)
{WORDS}
```

What next?""",
    ),
]
GEPA = [
    (
        "user",
        f"""## Current Component

The component being optimized:

```
{NET}
```

## Evaluation Results

```
# Example 1
## Scores (Higher is Better)
### score
0.25

## Feedback
{WORDS}

```""",
    )
]
OPENEVOLVE = [
    ("system", "Sort."),
    (
        "user",
        f"""# Current Program Information
- Fitness: 0.2500

## Last Execution Output

### feedback
```
{WORDS}
```

## Top Performing Programs

### Program 1 (Score: 0.3100)
```text
# EVOLVE-BLOCK-START
{OTHER}
# EVOLVE-BLOCK-END
```
Key features: none

# Current Program
```text
# EVOLVE-BLOCK-START
{NET}
# EVOLVE-BLOCK-END
```

# Task
Use SEARCH/REPLACE:

<<<<<<< SEARCH
old
=======
new
>>>>>>> REPLACE
""",
    ),
]
FORMATS = {"ours": OURS, "gepa": GEPA, "openevolve": OPENEVOLVE}


@pytest.fixture(scope="module")
def sorting():
    """The skill of one task, with its true score."""
    return SKILLS["sorting network"](lambda text: judge("sorting network", 0, text).value, TASKS["sorting network"](0))


@pytest.mark.parametrize("name", FORMATS)
def test_the_current_candidate_and_what_is_said_of_it_are_found_in_every_format(name, sorting):
    """The same candidate is the base and the same words are its feedback, whoever shows them."""
    asked = read(FORMATS[name], sorting.knows)
    assert inner(asked.base.text) == NET
    assert WORDS in asked.feedback
    assert asked.edits == (name == "openevolve")
    assert not asked.failed
    assert asked.base.score == (None if name == "gepa" else 0.25)


@pytest.mark.parametrize("name", ["ours", "openevolve"])
def test_scores_belong_to_the_candidates_that_they_are_said_of(name, sorting):
    """The best shown is the other one, and a sentence about the best is not taken for the current one's score."""
    asked = read(FORMATS[name], sorting.knows)
    assert (inner(asked.best.text), asked.best.score) == (OTHER, 0.31)
    assert {one.score for one in asked.shown if inner(one.text) == NET} <= {0.25, None}


def test_what_is_asked_for_is_heard():
    """Combining, naming whom, and something quite different are read in the last turn outside of candidates."""
    combine = [*OURS[:-1], ("user", "Combine the current x with attempt #0, shown above.")]
    assert read(combine, lambda _: False).partners == (0,)
    assert read([("user", "Try something radically different.")], lambda _: False).afresh
    assert not read([("user", "```\na radically different idea: combine\n```")], lambda _: False).afresh
    assert not read(OURS, lambda _: False).combine


def test_a_candidate_that_failed_is_known_to_have_failed(sorting):
    """Words that say so count, a number near them does not."""
    shown = f"The current x:\n\n```\n{NET}\n```\n\nThe result f(x):\n\n```\nfailed (invalid): score 0.9 expected\n```"
    asked = read([("user", shown)], sorting.knows)
    assert asked.failed
    assert asked.base.score is None


def test_the_same_prompt_seed_and_call_give_the_same_reply(sorting):
    """What is said is a function of these three, and each of them matters."""
    first, second = StandIn(sorting, 1), StandIn(sorting, 1)
    said = [first(OURS).text for _ in range(20)]
    assert said == [second(OURS).text for _ in range(20)]
    assert len(set(said)) > 10
    assert said != [StandIn(sorting, 2)(OURS).text for _ in range(20)]


def test_failures_are_as_frequent_as_stated(sorting):
    """Over 3,000 calls each share lies within four standard deviations of its rate."""
    standin, count = StandIn(sorting, 3, replace(RATES, insight=0)), 3000
    seen = Counter(_kind(standin(GEPA)) for _ in range(count))
    for kind in ("refusal", "prose", "cut", "invalid", "repeat"):
        rate = getattr(RATES, kind)
        assert abs(seen[kind] / count - rate) < 4 * (rate * (1 - rate) / count) ** 0.5, (kind, seen)


def _kind(said):
    if said.cut:
        return "cut"
    try:
        text = extract(said.text).text.strip()
    except NoCandidate:
        return "prose" if said.text.startswith(("One could", "The current value")) else "refusal"
    if text == NET:
        return "repeat"
    return "invalid" if "8)" in text else "candidate"


def test_edits_are_as_good_for_everyone(sorting):
    """With nobody else to combine with, the mean worth of 300 new candidates is the same whoever shows the old one."""
    rates = Rates(refusal=0, prose=0, cut=0, invalid=0, repeat=0, misquote=0, combine=0, on_best=0)
    means, spread = {}, []
    for name, chat in FORMATS.items():
        standin = StandIn(sorting, 5, rates)
        worth = [sorting.worth(_applied(standin(chat).text, chat)) for _ in range(300)]
        means[name] = statistics.mean(worth)
        spread.append(statistics.stdev(worth))
    limit = 4 * max(spread) * (2 / 300) ** 0.5
    assert max(means.values()) - min(means.values()) < limit, means


def _applied(reply, chat):
    """The new candidate: of a block, or of an edit applied to the program that the prompt shows last."""
    if "<<<<<<< SEARCH" not in reply:
        return extract(reply).text
    search, replace = reply.split("<<<<<<< SEARCH\n")[1].split("\n>>>>>>> REPLACE")[0].split("\n=======\n")
    program = chat[-1][1].rsplit("```text\n", 1)[1].split("\n```")[0]
    assert program.count(search) == 1
    return program.replace(search, replace)


def test_marker_lines_are_kept_and_are_no_part_of_a_candidate():
    """A new candidate stands between the lines that the old one stood in."""
    old = f"# EVOLVE-BLOCK-START\n{NET}\n# EVOLVE-BLOCK-END\n"
    assert inner(old) == NET
    assert rewrapped(old, OTHER) == f"# EVOLVE-BLOCK-START\n{OTHER}\n# EVOLVE-BLOCK-END"
    assert rewrapped(NET, OTHER) == OTHER


@pytest.mark.parametrize("name", SCALES)
def test_a_skill_knows_its_task(name):
    """It recognises the start and what it makes of it; what it spoils has no score, and repaired it has one again."""
    arena, dice = Arena(name, 0, 10), Random(0)
    skill = SKILLS[name](lambda text: arena.judged(text).value, arena.task)
    start = inner(arena.task.start)
    assert not skill.knows("Answer in three sentences.")
    texts = [start, *(skill.edit(start, dice) for _ in range(12)), skill.leap(start, dice)]
    assert all(map(skill.knows, texts))
    assert len(set(texts)) > 4
    assert skill.knows(skill.combine(texts[1], texts[-1], dice))
    assert any(arena.judged(text).value > 0 for text in texts[1:])
    spoiled = skill.spoil(start, dice)
    assert arena.judged(spoiled).failed
    assert not arena.judged(skill.mend(spoiled, arena.judged(spoiled).feedback, dice) or skill.repair(spoiled)).failed


def test_a_packing_scored_in_this_process_has_the_score_of_the_sandbox():
    """For programs that the stand-in writes the two agree to the last digit, with the same reason for a failure."""
    task, dice = TASKS["circle packing"](0), Random(4)
    skill = packing.make(lambda _: 0.0, task)
    texts = [packing.written(packing.Recipe(rows=(6, 6, 5, 5, 5))), packing.written(packing.Recipe(radii="linear"))]
    for _ in range(10):
        texts.append(skill.edit(texts[-1], dice))
    outcomes = []
    for text in texts:
        fast, slow = packing.fast(task, text), task.score(text)
        outcomes.append(type(slow))
        assert type(fast) is type(slow)
        assert fast.message == slow.message if isinstance(slow, Failure) else fast.score == slow.score
    assert len(set(outcomes)) == 2
    assert packing.fast(task, f"{texts[-1]}\nimport os") is None


def test_training_code_scored_in_this_process_has_the_score_of_the_sandbox():
    """The accuracy is the same, and code that is not the stand-in's is left to the sandbox."""
    task = Arena("automl", 0, 10).task
    for one in (learning.Pipeline(), learning.Pipeline("SVC", "StandardScaler", "PCA")):
        text = learning.written(one)
        assert learning.fast(task, text).score == pytest.approx(task.score(text).score)
    assert inner(task.start) == learning.written(learning.Pipeline())
    assert learning.fast(task, f"{inner(task.start)}\nimport os") is None
