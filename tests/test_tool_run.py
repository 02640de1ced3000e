"""A run with tools over real HTTP: each kind of tool, an unknown, a raising and a hanging one; killed and resumed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llm_optimize.cli import main as command_line
from llm_optimize.core.events import Proposed
from llm_optimize.stores.sqlite import SQLiteStore
from llm_optimize.testing.server import Answer, ScriptedServer

SESSION = Path(__file__).parent / "helpers" / "tool_session.py"
GOOD = (
    ("profile_table", {"columns": ["size"]}),
    ("run_python", {"code": "sum(range(10))"}),
    ("add", {"a": 40, "b": 2}),
)
BAD = (("lookup", {"word": "x"}), ("broken", {"word": "fnord"}), ("endless", {}), ("add", '{"a": '))


pytestmark = pytest.mark.xdist_group("tool_run")  # one undisturbed run is enough for all


def answer(body, _index):
    """Call the tools that work, then those that do not, then answer; the second step is answered at once."""
    turns = sum(message["role"] == "assistant" and "tool_calls" in message for message in body["messages"])
    if any("Result of attempt #0" in str(message["content"]) for message in body["messages"]):
        return "Longer still.\n```\nthe second longest line\n```"
    if turns == 0:
        return Answer(None, tool_calls=GOOD)
    if turns == 1:
        return Answer("Now the others.", tool_calls=BAD)
    return "Longer.\n```\na longer line\n```"


def uses(path):
    """Return the tool uses in the study's log, one list for each proposal."""
    with SQLiteStore(path) as store:
        return [list(event.tools) for _, event in store.read("tools") if isinstance(event, Proposed)]


def run_session(path, server, *, end=0):
    """Run the session in a process of its own and return its exit code."""
    command = [sys.executable, str(SESSION), str(path), server.url]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == end, done.stderr.decode()[-2000:]


def check_log(path):
    """Every call is in the log with what the model was told of it."""
    start, first, second = uses(path)
    assert (start, second) == ([], [])
    assert [(use.name, use.ok) for use in first] == [
        *((name, True) for name, _ in GOOD),
        *((name, False) for name, _ in BAD),
    ]
    told = [use.result for use in first]
    assert "min 0, quartiles 4.75 9.5 14.25, max 19" in told[0]
    assert "with target 1.00" in told[0]
    assert told[1:3] == ["45", "42"]
    assert told[3].startswith("there is no tool 'lookup'; there are: profile_table, run_python, broken, endless, add")
    assert told[4].startswith("broken failed: LookupError: the dictionary has no 'fnord' (tool_session.py:")
    assert told[5] == "endless gave no result within 0.2 s and is not waited for any longer"
    assert "its arguments do not fit: they are no JSON" in told[6]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that ran through undisturbed, with the requests that it sent."""
    path = tmp_path_factory.mktemp("tools") / "studies.db"
    with ScriptedServer(answer) as server:
        run_session(path, server)
        return path, [request.body for request in server.requests], server.counts()


def test_every_call_is_answered_and_none_ends_the_study(finished) -> None:
    """Whatever a tool does, the model is told and answers in the end; both steps give a candidate."""
    path, bodies, counts = finished
    check_log(path)
    assert (len(bodies), counts["charged"]) == (4, 4)
    assert [tool["function"]["name"] for tool in bodies[0]["tools"]] == [
        *("profile_table", "run_python", "broken", "endless", "add"),
    ]
    roles = [message["role"] for message in bodies[2]["messages"]]
    assert roles == ["system", "user", "assistant", *["tool"] * 3, "assistant", *["tool"] * 4]
    calls = [call for message in bodies[2]["messages"] for call in message.get("tool_calls", ())]
    answered = [message["tool_call_id"] for message in bodies[2]["messages"] if message["role"] == "tool"]
    assert answered == [call["id"] for call in calls]
    assert len(set(answered)) == len(answered)
    assert calls[-1]["function"]["arguments"] == "{}", "a malformed call was sent back as it was"


def test_a_run_with_tools_that_is_killed_asks_nothing_again(tmp_path, finished) -> None:
    """The tools of an interrupted proposal run again, its recorded replies are not asked for; the log is the same."""
    path = tmp_path / "studies.db"
    processes = []

    def killing(body, index):
        if index == 2:
            processes[0].send_signal(signal.SIGKILL)
        return answer(body, index)

    with ScriptedServer(killing) as server:
        command = [sys.executable, str(SESSION), str(path), server.url]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            processes.append(process)
        assert process.returncode == -signal.SIGKILL
        assert uses(path) == [[]], "the killed proposal is in the log"
        before = len(server.requests)
        run_session(path, server)
        after = [request.key for request in server.requests[before:]]
        assert server.charged == 4
        assert len(after) == 2, "a recorded reply was asked for again"
        assert set(after) & {request.key for request in server.requests[:2]} == set()
    check_log(path)
    assert [[(use.name, use.result) for use in one] for one in uses(path)] == [
        [(use.name, use.result) for use in one] for one in uses(finished[0])
    ]


def test_the_command_line_shows_every_use(finished, capsys) -> None:
    """`show` counts the calls, `show --log` has a line for each of them, `--json` all of it."""
    path, *_ = finished
    assert command_line(["show", "tools", "--store", str(path)]) == 0
    assert "7 calls: add 2, profile_table 1, run_python 1" in capsys.readouterr().out
    assert command_line(["show", "tools", "--log", "--store", str(path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("    tool ")]
    assert len(lines) == 7
    assert lines[1].startswith('    tool run_python({"code": "sum(range(10))"}), ')
    assert lines[1].endswith(": 45")
    assert lines[4].startswith('    tool broken({"word": "fnord"}) failed, ')
    assert command_line(["show", "tools", "--log", "--json", "--store", str(path)]) == 0
    assert '"name":"endless"' in capsys.readouterr().out
