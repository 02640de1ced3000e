"""Every sentence that is said to the chat model, and how the slots in it are filled.

Those of the forms and of reflections stand in their own files.

Two prompts may be replaced by the user: the system prompt (slot ``{task_description}``) and the human prompt (slots
``{x}``, ``{fx}``, ``{task_question}``). A slot is replaced by name and nothing else is: other braces, JSON in a prompt
for example, stay as they are, and a slot's name inside a filled-in text is not filled again. A slot that stands on a
line of its own between two lines of backticks gets a fence long enough for what it holds.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput
from llm_optimize.proposers.forms.full_text import FullText
from llm_optimize.text.fences import fence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.proposers.forms.form import Form

__all__ = [
    "ANSWER_NOW",
    "CALL_NOT_POSSIBLE",
    "GUIDANCE_REMINDER",
    "HELD",
    "HUMAN_OPTIMIZATION_PROMPT",
    "NOISE",
    "NOT_CALLED",
    "NOT_HELD",
    "NOT_SCORED",
    "NO_MORE_CALLS",
    "NO_SCORE",
    "OPEN",
    "REASK_PROMPT",
    "SAME",
    "SYSTEM_PROMPT",
    "abridged",
    "beginning_note",
    "best_note",
    "better",
    "check_human_prompt",
    "combine_note",
    "duplicate_reason",
    "failed",
    "fill",
    "first_draft_prompt",
    "guidance_note",
    "in_form",
    "none_scored_note",
    "opening",
    "proposed",
    "reask",
    "result",
    "result_of",
    "score_digits",
    "scored",
    "selection_note",
    "show_score",
    "stale_note",
    "standing",
    "standing_part",
    "verdict",
    "worse",
]

SYSTEM_PROMPT = """\
You are an optimization assistant. You are shown inputs x and what a function f said about each of them: a score, \
where higher is better, and often feedback in words. Your aim is the input x with the highest score.

- Always answer with a new value of x, also when you are unsure: every answer is scored and tells you more.
- Test one hypothesis at a time, and prefer the simplest change that could work.
- Learn from what failed: do not repeat an earlier value, and do not repeat an idea that the scores speak against.

# Task

{task_description}"""

_FORM_HEAD = "Answer in this form:\n"
_ABOUT = "is still missing, why the last attempt scored as it did,"
_ABOUT_FIRST = "a good x needs"
_RULES = _FORM_HEAD + FullText().rules(_ABOUT)

HUMAN_OPTIMIZATION_PROMPT = (
    """\
The current x:

```
{x}
```

The result f(x):

```
{fx}
```

{task_question}

"""
    + _RULES
)

_FIRST_DRAFT_PROMPT = (
    """\
There is no x yet: write the first one.

{task_question}

"""
    + _FORM_HEAD
)

REASK_PROMPT = """\
That answer was not evaluated: {reason}.

Answer again, in the form asked for: {reminder}."""

NOT_SCORED = "not scored yet"

NOT_CALLED = "This was not called: no more tool calls are possible in this step."

NO_MORE_CALLS = "[No more tool calls are possible in this step. Answer now, in the form asked for.]"

CALL_NOT_POSSIBLE = "it calls a tool, which is not possible now"

ANSWER_NOW = "Now answer what is asked at the beginning of this chat, in the form given there."

GUIDANCE_REMINDER = "Follow every instruction above from the person who runs this optimization."

HELD = "the hypothesis held"
NOT_HELD = "the hypothesis did not hold"
OPEN = "the hypothesis stays open"
SAME = "the same score"
NO_SCORE = "no score"
NOISE = "which is within the noise"

_STALE = 3  # attempts without an improvement that are worth a word
_FEWEST_DIGITS = 3
_MOST_DIGITS = 17  # as many as tell any two floats apart
_WRITTEN_OUT = 1e15  # from here on a power of ten is easier to read

_FENCED_SLOT = r"^(?:`{3,})[^\n`]*\n\{(?P<fenced>\w+)\}\n`{3,}[ \t]*$"
_FENCE_LINE = re.compile(r"^ {0,3}(?:`{3,}|~{3,})", re.MULTILINE)
_SLOT = re.compile(_FENCED_SLOT + r"|\{(?P<plain>\w+)\}", re.MULTILINE)


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace the slots named in ``values``, all at once; every other brace is left alone.

    Args:
        template: a text with slots such as ``{x}``.
        values: slot name to text.

    Example:
        >>> fill('{x} scored {fx}; answer {"x": ...}', {"x": "{fx}", "fx": "3"})
        '{fx} scored 3; answer {"x": ...}'
    """

    def replacement(match: re.Match[str]) -> str:
        name = match["fenced"] or match["plain"]
        if name not in values:
            return match[0]
        return fence(values[name]) if match["fenced"] else values[name]

    return _SLOT.sub(replacement, template)


