"""Tools and several ideas against endpoints as they are: those that refuse, ignore and stream, over real HTTP."""

from __future__ import annotations

import itertools
import signal
import threading

import pytest

from llm_optimize import optimize
from llm_optimize.cli import main as command_line
from llm_optimize.core.events import Proposed
from llm_optimize.errors import BadInput
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.tools import Tool
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.stores.memory import MemoryStore
from llm_optimize.stores.sqlite import SQLiteStore
from llm_optimize.testing.quirks import Quirks
from llm_optimize.testing.server import Answer, ScriptedServer

COUNT = Tool("count", "Count.", {"type": "object", "properties": {}}, lambda: "one")


class Ear:
    """An observer that listens."""

    def __init__(self):
        self.events, self.pieces = [], []

    def __call__(self, event):
        self.events.append(event)

    def hear(self, piece):
        self.pieces.append(piece)

    @property
    def uses(self):
        """The tools called, by name and whether they returned."""
        return [(use.name, use.ok) for event in self.events if isinstance(event, Proposed) for use in event.tools]


def run(server, **options):
    settings = {"max_steps": 3, "x0": "start", "verbose": False, "store": None, "study": "one"} | options
    return optimize.run("The task.", "What is better?", len, model=f"{server.url}#scripted", **settings)


def texts():
    """Return a function that gives a longer text each time."""
    numbers = itertools.count(1)
    return lambda: f"Longer.\n```\n{'a' * next(numbers)} line\n```"


def calling():
    """Return an answering function whose model calls a tool before each answer, where it is offered one."""
    text = texts()

    def answer(body, _index):
        called = any(message["role"] == "tool" for message in body["messages"])
        if body.get("tools") and body.get("tool_choice") != "none" and not called:
            return Answer(None, tool_calls=[("count", {})])
        return text()

    return answer


@pytest.mark.parametrize("style", ["parameter", "words", "detail"])
def test_an_endpoint_that_refuses_tools_is_asked_without_them(style, caplog) -> None:
    """The run is the same without tools, and the user is told once."""
    ear = Ear()
    with ScriptedServer(calling(), quirks=Quirks(refuses={"tools": style})) as server:
        result = run(server, tools=[COUNT], observers=[ear])
        bodies = [request.body for request in server.requests]
    assert len(result.scores) == 4
    assert ear.uses == []
    assert ["tools" in body for body in bodies] == [True, False, False, False]
    assert len([one for one in caplog.records if "does not support 'tools'" in one.getMessage()]) == 1


def test_an_endpoint_that_ignores_tools_is_none_the_worse() -> None:
    """The model answers at once."""
    text = texts()
    with ScriptedServer(lambda _body, _index: text()) as server:
        assert len(run(server, tools=[COUNT]).scores) == 4
        assert server.charged == 3


def test_an_endpoint_that_refuses_the_end_of_calling_is_asked_without_it() -> None:
    """Where ``tool_choice`` cannot be sent, the words in the chat have to do."""

    def stubborn(body, index):
        ended = "No more tool calls" in str(body["messages"][-1]["content"])
        return f"Ok.\n```\nline {index}\n```" if ended else Answer(None, tool_calls=[("count", {})])

    ear = Ear()
    with ScriptedServer(stubborn, quirks=Quirks(refuses={"tool_choice": "words"})) as server:
        result = run(server, proposer=ChatProposer(_client(server), tools=[COUNT], tool_calls=2), observers=[ear])
    assert len(result.scores) == 4
    assert ear.uses == [("count", True)] * 6


def _client(server):
    return optimize.llm.connect(f"{server.url}#scripted")


def test_calls_that_are_streamed_are_carried_out_and_heard() -> None:
    """A listener hears the call, and then the answer while it is written."""
    ear = Ear()
    with ScriptedServer(calling()) as server:
        run(server, tools=[COUNT], observers=[ear], max_steps=1)
        assert [request.body.get("stream") for request in server.requests] == [True, True]
    assert ear.uses == [("count", True)]
    kinds = [piece.kind for piece in ear.pieces]
    assert "text" in kinds[kinds.index("tool") :]
    assert next(piece.text for piece in ear.pieces if piece.kind == "tool") == "count({})"


def proposals(store, study="one"):
    """Return each proposal's texts, ideas and origins."""
    events = [event for _, event in store.read(study) if isinstance(event, Proposed)]
    return [[(one.text, one.idea, one.origin, one.parent) for one in event.candidates] for event in events]


