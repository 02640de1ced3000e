"""The predecessor's calls: signatures, return shapes and its golden results, with a scripted model over real HTTP.

Where the predecessor's behaviour was a defect, the test states what holds instead; README.md lists those decisions.
"""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import pytest

from llm_optimize import constants, eval_utils, llm, optimize
from llm_optimize.errors import BadInput, LLMOptimizeError, StartFailed
from llm_optimize.testing.server import Answer

REQUIRED = inspect.Parameter.empty


def fenced(text: str) -> str:
    """A reply as models give it: a few words, then the candidate."""
    return f"Another try.\n\n```\n{text}\n```"


def scores(*values: object):
    """A scorer that gives these scores in turn, with a text; it keeps what it was asked in ``.seen``."""
    waiting = iter(values)
    seen: list[str] = []

    def score(x: str):
        seen.append(x)
        value = next(waiting)
        if isinstance(value, Exception):
            raise value
        return value if isinstance(value, tuple) else (value, f"f says {value}")

    score.seen = seen
    return score


def roles(server) -> list[list[str]]:
    """The roles of the messages of each request."""
    return [[message["role"] for message in one.body["messages"]] for one in server.requests]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            optimize.run,
            {
                **dict.fromkeys(("task_description", "task_question", "func"), REQUIRED),
                "x0": None,
                "max_steps": 10,
                "model": None,
                "verbose": True,
                "system_prompt": constants.SYSTEM_PROMPT,
                "human_prompt": constants.HUMAN_OPTIMIZATION_PROMPT,
                "stop_score": None,
            },
        ),
        (
            eval_utils.exec_with_timeout_unsafe,
            dict.fromkeys(("script", "local_vars", "return_local_vars", "timeout_secs"), REQUIRED),
        ),
        (eval_utils.exec_unsafe, dict.fromkeys(("script", "globals_dict", "locals_dict"), REQUIRED)),
        (eval_utils.exec_temp_script_unsafe, dict.fromkeys(("script", "timeout"), REQUIRED)),
        (
            eval_utils.get_llm_scorer,
            {"prompt": REQUIRED, "parse_score": REQUIRED, "model": None, "error_score": 0.0},
        ),
        (llm.get_default_llm, {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_calls_take_what_they_took(function, expected) -> None:
    """Names, order and defaults of the predecessor's parameters are unchanged; what is new is keyword-only."""
    parameters = inspect.signature(function).parameters.values()
    positional = [one for one in parameters if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert {one.name: one.default for one in positional} == expected
    assert [one.name for one in positional] == list(expected)


def test_the_prompts_keep_their_slots() -> None:
    """A program that fills the two prompts itself finds the slots that it knows."""
    assert constants.SYSTEM_PROMPT.count("{task_description}") == 1
    assert all(constants.HUMAN_OPTIMIZATION_PROMPT.count(slot) == 1 for slot in ("{x}", "{fx}", "{task_question}"))


def test_the_options_are_a_plain_dict() -> None:
    """``default_llm_options`` begins as the predecessor's did and can be updated in place."""
    assert llm.default_llm_options == {"model_name": "gpt-4"}
    assert type(llm.default_llm_options) is dict


# --- golden runs ------------------------------------------------------------------------------------------------------


def test_two_good_replies(serve) -> None:
    """Scores 1, 2, 3 give the tuple, the requests and the candidates that the predecessor gave."""
    score = scores(1.0, 2.0, 3.0)
    with serve(fenced("X1"), fenced("X2")) as server:
        result = optimize.run("task", "question", score, x0="X0", max_steps=2)
    assert result == (3.0, [1.0, 2.0, 3.0], "\nX2\n")
    assert score.seen == ["X0", "\nX1\n", "\nX2\n"]
    assert [shown[:4] for shown in roles(server)] == [["system", "user"], ["system", "user", "assistant", "user"]]
    assert {one.body["model"] for one in server.requests} == {"gpt-4"}


def test_the_result_unpacks_as_the_tuple(serve) -> None:
    """Callers unpack three values, index them, and print the best text."""
    with serve(fenced("X1")):
        result = optimize.run("task", "question", scores(1, 2.5), "X0", 1)
    best_score, history, best_x = result
    assert (best_score, history, best_x) == (result[0], result[1], result[2]) == (2.5, [1, 2.5], "\nX1\n")
    assert type(history[0]) is int
    assert str(result) == "X1"


def test_no_steps_no_request(serve) -> None:
    """``max_steps=0`` scores x0 and asks nobody."""
    with serve() as server:
        assert optimize.run("task", "question", scores(5.0), x0="X0", max_steps=0) == (5.0, [5.0], "X0")
        assert server.requests == []


def test_a_tie_keeps_the_first(serve) -> None:
    """A candidate that only equals the best does not replace it."""
    with serve(fenced("X1")):
        assert optimize.run("task", "question", scores(2.0, 2.0), x0="X0", max_steps=1)[2] == "X0"


def test_a_reply_without_a_fence(serve) -> None:
    """Prose is asked for again once and never evaluated; the result is x0's."""
    with serve("I would rather not.", "Still not.") as server:
        assert optimize.run("task", "question", scores(2.0), x0="X0", max_steps=1) == (2.0, [2.0], "X0")
        assert len(server.requests) == 2


def test_a_perfect_start_costs_nothing(serve) -> None:
    """The stop score is looked at after x0 too; the predecessor paid for a further step."""
    with serve() as server:
        assert optimize.run("task", "question", scores(1.0), x0="X0", stop_score=1.0) == (1.0, [1.0], "X0")
        assert server.requests == []


def test_the_stop_score_ends_the_run(serve) -> None:
    """The run ends at the first score that reaches it."""
    with serve(fenced("X1"), fenced("X2")) as server:
        result = optimize.run("task", "question", scores(1.0, 2.0, 3.0), x0="X0", stop_score=3.0)
        assert (result[1], len(server.requests)) == ([1.0, 2.0, 3.0], 2)


def test_a_context_that_is_too_long_is_shrunk(serve) -> None:
    """An endpoint that refuses the prompt at step 3 gets a shorter one, and the run goes on."""
    refusal = Answer("maximum context length is 64 tokens", status=400, code="context_length_exceeded")
    with serve(fenced("X1"), fenced("X2"), refusal, fenced("X3"), fenced("X4")) as server:
        result = optimize.run("task", "question", scores(1.0, 2.0, 3.0, 4.0, 5.0), x0="X0 " + "word " * 40, max_steps=4)
    assert result[1] == [1.0, 2.0, 3.0, 4.0, 5.0]
    lengths = [sum(len(message["content"]) for message in one.body["messages"]) for one in server.requests]
    assert lengths[3] < lengths[2]


def test_custom_prompts_may_hold_braces(serve) -> None:
    """JSON in a prompt of one's own reaches the model as it is; the predecessor raised KeyError."""
    with serve(fenced("X1")) as server:
        optimize.run(
            "the task",
            "the question",
            scores(1.0, 2.0),
            x0="X0",
            max_steps=1,
            system_prompt='Answer like {"a": 1}: {task_description}',
            human_prompt='{x} gave {fx} {"b": {}} {task_question}',
        )
        system, *_, last = [message["content"] for message in server.requests[0].body["messages"]]
    assert system.startswith('Answer like {"a": 1}: the task')
    assert "X0" in last
    assert '{"b": {}} the question' in last


# --- where the predecessor lost or froze a run -----------------------------------------------------------------------


def test_a_scorer_that_raises_is_feedback(serve) -> None:
    """One candidate that breaks the scorer does not end the run; the model sees what was raised."""
    with serve(fenced("X1"), fenced("X2")) as server:
        result = optimize.run("task", "question", scores(1.0, ValueError("no fish"), 3.0), x0="X0", max_steps=2)
        assert "no fish" in str(server.requests[1].body["messages"])
    assert result == (3.0, [1.0, 3.0], "\nX2\n")


@pytest.mark.parametrize("value", [float("nan"), None, "high", (None, "text")])
def test_a_score_that_is_none_is_a_failure(serve, value) -> None:
    """What cannot be compared never becomes the best, and freezes nothing."""
    bad = (value, "text") if not isinstance(value, tuple) else value
    with serve(fenced("X1"), fenced("X2")):
        assert optimize.run("task", "question", scores(1.0, bad, 2.0), x0="X0", max_steps=2)[1] == [1.0, 2.0]


def test_a_start_that_fails_is_said_before_anything_is_paid(serve) -> None:
    """An x0 that cannot be scored ends the run with the reason, and no request was made."""
    with serve() as server:
        with pytest.raises(StartFailed, match="no such file"):
            optimize.run("task", "question", scores(OSError("no such file")), x0="X0")
        assert server.requests == []


def test_without_a_start_the_model_writes_the_first(serve) -> None:
    """``x0=None`` is allowed: the scorer only ever sees texts."""
    score = scores(1.0, 2.0)
    with serve(fenced("X1"), fenced("X2")):
        assert optimize.run("task", "question", score, max_steps=2)[0] == 2.0
    assert score.seen == ["\nX1\n", "\nX2\n"]


def test_a_bare_number_is_a_score(serve) -> None:
    """A scorer without a text to give returns its number alone."""
    with serve(fenced("longer")):
        assert optimize.run("task", "question", len, x0="X0", max_steps=1) == (8, [2, 8], "\nlonger\n")


def test_a_repeated_candidate_is_not_scored_again(serve) -> None:
    """An exact copy is asked for again instead of being evaluated."""
    score = scores(1.0, 2.0)
    with serve(fenced("X0"), fenced("X1")):
        assert optimize.run("task", "question", score, x0="X0", max_steps=1)[0] == 2.0
    assert score.seen == ["X0", "\nX1\n"]


def test_no_limit_of_steps(serve) -> None:
    """``max_steps=None`` goes on until the stop score."""
    with serve(*(fenced(f"X{i}") for i in range(1, 13))):
        result = optimize.run("task", "question", scores(*range(13)), x0="X0", max_steps=None, stop_score=12)
    assert len(result[1]) == 13


def test_a_rate_limit_is_waited_for(serve) -> None:
    """Status 429 with Retry-After is tried again and costs no step."""
    busy = Answer("slow down", status=429, headers={"Retry-After": "0"})
    with serve(busy, fenced("X1")):
        assert optimize.run("task", "question", scores(1.0, 2.0), x0="X0", max_steps=1)[0] == 2.0


@pytest.mark.parametrize(
    ("reply", "candidate"),
    [
        ("```python\nprint(1)\n```", "\nprint(1)\n"),
        ("```c++\nint x;\n```", "\nint x;\n"),
        ("A note.\n\n```\n    kept = 1\n```\n\nDone.", "\n    kept = 1\n"),
    ],
)
def test_the_candidate_in_a_reply(serve, reply, candidate) -> None:
    """Tags are no part of the candidate, indentation is, and so are the line ends inside the fence."""
    score = scores(1.0, 2.0)
    with serve(reply):
        optimize.run("task", "question", score, x0="X0", max_steps=1)
    assert score.seen[1] == candidate


def test_nothing_is_printed_unless_wanted(serve, capsys) -> None:
    """``verbose=False`` prints nothing; otherwise lines without escapes where there is no terminal."""
    with serve(fenced("X1"), fenced("X1")):
        optimize.run("task", "question", scores(1.0, 2.0), x0="X0", max_steps=1, verbose=False)
        assert capsys.readouterr().out == ""
        optimize.run("task", "question", scores(1.0, 2.0), x0="X0", max_steps=1)
        shown = capsys.readouterr().out
    assert "f says 2.0" in shown
    assert "\x1b" not in shown


# --- models -----------------------------------------------------------------------------------------------------------


def test_without_a_key_nothing_is_evaluated() -> None:
    """No model to be had: one line that names the remedy, before the scorer is called."""
    score = scores(1.0)
    with pytest.raises(BadInput, match="OPENAI_API_KEY"):
        optimize.run("task", "question", score, x0="X0")
    assert score.seen == []


def test_changed_options_reach_the_next_request(serve) -> None:
    """Keys of the dict go to the request body, also for a model that was made before."""
    with serve(fenced("X1"), fenced("X2"), fenced("X3")) as server:
        model = llm.get_default_llm()
        llm.default_llm_options.update(model_name="other", temperature=0.25, max_tokens=99)
        optimize.run("task", "question", scores(1.0, 2.0), x0="X0", max_steps=1)
        optimize.run("task", "question", scores(1.0, 2.0), x0="X0", max_steps=1, model=model)
        bodies = [one.body for one in server.requests]
    assert [(body["model"], body["temperature"], body["max_tokens"]) for body in bodies] == [("other", 0.25, 99)] * 2


def test_the_old_name_of_the_server_in_the_environment(serve, monkeypatch) -> None:
    """``OPENAI_API_BASE``, which the predecessor's client read, still names the server."""
    with serve(fenced("X1")) as server:
        monkeypatch.delenv("OPENAI_BASE_URL")
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        assert optimize.run("task", "question", scores(1.0, 2.0), x0="X0", max_steps=1)[0] == 2.0


def test_an_old_model_object() -> None:
    """``model=`` takes what the predecessor took: called with messages that have ``.content``, returning the same."""
    asked: list[list[str]] = []

    def model(messages):
        asked.append([message.content for message in messages])
        return SimpleNamespace(content=fenced("X1"))

    assert optimize.run("task", "question", scores(1.0, 2.0), "X0", 1, model, False) == (2.0, [1.0, 2.0], "\nX1\n")  # noqa: FBT003 - positional, as callers wrote it
    assert "X0" in asked[0][-1]


def test_an_old_model_object_that_is_called_with_a_text() -> None:
    """``call_as_llm``, the other way in which the predecessor called a model, serves a scorer."""
    model = SimpleNamespace(call_as_llm=lambda text: f"final_score={len(text)}")
    scorer = eval_utils.get_llm_scorer("{x}", parse_score=lambda reply: float(reply.split("=")[1]), model=model)
    assert scorer("four") == (4.0, "final_score=4")


# --- the sketches of the predecessor's README -------------------------------------------------------------------------


def test_the_bowl(serve) -> None:
    """The README's black-box sketch: a vector as text, scored by minus its height."""

    def f(x: str) -> tuple[float, str]:
        vector = [float(part) for part in x.strip().strip("[]").split(",")]
        height = sum(value**2 for value in vector)
        return -height, f"f(x) = {-height}"

    with serve(fenced("[1.0, 1.0]"), fenced("[0.5, 0.0]")):
        best_score, history, best_x = optimize.run("maximize f", "What next?", f, x0="[3.0, 4.0]", max_steps=2)
    assert (best_score, history, best_x.strip()) == (-0.25, [-25.0, -2.0, -0.25], "[0.5, 0.0]")


def test_code_golf(serve) -> None:
    """The README's code golf sketch: the shorter program wins only while it is right."""

    def f(x: str) -> tuple[float, str]:
        try:
            made = eval_utils.exec_with_timeout_unsafe(
                f"{x}\ny = [double(n) for n in (0, 2)]", {}, ["y"], timeout_secs=10
            )
        except (SyntaxError, NameError, TypeError) as error:
            return -1000, repr(error)
        return (-len(x.strip()), "right") if made["y"] == [0, 4] else (-1000, f"double gave {made['y']}")

    start = "def double(number):\n    return number + number\n"
    with serve(fenced("double = lambda n: n * n + 1"), fenced("double=lambda n:2*n")):
        best_score, history, best_x = optimize.run("shorten", "What next?", f, x0=start, max_steps=2)
    assert (best_score, history[1]) == (-19, -1000)
    assert best_x.strip() == "double=lambda n:2*n"


def test_every_error_on_purpose_is_one_tree() -> None:
    """Whoever catches ``LLMOptimizeError`` catches whatever the front door raises on purpose."""
    with pytest.raises(LLMOptimizeError):
        optimize.run("task", "question", "not a function", x0="X0")
