"""The reviewer before evaluation: which texts break which constraint, and that a broken one costs no evaluation."""

from __future__ import annotations

import json
import pickle

import pytest
from pydantic import BaseModel, Field

from llm_optimize import optimize
from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.errors import BadInput
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.constraints import as_constraints, check_start, first_objection
from llm_optimize.scorers.formats import JsonSchema, Length
from llm_optimize.testing.server import ScriptedServer


class Point(BaseModel):
    x: float = Field(ge=0)


SCHEMA = {"type": "object", "required": ["x"]}


def objection(given, text, start="a = 1"):
    return first_objection(as_constraints([given], JsonSchema), text, start)


@pytest.mark.parametrize(
    ("given", "start", "good", "bad", "reason"),
    [
        ("parses", "a = 1", "b = 2", "b = ", "it is not valid Python: line 1: invalid syntax"),
        ("parses", "[1]", "[2]", "[2", "it is not valid JSON: Expecting ',' delimiter"),
        ("placeholders", "{a} b", "c {a} {a}", "c", "it has lost {a}: keep"),
        ("placeholders", "{a} b", "{a}", "{a} {c}", "it adds {c}: keep"),
        ("max_chars:5", "a", "\n12345\n", "123456", "it is 6 characters long, and at most 5 are allowed"),
        ("max_tokens:3", "a", "one two", "one two three four five", "tokens long, and at most 3 are allowed"),
        (
            "imports:numpy,math",
            "a = 1",
            "import numpy.linalg\nfrom math import pi",
            "import os, math",
            "imports os, and",
        ),
        ("imports:math", "a = 1", "import math", "from os.path import join", "it imports os.path, and only math is"),
        ("imports:math", "a = 1", "__import__('math')", "importlib.import_module('os')", "it imports os, and only"),
        ("imports:math", "a = 1", "x = 1", "__import__(name)", "whatever __import__() is given"),
        ("imports:math", "a = 1", "x = 1", "from . import secrets", "a module relative to itself"),
        ("imports:", "a = 1", "x = 1", "import math", "it imports math, and no import is allowed"),
        ("imports:math", "a = 1", "x = 1", "x =", "it is not valid Python"),
        (SCHEMA, "{}", '{"x": 1}', "{}", "1 error: 'x' is a required property"),
        (Point, "{}", '{"x": 1}', '{"x": -1}', "it is no Point: x: Input should be greater than or equal to 0"),
        (Length(at_most=1, unit="words"), "a", "word", "two words", "2 words: at most 1 wanted"),
    ],
)
def test_each_kind_tells_good_from_bad(given, start, good, bad, reason):
    """The reason is a clause that tells the model what is wrong."""
    assert objection(given, good, start) is None
    assert reason in objection(given, bad, start)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, None),
        (True, None),
        (Evaluation(1.0), None),
        (False, "it breaks check"),
        ("", "it breaks check"),
        ("too\n dull", "too dull"),
        (Evaluation(0.5, "half"), "half"),
        (Failure("raised", "why"), "why"),
    ],
)
def test_a_function_may_say_it_in_several_ways(said, reason):
    """Nothing or True is fine; False, a reason, a low score or a failure is not."""

    def check(text):
        return said

    assert objection(check, "x") == reason


def test_a_function_that_raises_refuses_the_text():
    """The model is told what was raised; x0 must not make it raise."""

    def check(text):
        return text[5]

    assert objection(check, "x") == "check raised IndexError: string index out of range"
    with pytest.raises(BadInput, match="x0 breaks the constraint 'check': check raised IndexError"):
        check_start(as_constraints([check]), "x")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            ["max_char:5"],
            "constraints has 'max_char:5': give a function of a text, or one of parses, placeholders, max_c",
        ),
        (["max_chars"], "constraints has 'max_chars'"),
        (["max_chars:0"], "constraints has 'max_chars:0'"),
        (["parses:python"], "constraints has 'parses:python'"),
        ([5], "constraints has 5"),
        ("parses", "constraints is 'parses': give a list"),
        (["schema:no_such.json"], "schema:no_such.json cannot be read"),
        ([lambda text: 3], "returned 3: return None or True"),
    ],
)
def test_what_is_no_constraint_is_refused(given, reason):
    """The message lists the names, or says what a function must return."""
    with pytest.raises(BadInput, match=reason):
        check_start(as_constraints(given, JsonSchema), "x0")