def check_human_prompt(human_prompt: str) -> None:
    """Refuse a human prompt in which the model would never see what it is to improve.

    ``{fx}`` and ``{task_question}`` may be missing: a user may want the model to see no score, or have written the
    question into the prompt. A system prompt without ``{task_description}`` is taken as it stands likewise.

    Raises:
        BadInput: the slot ``{x}`` is missing.
    """
    if "{x}" not in human_prompt:
        msg = "human_prompt has no slot {x}, so the model would not see the candidate: put {x} where it belongs"
        raise BadInput(msg)


def in_form(human_prompt: str, form: Form) -> str:
    """Return a human prompt that asks for answers in this form, in place of the default one or behind the user's."""
    if form.name == FullText().name:
        return human_prompt
    head = human_prompt.removesuffix(_RULES).rstrip("\n")
    return f"{head}\n\n{_FORM_HEAD}{form.rules(_ABOUT)}"


def first_draft_prompt(form: Form) -> str:
    """Return the prompt with the slot ``{task_question}`` that asks for the first text, in full if need be."""
    return _FIRST_DRAFT_PROMPT + (FullText() if form.needs_parent else form).rules(_ABOUT_FIRST)


def score_digits(scores: Sequence[float]) -> int:
    """Return how many significant digits, at least 3, tell all different scores of a list apart.

    Example:
        >>> score_digits([0.94312, 0.94319, 12.0])
        4
    """
    ordered = sorted({score for score in scores if isinstance(score, float)})
    digits = _FEWEST_DIGITS
    for lower, upper in pairwise(ordered):
        relative = max(abs(lower), abs(upper)) / (upper - lower)
        digits = max(digits, math.floor(math.log10(relative)) if relative > 1 else 0)
    while digits < _MOST_DIGITS and len({f"{score:.{digits}g}" for score in ordered}) < len(ordered):
        digits += 1
    return min(digits, _MOST_DIGITS)


def show_score(score: float, digits: int) -> str:
    """Write a score with so many significant digits; whole numbers and whole parts are written out.

    Example:
        >>> show_score(0.94312, 3), show_score(1500.0, 3), show_score(7, 3)
        ('0.943', '1500', '7')
    """
    if isinstance(score, int):
        return str(score)
    whole = len(str(int(abs(score)))) if abs(score) < _WRITTEN_OUT else 0
    return f"{score:.{max(digits, whole)}g}"


def scored(score: str) -> str:
    """Say how an attempt did, and which way is up."""
    return f"score: {score} (higher is better)"


def failed(kind: str) -> str:
    """Say that an attempt has no score."""
    return f"failed ({kind})"


def result(status: str, feedback: str, verdict: str = "") -> str:
    """Put the number, or the failure, first, then what follows from it and what was said about it.

    Example:
        >>> result(failed("raised"), "ValueError: no"), result(scored("7"), "")
        ('failed (raised): ValueError: no', 'score: 7 (higher is better)')
    """
    if status.startswith("failed"):
        parts = [f"{status}: {feedback}" if feedback else status, verdict]
    else:
        parts = [status, verdict, feedback]
    return "\n".join(filter(None, parts))


def better(gap: str) -> str:
    """Say by how much an attempt beats the one that it was built on."""
    return f"better by {gap}"


def worse(gap: str) -> str:
    """Say by how much an attempt falls behind the one that it was built on."""
    return f"worse by {gap}"


def verdict(parent: int, score: str, outcome: str, held: str) -> str:
    """Say how an attempt did against the one that it was built on, and what became of its hypothesis.

    Example:
        >>> verdict(3, "0.71", better("0.03"), HELD)
        'Built on attempt #3 (score 0.71): better by 0.03, so the hypothesis held.'
    """
    return f"Built on attempt #{parent} (score {score}): {outcome}{f', so {held}' if held else ''}."


def opening(attempt: int, text: str, outcome: str) -> str:
    """Show the oldest attempt of the chat, which no assistant turn proposed, and its result."""
    return f"Attempt #{attempt}:\n\n{fence(text)}\n\n{result_of(attempt, outcome)}"