def test_ideas_come_by_one_call_or_by_several_with_the_same_record() -> None:
    """One request a step where ``n`` works, k elsewhere; the log holds the same candidates in the same proposals."""
    records, requests = [], []
    for quirks in (Quirks(), Quirks(ignores=frozenset({"n"})), Quirks(refuses={"n": "parameter"})):
        text = texts()

        def answer(body, _index, text=text, quirks=quirks):
            return Answer(text(), more=[text() for _ in range((quirks.heeded(body).get("n") or 1) - 1)])

        store = MemoryStore()
        with ScriptedServer(answer, quirks=quirks) as server:
            result = run(server, ideas=3, max_steps=6, store=store)
            requests.append(server.charged)
        records.append(proposals(store))
        assert len(result.scores) == 7
    assert records[0] == records[1] == records[2]
    assert requests == [2, 6, 6]


def test_ideas_by_one_call_are_counted_once() -> None:
    """The usage of a call with three answers is that of one call; the prompt is paid for once."""
    text = texts()
    with ScriptedServer(lambda _body, _index: Answer(text(), more=[text(), text()])) as server:
        together = run(server, ideas=3, max_steps=3).usage
    with ScriptedServer(lambda _body, _index: text(), quirks=Quirks(ignores=frozenset({"n"}))) as server:
        apart = run(server, ideas=3, max_steps=3).usage
    assert (together.calls, apart.calls) == (1, 3)
    assert together.tokens_in < apart.tokens_in / 2


TASK = """
TASK, QUESTION, x0, MAX_STEPS = "t", "q", "start", 1

def score(text):
    return len(text)

def count() -> str:
    "Count."
    return "one"

TOOLS = [count]
"""


def test_a_task_file_brings_its_tools(tmp_path, capsys) -> None:
    """`run` offers them; a list with something else in it is wrong usage."""
    path = tmp_path / "job.py"
    path.write_text(TASK)
    with ScriptedServer(calling()) as server:
        words = ["run", str(path), "--base-url", server.url, "--model", "scripted", "--study", "one"]
        assert command_line([*words, "--store", str(tmp_path / "a.db")]) == 0
        assert server.requests[0].body["tools"][0]["function"]["name"] == "count"
        before = len(server.requests)
        path.write_text(TASK.replace("[count]", "[count, 7]"))
        assert command_line([*words, "--store", str(tmp_path / "b.db")]) == 2
        assert len(server.requests) <= before + 1, "something was asked before the tools were looked at"
    assert "tools holds int" in capsys.readouterr().err


def test_tools_are_for_the_default_proposer() -> None:
    """Beside a proposer of the user's they would be left out in silence."""
    with pytest.raises(BadInput, match="tools are for the default proposer"):
        optimize.run("t", "q", len, "x", proposer=ChatProposer(ScriptedModel([])), tools=[COUNT], store=None)


def test_a_model_object_that_cannot_call_tools_is_told_of(caplog) -> None:
    """The predecessor's model objects take messages alone."""
    optimize.run(
        *("t", "q", len, "x"),
        model=lambda _messages: "Ok.\n```\nlonger\n```",
        max_steps=1,
        verbose=False,
        store=None,
        tools=[COUNT],
    )
    assert len([one for one in caplog.records if "cannot call tools" in one.getMessage()]) == 1


def test_ctrl_c_while_a_tool_hangs_ends_the_run_at_once() -> None:
    """The tool is not waited for; the result holds what there is."""
    waiting = threading.Event()

    def stuck() -> str:
        """Wait for Ctrl-C, and longer."""
        signal.raise_signal(signal.SIGINT)
        waiting.wait(60)
        return ""

    with ScriptedServer(lambda _body, _index: Answer(None, tool_calls=[("stuck", {})])) as server:
        result = run(server, tools=[stuck])
    waiting.set()
    assert result.interrupted
    assert result.best_x == "start"


def test_a_recorded_run_with_tools_is_repeated_offline(tmp_path, capsys) -> None:
    """The tools are called again, the recorded model answers; the same calls and candidates are in the log."""
    path, store = tmp_path / "job.py", ["--store", str(tmp_path / "a.db")]
    path.write_text(TASK)
    with ScriptedServer(calling()) as server:
        words = ["run", str(path), "--base-url", server.url, "--model", "scripted", "--study", "one"]
        assert command_line([*words, *store]) == 0
    recording = str(tmp_path / "run.jsonl")
    assert command_line(["export", "one", "--exchanges", recording, *store]) == 0
    assert command_line(["run", str(path), "--model", f"recorded:{recording}", "--study", "two", *store]) == 0
    capsys.readouterr()
    assert command_line(["show", "two", "--log", *store]) == 0
    assert "tool count({})" in capsys.readouterr().out
    with SQLiteStore(tmp_path / "a.db") as log:
        assert proposals(log, "one") == proposals(log, "two")
