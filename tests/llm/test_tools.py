"""Tools: functions as a model sees them, and calls that always end in a text for the model."""

from __future__ import annotations

import dataclasses
import functools
import json
import pickle
import subprocess
import sys
import threading
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field

from llm_optimize.core.chat import ToolCall
from llm_optimize.core.metering import Scope, current_scope, entered
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput
from llm_optimize.llm.tools import LONGEST_RESULT, Tool, ToolFailed, as_text, as_tool, as_tools, call_tool

NOTHING = {"type": "object", "properties": {}}


@dataclasses.dataclass
class Point:
    """A place."""

    x: float
    y: float = 0.0


class Filter(BaseModel):
    """What is looked for."""

    word: str
    least: Annotated[int, Field(ge=0)] = 1


def search(  # noqa: PLR0913, PLR0917 - one parameter of each kind
    words: list[str],
    count: int = 3,
    order: Literal["best", "newest"] = "best",
    near: Point | None = None,
    wanted: Filter | None = None,
    share: Annotated[float, "between 0 and 1"] = 0.5,
    exact: bool = False,  # noqa: FBT001, FBT002 - a model gives it by name
    weights: dict[str, float] | None = None,
) -> str:
    """Search the archive.

    Use it for everything older than a year.

    Args:
        words: what to look for,
            one word each.
        count (int): how many results.
        order: which first.
        near: a place.
        wanted: what each must have.
        share: of the archive.
        exact: no other forms of the words.
        weights: of the words.

    Returns:
        The results.
    """
    return repr((words, count, order, near, wanted, share, exact, weights))


def test_a_function_becomes_a_schema() -> None:
    """Types, defaults, choices and descriptions are in it; what is not given is not required."""
    spec = as_tool(search).spec
    assert (spec.name, spec.description) == (
        "search",
        "Search the archive.\n\nUse it for everything older than a year.",
    )
    schema = spec.parameters
    assert (schema["type"], schema["required"], schema["additionalProperties"]) == ("object", ["words"], False)
    shown = schema["properties"]
    assert shown["words"] == {
        "type": "array",
        "items": {"type": "string"},
        "description": "what to look for, one word each.",
    }
    assert shown["count"] == {"type": "integer", "default": 3, "description": "how many results."}
    assert (shown["order"]["enum"], shown["order"]["description"]) == (["best", "newest"], "which first.")
    assert shown["share"] == {"type": "number", "default": 0.5, "description": "between 0 and 1"}
    assert {"$ref": "#/$defs/Point"} in shown["near"]["anyOf"]
    assert schema["$defs"]["Filter"]["properties"]["least"]["minimum"] == 0
    json.dumps(schema)


def test_arguments_arrive_as_the_functions_types() -> None:
    """Nested values become dataclasses and models; a number written as text is a number."""
    given = {"words": ["a"], "count": "7", "near": {"x": 1}, "wanted": {"word": "w"}, "exact": True}
    use = as_tool(search).call(json.dumps(given))
    assert use.ok
    assert use.result == repr((["a"], 7, "best", Point(1.0), Filter(word="w"), 0.5, True, None))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("{}", "words: it is required"),
        ('{"words": "a"}', "words: Input should be a valid list"),
        ('{"words": [], "wrods": 1}', "wrods: there is no such parameter"),
        ('{"words": [], "order": "worst"}', "order: Input should be 'best' or 'newest'"),
        ('{"words": [], "wanted": {"word": "w", "least": -1}}', "wanted.least: Input should be greater than or equal"),
        ('{"words": [', "they are no JSON"),
        ("[1]", "they must be a JSON object, not list"),
        ("[" * 100_000, "they are no JSON"),
    ],
)
def test_arguments_that_do_not_fit_are_told(arguments, reason) -> None:
    """The function is not called; the model reads which argument is wrong and why."""
    use = as_tool(search).call(arguments)
    assert not use.ok
    assert use.result.startswith("search was not called, its arguments do not fit: ")
    assert reason in use.result
    assert use.arguments == arguments


class Archive:
    """Has methods."""

    def find(self, word: str) -> str:
        """Find a word."""
        return f"found {word}"

    def __call__(self, word: str) -> str:
        """Find it too."""
        return f"called for {word}"


