"""Tools of a real MCP server process: called, refused, killed, hanging, and always ended."""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest

from llm_optimize.errors import BadInput
from llm_optimize.toolbox import mcp_tools

SERVER = Path(__file__).parent.parent / "helpers" / "mcp_server.py"

pytestmark = pytest.mark.xdist_group("mcp")


def serve(*words, **options):
    return mcp_tools(sys.executable, [str(SERVER), *words], **options)


def pid_of(tools):
    return int(re.search(r"pid=(\d+)", tools["environment"].call("").result)[1])


@pytest.fixture(scope="module")
def tools():
    """The tools of a server that all gentle tests share."""
    with serve(timeout=30) as served:
        yield {tool.name: tool for tool in served}


def test_tools_are_listed_with_schemas_and_names_that_endpoints_take(tools) -> None:
    """Names outside the protocol are changed, equal ones told apart."""
    assert list(tools)[:7] == ["add", "picture", "figures", "refuse", "die", "hang", "environment"]
    assert list(tools)[7:] == ["math_add", "math_add_8"]
    spec = tools["add"].spec
    assert spec.description == "Add two numbers."
    assert (spec.parameters["type"], spec.parameters["required"]) == ("object", ["a"])
    assert tools["math_add_8"].call('{"a": 1, "b": 2}').result == "3"


@pytest.mark.parametrize(
    ("name", "arguments", "ok", "told"),
    [
        ("add", '{"a": 40, "b": 2}', True, "42"),
        ("add", '{"a": "x"}', False, "a: it must be of type integer"),
        ("add", "{}", False, "a: it is required"),
        ("picture", "", True, "[image, image/png, 2,000 bytes; it cannot be shown here]"),
        ("figures", "", True, '"mean": 1.5'),
        ("refuse", "", False, "Error executing tool refuse"),
    ],
)
def test_a_call_ends_in_a_text(tools, name, arguments, ok, told) -> None:
    """Results, structured ones too; pictures as a mark; refusals as the server words them."""
    use = tools[name].call(arguments)
    assert use.ok is ok
    assert told in use.result


def test_the_server_sees_no_keys_and_outlives_a_call_without_an_answer(monkeypatch) -> None:
    """It gets the path and the like, and what it is given on purpose; a timeout ends the call alone."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with serve(env={"ITS_OWN": "1"}, only=["environment", "hang"], timeout=1.0) as (hang, environment):
        use = hang.call("")
        assert (use.ok, use.result) == (False, "hang gave no result within 1 s and is not waited for any longer")
        names = environment.call("").result.split()
    assert "ITS_OWN" in names
    assert "PATH" in names
    assert "OPENAI_API_KEY" not in names


def test_a_server_that_dies_is_told_call_by_call(caplog) -> None:
    """The model reads that the connection is closed, the user is warned once, nothing is raised."""
    with serve() as served:
        tools = {tool.name: tool for tool in served}
        for name in ("die", "environment", "add"):
            use = tools[name].call('{"a": 1}' if name == "add" else "")
            assert not use.ok
            assert use.result == f"{name} failed: MCPError: Connection closed"
    assert len([one for one in caplog.records if "has ended" in one.message]) == 1


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_the_process_is_gone_when_the_block_is(error) -> None:
    """However the block is left, no process remains, and its tools say that they are of no use."""
    with pytest.raises(type(error)) if error else nullcontext(), serve() as served:
        tools = {tool.name: tool for tool in served}
        pid = pid_of(tools)
        if error:
            raise error
    assert not psutil.pid_exists(pid)
    use = tools["add"].call('{"a": 1}')
    assert (use.ok, use.result) == (False, "add cannot be called any more: its server has been closed")


@pytest.mark.parametrize(
    ("command", "args", "said"),
    [
        ("/no/such/program", [], "FileNotFoundError"),
        (sys.executable, [str(SERVER), "--die"], "Connection closed; it said: .*no licence found"),
        (sys.executable, [str(SERVER), "--hang"], "did not answer within 5 s"),
        (sys.executable, [str(SERVER), "--empty"], "has no tools"),
        ("cat", [], "is of no use as an MCP server"),
        (sys.executable, "no list", "of no use|give a command"),
        (7, [], "give a command"),
    ],
)
def test_what_is_no_server_is_refused_in_a_line(command, args, said) -> None:
    """Before anything is spent, with what the program said; its process is gone."""
    before = {one.pid for one in psutil.Process().children(recursive=True)}
    with pytest.raises(BadInput, match=said) as caught, mcp_tools(command, args, start_timeout=5):
        pass
    assert "\n" not in str(caught.value)
    assert {one.pid for one in psutil.Process().children(recursive=True)} <= before


def test_only_the_wanted_tools_are_offered() -> None:
    """A name that the server does not have is bad input, with those that it has."""
    with pytest.raises(BadInput, match=r"only names 'sub', which .* it has add, picture"), serve(only=["sub"]):
        pass
