"""What is said to the model: slots, scores, and the sentences around them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize import constants
from llm_optimize.errors import BadInput
from llm_optimize.proposers import prompts
from llm_optimize.proposers.forms.full_text import FullText


def test_slots_are_filled_once_and_other_braces_are_left_alone():
    """JSON in a prompt survives, and a slot's name inside a filled-in text is not filled again."""
    template = 'x={x} f={fx} {"x": {y}} {} {{x}}'
    assert prompts.fill(template, {"x": "{fx}", "fx": "{x}"}) == 'x={fx} f={x} {"x": {y}} {} {{fx}}'


def test_a_fenced_slot_gets_a_fence_that_holds_its_text():
    """A candidate with fences in it stays within the fence that the prompt puts around it."""
    filled = prompts.fill("A:\n```python\n{x}\n```\nB: `{x}`", {"x": "a\n```\nb"})
    assert filled == "A:\n````\na\n```\nb\n````\nB: `a\n```\nb`"


@pytest.mark.parametrize("name", ["SYSTEM_PROMPT", "HUMAN_OPTIMIZATION_PROMPT"])
def test_the_predecessors_names_are_the_prompts(name):
    """The constants of the predecessor are the prompts that are used."""
    assert getattr(constants, name) == getattr(prompts, name)


def test_the_prompts_have_the_predecessors_slots():
    """Custom prompts made from ours keep working: the slots are the documented ones, each once."""
    assert prompts.SYSTEM_PROMPT.count("{task_description}") == 1
    assert [prompts.HUMAN_OPTIMIZATION_PROMPT.count(slot) for slot in ("{x}", "{fx}", "{task_question}")] == [1, 1, 1]
    assert "{x}" not in prompts.first_draft_prompt(FullText())


def test_a_human_prompt_without_x_is_refused():
    """The message names the field, what is missing and the remedy, on one line."""
    with pytest.raises(BadInput, match=r"human_prompt has no slot \{x\}.*put \{x\}") as caught:
        prompts.check_human_prompt("Improve it: {fx}")
    assert "\n" not in str(caught.value)
    prompts.check_human_prompt("Only {x}")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(), max_size=8))
@settings(deadline=None)
def test_different_scores_look_different(scores):
    """However close two scores are, the model can tell them apart; none has fewer than three digits."""
    digits = prompts.score_digits(scores)
    floats = {score for score in scores if isinstance(score, float)}
    assert 3 <= digits <= 17
    assert len({prompts.show_score(score, digits) for score in floats}) == len(floats)


def test_scores_have_as_many_digits_as_needed():
    """Three digits usually, more for close scores; whole numbers and whole parts are written out."""
    close = [0.9610678531701891, 0.9610611, 0.9443826473859844]
    digits = prompts.score_digits(close)
    assert [prompts.show_score(score, digits) for score in close] == ["0.96107", "0.96106", "0.94438"]
    assert prompts.show_score(0.9610678531701891, prompts.score_digits([0.9610678531701891])) == "0.961"
    assert prompts.show_score(123456.7, 3) == "123457"
    assert prompts.show_score(-1500, 3) == "-1500"
    assert prompts.show_score(10**30, 3) == str(10**30)


def test_outcomes_in_words():
    """A score says which way is up, a failure says its kind; feedback follows where there is some."""
    assert prompts.result(prompts.scored("0.943"), "two wrong") == "score: 0.943 (higher is better)\ntwo wrong"
    assert prompts.result(prompts.scored("7"), "") == "score: 7 (higher is better)"
    assert prompts.result(prompts.failed("raised"), "ValueError: no") == "failed (raised): ValueError: no"
    assert prompts.result(prompts.failed("timeout"), "") == "failed (timeout)"


def test_asking_again_and_guidance_hold_what_they_are_about():
    """The reason, the number of a repeated attempt and every line of guidance reach the model."""
    assert "not evaluated: it was cut off." in prompts.reask("it was cut off.", FullText().reminder)
    assert "attempt #12, which scored 0.5" in prompts.duplicate_reason(12, "scored 0.5")
    note = prompts.guidance_note(["keep it short", "no {x}"])
    assert "must follow" in note
    assert note.endswith("- keep it short\n- no {x}")