def test_methods_partials_and_callable_objects_are_functions_too() -> None:
    """Whatever can be called by name; one without a name is given one."""
    assert as_tool(Archive().find).call('{"word": "x"}').result == "found x"
    assert as_tool(Archive(), name="ask").call('{"word": "x"}').result == "called for x"
    half = functools.partial(search, words=["w"])
    assert "'w'" in as_tool(half, name="half", description="Search for w.").call("").result


def unannotated(a):
    """Take anything."""


def starred(*a: int) -> None:
    """Take many."""


def double_starred(**a: int) -> None:
    """Take all."""


def positional(a: int, /) -> None:
    """Take one."""


def strange(a: threading.Lock) -> None:
    """Take a lock."""


def unknown(a: Nowhere) -> None:  # noqa: F821 - a type that is imported for type checkers only
    """Take something."""


async def later() -> None:
    """Wait."""


def many():
    """Yield."""
    yield 1


def undocumented(a: int) -> int:
    return a


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([unannotated], "tools: 'unannotated' has no annotation for 'a'"),
        ([starred], r"'starred' takes \*a"),
        ([double_starred], r"'double_starred' takes \*\*a"),
        ([positional], "takes 'a' by position only"),
        ([strange], "has a parameter of a type that no JSON stands for"),
        ([unknown], "annotation that cannot be read .*Nowhere"),
        ([later], "is asynchronous"),
        ([many], "is a generator"),
        ([undocumented], "'undocumented' has no description"),
        ([Point], "is a class"),
        ([max], "tells nothing about its parameters"),
        ([lambda a: a], "'<lambda>'"),
        ([search, search], "two of them are called 'search': rename one"),
        ([7], "tools holds int"),
        (search, "tools is function: give a list"),
        ("search", "tools is str: give a list"),
    ],
)
def test_functions_that_no_model_can_call_are_refused_in_a_line(tools, said) -> None:
    """Before anything is spent, with the tool's name and the remedy."""
    with pytest.raises(BadInput, match=said) as caught:
        as_tools(tools)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("tools")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "a b"}, "'a b' is no name for a tool"),
        ({"name": "x" * 65}, "is no name"),
        ({"description": " "}, "has no description"),
        ({"parameters": {"type": "string"}}, "no schema of an object"),
        ({"parameters": {"type": "object", "x": {1}}}, "cannot be written as JSON"),
        ({"function": 7}, "give a function"),
        ({"timeout": 0}, "give seconds"),
        ({"timeout": float("inf")}, "give seconds"),
    ],
)
def test_a_tool_that_cannot_be_sent_is_refused(fields, said) -> None:
    """Endpoints answer such a request with an error that names no tool."""
    good = {"name": "f", "description": "F.", "parameters": NOTHING, "function": len}
    with pytest.raises(BadInput, match=said):
        Tool(**(good | fields))


