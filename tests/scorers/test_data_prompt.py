"""A prompt as the candidate: its parts, its slots, its shots, and what is refused without a call."""

from __future__ import annotations

import pickle

import pytest

from llm_optimize import Failure, Message, ScriptedModel
from llm_optimize.errors import BadInput, ContextTooLong, ModelRefused
from llm_optimize.scorers.example import Example
from llm_optimize.scorers.prompt_task import Prompt, PromptTask, slots_of
from llm_optimize.testing.server import ScriptedServer

EXAMPLES = [Example({"word": word}, word.upper()) for word in ("one", "two", "three")]
SHOTS = [Example({"word": "four"}, "FOUR", key="four"), Example({"word": "five"}, "FIVE", key="five")]


def right(output, example):
    """Judge an answer."""
    return output == example.expected


def upper(request):
    """Answer with the last message in capitals."""
    return request.messages[-1].content.upper()


def task(template="{{word}}", model=None, **how):
    """Make a task about the words."""
    return PromptTask(template, model or ScriptedModel(upper), EXAMPLES, right, **how)


def test_parts_of_a_prompt() -> None:
    """Marks on lines of their own part a prompt; without any all of it is the user's."""
    whole = Prompt.of("\n[system]\nBe brief.\n\n[shots] a, b\nc\n[user] Say\n{{x}}\n")
    assert whole == Prompt("Be brief.", "Say\n{{x}}", ("a", "b", "c"))
    assert Prompt.of("  Say [user] {{x}} ") == Prompt("", "Say [user] {{x}}")
    assert Prompt.of("Say {{x}}\n[system]\nBe brief.") == Prompt("Be brief.", "Say {{x}}")


def test_what_is_said_to_the_model() -> None:
    """System part, shots as solved turns, then the question; settings go along, and the mean is the score."""
    model = ScriptedModel(upper)
    text = "[system]\nShout.\n[shots] five\n[user]\nThe word: {{ word }}"
    done = task(model=model, shots=SHOTS, settings={"temperature": 0})(text)
    assert done.score == 0.0
    one = next(request for request in model.requests if "one" in request.messages[-1].content)
    assert one.settings == {"temperature": 0}
    assert one.messages == (
        Message("system", "Shout."),
        Message("user", "The word: five"),
        Message("assistant", "FIVE"),
        Message("user", "The word: one"),
    )
    assert task()("{{word}}").examples == (1.0, 1.0, 1.0)


def test_a_value_that_looks_like_a_slot_stays() -> None:
    """Slots are filled in one pass, so data cannot reach other fields; single braces are text."""
    model = ScriptedModel(lambda request: "x")
    PromptTask("{{a}} {a} {{b}}", model, [Example({"a": "{{b}}", "b": "secret"}, "")], right)("{{a}} {a} {{b}}")
    assert model.requests[0].messages[0].content == "{{b}} {a} secret"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Say it.", "the slot {{word}} is lost: keep every slot of the template"),
        ("{word} or {{ word }", "the slot {{word}} is lost: keep every slot of the template"),
        ("{{word}} {{mood}}", "the slot {{mood}} is unknown: there are {{word}}"),
        ("[user]\n{{word}}\n[user]\nagain", "the part [user] stands there twice: write it once"),
        ("[system]\n{{word}}", "there is no user part: write the line [user] and below it what the model is asked"),
        ("[shots] six\n[user]\n{{word}}", "the shot 'six' is unknown: there are five, four"),
        ("[shots] five, four\n[user]\n{{word}}", "2 shots are chosen: choose at most 1"),
    ],
)
def test_what_is_no_prompt_is_never_evaluated(text, message) -> None:
    """A lost or unknown slot, a part too many or too few, an unknown shot: a failure that names it, without a call."""
    model = ScriptedModel(upper)
    assert task(model=model, shots=SHOTS, most_shots=1)(text) == Failure("prompt", message)
    assert model.requests == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: task("{{wort}}"), r"template: the slot \{\{wort\}\} is no input of examples\[0\], which has word"),
        (lambda: task("word"), r"template has no slot.*write \{\{word\}\} in it"),
        (lambda: task("[shots] six\n[user]\n{{word}}"), "template: the shot 'six' is unknown: there are none"),
        (lambda: task(shots=[Example({"word": "x"}, "X")]), r"shots\[0\].key is ''"),
        (lambda: task(shots=[*SHOTS, *SHOTS]), r"shots\[2\].key is 'four'"),
        (lambda: task(shots=[Example({"word": "one"}, "ONE", key="1")]), "shot '1' is also among the examples"),
        (lambda: task(shots=[Example({"wort": "x"}, "X", key="x")]), "is no input of shot 'x', which has wort"),
    ],
)
def test_a_task_that_cannot_work(make, message) -> None:
    """What is wrong with template, examples or shots is said before a call is made, with the name."""
    with pytest.raises(BadInput, match=message):
        make()


def test_trouble_with_the_model() -> None:
    """A refused request is no score; a prompt too long for the model's context is the candidate's failure."""
    with pytest.raises(ModelRefused):
        task(model=ScriptedModel(lambda request: ModelRefused("wrong key")))("{{word}}")
    done = task(model=ScriptedModel(lambda request: ContextTooLong("8192 tokens", 8192)))("{{word}}")
    assert isinstance(done, Failure)
    assert "the prompt does not fit into the model's context: 8192 tokens" in done.message


def test_the_words_for_a_run() -> None:
    """The description names marks, slots and the shots' keys; the start is the template."""
    words = task("[user]\n{{word}}", shots=SHOTS).description
    assert "{{word}}" in words
    assert "up to 5 keys of the list below" in words
    assert words.endswith("\n- four: four => FOUR\n- five: five => FIVE")
    assert "[shots]" not in task().description
    assert task().start == "{{word}}"
    assert slots_of("{{b}} {{a}} {{b}}") == ("b", "a")


def test_a_task_over_http_travels() -> None:
    """A pickled copy of a task, as another process gets it, asks the same server and comes to the same score."""
    with ScriptedServer(lambda body, index: body["messages"][-1]["content"].upper()) as server:
        made = PromptTask("{{word}}", f"{server.url}#scripted", EXAMPLES, right)
        assert made("{{word}}").score == 1.0
        copy = pickle.loads(pickle.dumps(made))
        assert copy == made
        assert copy("{{word}}!").score == 0.0
        assert server.charged == 6
    assert "three" not in repr(made)


def test_other_examples_for_a_verdict() -> None:
    """Sealed examples are scored by the same task, all of them."""
    assert task().on([Example({"word": "x"}, "X")])("{{word}}").examples == (1.0,)