def proposed(idea: str, text: str) -> str:
    """Show an attempt as the model's own turn: why, then what."""
    return f"{idea}\n\n{fence(text)}" if idea else fence(text)


def abridged(attempt: int, base: int, diff: str) -> str:
    """Show an attempt as its changes to another one that the chat shows too."""
    what = f"[Attempt #{attempt} was given in full. To save room, only its changes to attempt #{base} are shown here"
    return f"{what}, as a unified diff:]\n\n{fence(diff)}"


def result_of(attempt: int, outcome: str) -> str:
    """Tell the result of an attempt that stands in the turn before."""
    return f"Result of attempt #{attempt}:\n\n{outcome}"


def selection_note(shown: int, total: int, chosen: str, *, ascending: bool = False) -> str:
    """Say how many attempts the chat shows, out of how many, in which order, and how they were chosen."""
    order = "from the lowest score to the highest" if ascending else "in the order in which they were made"
    return f"Of {total} attempts so far, {shown} are shown here, {order}: {chosen}."


def beginning_note(shown: int, total: int, chosen: str) -> str:
    """Say how many of the first attempts a chat shows, whatever follows them, and how they were chosen."""
    return f"Of the first {total} attempts, {shown} are shown here: {chosen}. All later ones follow."


def standing(asked: str) -> str:
    """Say at the beginning of a chat what is asked at its end."""
    return f"What is asked of you, for the current x at the end of this chat:\n\n{asked}"


def standing_part(human_prompt: str) -> tuple[str, str]:
    r"""Split a human prompt into the paragraphs up to the last that holds ``{x}`` or ``{fx}``, and those behind it.

    The second part is the same at every step; it is empty where the prompt has no such paragraphs, or where they
    cannot be taken off without tearing a fenced block apart.

    Example:
        >>> standing_part("x is {x}.\n\n{task_question}")
        ('x is {x}.', '{task_question}')
    """
    last = max(human_prompt.rfind("{x}"), human_prompt.rfind("{fx}"))
    cut = human_prompt.find("\n\n", last)
    if cut < 0 or len(_FENCE_LINE.findall(human_prompt[:cut])) % 2:
        return human_prompt, ""
    return human_prompt[:cut], human_prompt[cut:].strip("\n")


def best_note(attempt: int, score: str, current: int, *, shown: bool = True, chosen: bool = False) -> str:
    """Name the current attempt and the best so far, which is what there is to beat, and say which of them to build on.

    That is the current one if it was ``chosen`` for it.
    """
    if attempt == current:
        return f"The current x is attempt #{current}, the best so far. Build on it."
    best = f"The best so far is attempt #{attempt}{', shown above' if shown else ''}, score {score}"
    if chosen:
        return f"The current x is attempt #{current}. Build on it, whatever came after it. {best}."
    return f"The current x is attempt #{current}. {best}. Build on the best, unless there is a reason not to."


def stale_note(count: int) -> list[str]:
    """Say how long it has been since the last improvement, once it is worth a word."""
    if count < _STALE:
        return []
    return [f"The last {count} attempts brought no improvement on the best one."]


def combine_note(others: Sequence[int]) -> str:
    """Ask for one candidate out of several."""
    named = " and ".join(f"#{number}" for number in others)
    return f"Combine the current x with attempt {named}, shown above: keep what is good in each of them."


def none_scored_note(current: int) -> str:
    """Say that there is nothing to beat yet."""
    return f"The current x is attempt #{current}. No attempt has a score yet: the first aim is one that can be scored."


def guidance_note(guidance: Sequence[str]) -> str:
    """Hand on what people said during the run; the model must follow it."""
    lines = "\n".join(f"- {text.strip()}" for text in guidance)
    return f"Instructions from the person who runs this optimization; you must follow all of them:\n{lines}"


def duplicate_reason(attempt: int | None, result: str) -> str:
    """Say of a duplicate which attempt it repeats and how that did; None is another draft of the same step."""
    if attempt is None:
        return "this is exactly another answer that you gave in this step: propose something different"
    return f"this is exactly attempt #{attempt}, which {result}: propose something different"


def reask(reason: str, reminder: str) -> str:
    """Ask again after an answer that holds no candidate, or an old one; both are clauses without a full stop."""
    return fill(REASK_PROMPT, {"reason": reason.rstrip("."), "reminder": reminder})