def test_a_tool_with_a_schema_of_its_own_is_checked_by_it() -> None:
    """Names and plain types are looked at; deeper checks are the function's."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": ["string", "null"]}, "c": {}},
        "required": ["a"],
        "additionalProperties": False,
    }
    tool = Tool("f", "F.", schema, lambda **given: given)
    assert tool.call('{"a": 1, "b": null, "c": [1]}').result == '{"a": 1, "b": null, "c": [1]}'
    for bad in ('{"a": "1"}', '{"a": true}', '{"b": "x"}', '{"a": 1, "b": 2}', '{"a": 1, "d": 2}'):
        assert not tool.call(bad).ok


def failing(error):
    """Return a tool whose function raises this."""

    def fail() -> None:
        raise error

    return Tool("fail", "Fail.", NOTHING, fail)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no such column"), "fail failed: ValueError: no such column (test_tools.py:"),
        (SystemExit(3), "fail failed: SystemExit: 3"),
        (BaseException("odd"), "fail failed: BaseException: odd"),
        (RecursionError(), "fail failed: RecursionError"),
        (ToolFailed("there is no such column"), "there is no such column"),
        (ValueError("x" * 5_000), "characters cut"),
        (ValueError("\udc80"), "fail failed: ValueError: ?"),
    ],
)
def test_whatever_a_tool_raises_is_told_and_goes_no_further(error, told) -> None:
    """The text says what was raised and where; it is bounded and can be sent."""
    use = failing(error).call("")
    assert not use.ok
    assert told in use.result
    assert len(use.result) < 1_200
    use.result.encode()


def test_ctrl_c_in_a_tool_is_ctrl_c() -> None:
    """It is the person's wish to stop, not the tool's failure."""
    with pytest.raises(KeyboardInterrupt):
        failing(KeyboardInterrupt()).call("")


def test_a_tool_that_hangs_is_left_behind() -> None:
    """The model is told after how long, and the thread does not keep the process alive."""
    release = threading.Event()
    tool = Tool("wait", "Wait.", NOTHING, lambda: release.wait(60), timeout=0.05)
    use = tool.call("{}")
    left = [thread for thread in threading.enumerate() if thread.name == "tool-wait"]
    release.set()
    assert (use.ok, use.result) == (False, "wait gave no result within 0.05 s and is not waited for any longer")
    assert use.seconds >= 0.05
    assert [thread.daemon for thread in left] == [True]


class Loud:
    """Cannot be shown."""

    def __str__(self):
        """Fail."""
        message = "no text"
        raise ValueError(message)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is\n", "as it is\n"),
        (None, "(no result)"),
        (True, "true"),
        ([1, {"a": (2.5, None)}], '[1, {"a": [2.5, null]}]'),
        ({"é": {3}}, '{"é": [3]}'),
        (b"caf\xc3\xa9\xff", "café\ufffd"),
        (Point(1.0), '{"x": 1.0, "y": 0.0}'),
        (Filter(word="w"), '{"word": "w", "least": 1}'),
        (np.arange(3), "[0 1 2]"),
        (np.float64(1.5), "1.5"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (Archive, str(Archive)),
        ("\ud83d", "?"),
    ],
)
def test_any_result_becomes_a_text(value, text) -> None:
    """Texts as they are, data as JSON, anything else as Python shows it."""
    assert as_text(value) == text


def test_a_result_that_refers_to_itself_or_cannot_be_shown_is_told() -> None:
    """Neither ends the call."""
    circle: list[object] = []
    circle.append(circle)
    assert as_text(circle) == "[[...]]"
    use = Tool("f", "F.", NOTHING, Loud).call("")
    assert (use.ok, "no text" in use.result) == (False, True)


def test_a_long_result_is_cut_in_the_middle() -> None:
    """Its beginning and its end are told, and how much is missing."""
    use = Tool("f", "F.", NOTHING, lambda: "a" * 20_000 + "z").call("")
    assert use.ok
    assert "\n[... 10,001 characters cut ...]\n" in use.result
    assert (use.result[0], use.result[-1]) == ("a", "z")
    assert len(use.result) < LONGEST_RESULT + 50


def test_a_tool_works_inside_the_unit_that_called_it() -> None:
    """Model calls that a tool makes itself are on the proposal's account."""

    def spend() -> str:
        current_scope().add(Usage(calls=1), "m")
        return "spent"

    with entered(Scope("study", "proposal/1")) as scope:
        Tool("spend", "Spend.", NOTHING, spend).call("")
    assert scope.usage.calls == 1
    assert scope.account.by_role()["proposer"].calls == 1


def test_an_unknown_tool_is_told_with_those_that_there_are() -> None:
    """A model that invents a name can correct itself."""
    tools = {tool.name: tool for tool in as_tools([search])}
    use = call_tool(tools, ToolCall("1", "serach", "{}"))
    assert (use.name, use.ok, use.result) == ("serach", False, "there is no tool 'serach'; there are: search")


def test_tools_travel_to_other_processes() -> None:
    """A pickled tool checks its arguments as before."""
    again = pickle.loads(pickle.dumps(as_tool(search)))
    assert again.spec == as_tool(search).spec
    assert again.call('{"words": ["a"], "count": 2}').ok


def test_descriptions_are_as_short_as_endpoints_want_them() -> None:
    """OpenAI refuses more than 1,024 characters."""
    assert len(as_tool(search, description="x" * 5_000).spec.description) == 1024


def test_nothing_heavy_is_loaded_before_a_function_is_made_a_tool() -> None:
    """Importing the module and making a tool by hand needs the standard library only."""
    code = (
        "import sys; from llm_optimize.llm.tools import Tool; "
        "Tool('f', 'F.', {'type': 'object'}, len); sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