def test_a_schema_may_stand_in_a_file(tmp_path):
    """Its path is given by name."""
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    assert "required property" in objection(f"schema:{tmp_path}/s.json", "{}")
    (tmp_path / "s.json").write_text("[1]")
    with pytest.raises(BadInput, match="holds no object"):
        as_constraints([f"schema:{tmp_path}/s.json"], JsonSchema)


def test_constraints_are_values():
    """They print and pickle, as the proposer that has them does."""
    given = as_constraints(["parses", "imports:math", "max_chars:5", Point])
    assert pickle.loads(pickle.dumps(given)) == given
    assert [constraint.name for constraint in given] == ["parses", "imports:math", "max_chars:5", "Point"]
    assert as_constraints(given) == given


# --- in a run -----------------------------------------------------------------------------------------------------


def test_a_broken_one_costs_no_evaluation():
    """Over HTTP: the model is asked again with the reason, and only what keeps the constraints is scored."""
    scored = []

    def answer(body, index):
        last = body["messages"][-1]["content"]
        return "```\nshort\n```" if "was not evaluated" in last else "```\nmuch too long\n```"

    with ScriptedServer(answer) as server:
        result = optimize.run(
            "t", "q", lambda text: scored.append(text) or 1.0, "x0", 1, f"{server.url}#scripted",
            verbose=False, store=None, constraints=["max_chars:6"],
        )  # fmt: skip
        asked = [received.body["messages"][-1]["content"] for received in server.requests]
    assert [text.strip() for text in scored] == ["x0", "short"]
    assert len(asked) == 2
    assert "it is 13 characters long, and at most 6 are allowed" in asked[1]
    assert result.history.evaluations == 2


def test_one_that_is_never_kept_is_given_up_with_the_reason():
    """Two replies are paid for, nothing is scored, and the log says why."""
    scored = []
    with ScriptedServer(lambda body, index: "```\nmuch too long\n```") as server:
        result = optimize.run(
            "t", "q", lambda text: scored.append(text) or 1.0, "x0", 1, f"{server.url}#scripted",
            verbose=False, store=None, constraints=["max_chars:6"],
        )  # fmt: skip
        assert server.charged == 2
    assert scored == ["x0"]
    assert result.history.steps == 1


def test_x0_must_keep_them_before_anything_is_spent():
    """Neither the scorer nor the model is called."""
    model = ScriptedModel([])
    with pytest.raises(BadInput, match="x0 breaks the constraint 'max_chars:1': it is 2 characters long"):
        optimize.run(
            "t", "q", lambda text: 1 / 0, "x0", model=model, verbose=False, store=None, constraints=["max_chars:1"]
        )
    with pytest.raises(BadInput, match="'parses' needs an x0 in Python or JSON"):
        optimize.run("t", "q", len, "some words", model=model, verbose=False, store=None, constraints=["parses"])
    assert model.requests == []


def test_they_are_for_the_default_proposer():
    """One's own proposer has its own."""
    proposer = ChatProposer(ScriptedModel([]), constraints=["parses"])
    with pytest.raises(BadInput, match=r"constraints are for the default proposer.*constraints=\[...\]"):
        optimize.run("t", "q", len, "a", proposer=proposer, store=None, verbose=False, constraints=["parses"])


def test_numeric_proposals_keep_them_too():
    """Values that make a broken text are passed over, and not scored."""
    scored = []

    def small(text):
        return None if float(text.partition("=")[2]) <= 3 else "a is above 3"

    optimize.run(
        "t", "q", lambda text: scored.append(text) or 1.0, "a = 1.0", 12, None,
        verbose=False, store=None, tune={"a": (0, 10)}, constraints=[small],
    )  # fmt: skip
    assert len(scored) == 13
    assert [text for text in scored if small(text)] == []


def test_a_study_that_is_asked_gives_only_what_keeps_them():
    """Ask and tell goes through the same proposer."""
    replies = ["```\nmuch too long\n```", "```\nshort\n```"]
    study = optimize.build("t", "q", len, "x0", model=ScriptedModel(replies), store=None, constraints=["max_chars:6"])
    with study:
        start, new = study.ask(2)
        assert (start.text, new.text) == ("x0", "\nshort\n")
