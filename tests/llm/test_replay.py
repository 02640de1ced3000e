"""A recorded run is repeated offline with identical results; a run that departs from it is stopped where it departs."""

from __future__ import annotations

import json
import pickle
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.warm import Session

from llm_optimize import Budget, optimize
from llm_optimize.core.chat import Message, Request
from llm_optimize.core.events import Guided, Opened, Proposed, Stopped, Told
from llm_optimize.core.metering import Scope, entered
from llm_optimize.errors import BadInput, ContextTooLong, ModelRefused
from llm_optimize.eval_utils import get_llm_scorer
from llm_optimize.llm import as_chat_model, connect, have_model
from llm_optimize.llm.recording import export_exchanges
from llm_optimize.llm.replay import Replay
from llm_optimize.proposers.numeric import NumericProposer
from llm_optimize.stores import SQLiteStore
from llm_optimize.testing.server import Answer, ScriptedServer

SESSION = Path(__file__).parent.parent / "helpers" / "crash_session.py"
TASK = ("Write a longer line.", "What is longer?")


def score(text):
    """Return the length, and a word about it."""
    return len(text), f"{len(text)} characters"


def longer(body, index):
    """Return a longer line each time."""
    return f"Longer is better.\n```\n{'line ' * (index + 1)}\n```"


def run(store, model, func=score, **options):
    """Run the task with a log at ``store``."""
    given = {"x0": "start", "max_steps": 6, "verbose": False, "study": "s", "seed": 3} | options
    return optimize.run(*TASK, func, model=model, store=store, **given)


def log(path, study="s"):
    """Return a study's events as they are but for times of day and wall times."""
    with SQLiteStore(path) as store:
        return [timeless(event) for _, event in store.read(study)]


def timeless(event):
    changes = {"at": 0.0}
    if isinstance(event, Told):
        changes["seconds"] = 0.0
    if isinstance(event, Proposed):
        changes["tools"] = tuple(replace(use, seconds=0.0) for use in event.tools)
    if isinstance(event, Opened):
        changes["settings"] = {}
    return replace(event, **changes)


def results(path, study="s"):
    """Return the events of a log that make its results."""
    return [event for event in log(path, study) if not isinstance(event, Opened | Stopped)]


def export(path, target, study="s"):
    """Write the recording and return the name that replays it."""
    with SQLiteStore(path) as store:
        export_exchanges(store, study, target)
    return f"recorded:{target}"


@pytest.fixture
def recording(tmp_path):
    """Give the name of a recording of six steps, its server long closed."""
    with ScriptedServer(longer) as server:
        run(tmp_path / "a.db", f"{server.url}#scripted")
    return export(tmp_path / "a.db", tmp_path / "run.jsonl")


@pytest.mark.parametrize("parallel", [1, 4])
def test_the_same_run_offline(tmp_path, parallel):
    """Candidates, scores, usage, account and the order of the log are the same, with the server closed."""
    draw = random.Random(parallel)
    pauses = [draw.random() * 0.02 for _ in range(40)]
    with ScriptedServer(lambda body, index: Answer(longer(body, index), delay=pauses[index])) as server:
        slow = {len("line " * n): pauses[-n] for n in range(1, 30)}

        def uneven(text):
            time.sleep(slow.get(len(text.strip()) + 1, 0.0))
            return score(text)

        first = run(tmp_path / "a.db", f"{server.url}#scripted", uneven, max_steps=24, parallel=parallel)
    name = export(tmp_path / "a.db", tmp_path / "run.jsonl")
    second = run(tmp_path / "b.db", name, max_steps=24, parallel=parallel)
    assert second.error is None
    assert log(tmp_path / "a.db") == log(tmp_path / "b.db")
    assert second.usage == first.usage
    assert second.history.account == first.history.account
    assert second.scores == first.scores
    assert len(second.scores) == 25
    export(tmp_path / "b.db", tmp_path / "again.jsonl")
    lines, again = ((tmp_path / file).read_text().splitlines() for file in ("run.jsonl", "again.jsonl"))
    assert sorted(lines[1:]) == sorted(again[1:]), "a replay's own recording is another one"


def test_judges_are_replayed_too(tmp_path):
    """A scorer that asks a model of its own, several times with the same words, gets the same answers again."""
    with ScriptedServer(longer) as server:
        grades = iter(range(100))
        with ScriptedServer(lambda body, _: f"grade={next(grades) * 7 % 11}") as judges:
            first = run(tmp_path / "a.db", f"{server.url}#writer", panel(f"{judges.url}#judge"), parallel=2)
    name = export(tmp_path / "a.db", tmp_path / "run.jsonl")
    second = run(tmp_path / "b.db", name, panel(f"{name}#judge"), parallel=2)
    assert second.error is None
    assert results(tmp_path / "a.db") == results(tmp_path / "b.db")
    assert second.history.account == first.history.account
    assert {model for _, model in second.history.account.rows} == {"writer", "judge"}
    assert first.usage.calls == 6 + 2 * 7


def panel(model):
    judge = get_llm_scorer("Grade: {x}", lambda reply: float(reply.partition("=")[2]), model=model)
    return lambda text: sum(judge(text)[0] for _ in range(2)) / 2


def begin(path, server, notes, parallel):
    return Session(SESSION, path, server.url, notes, 25, parallel, errors=path.with_name("errors"))


def kill_in_mid_run(path, server, notes, parallel, after):
    process = begin(path, server, notes, parallel)
    while len(server.requests) < after and process.poll() is None:
        time.sleep(0.0005)
    process.kill()
    process.wait(60)


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_killed_and_resumed_run_replays_as_one(tmp_path, parallel):
    """Sessions that were killed and resumed make one recording, which replays in one session with the same results."""
    path, notes = tmp_path / "a.db", tmp_path / "notes"
    with ScriptedServer(lambda _, index: f"```\nline {index:03d}\n```", latency=0.005) as server:
        for after in (6, 15):
            kill_in_mid_run(path, server, notes, parallel, after)
        last = begin(path, server, notes, parallel)
        errors = last.wait(120)
        assert last.returncode == 0, errors
    assert sum(isinstance(event, Opened) for event in log(path, "crash")) > 1, "it was never killed"
    name = export(path, tmp_path / "run.jsonl", "crash")
    func, options = (lambda text: float(len(text))), {"max_steps": 25, "study": "crash", "seed": 0}
    again = run(tmp_path / "b.db", name, func, parallel=parallel, **options)
    assert again.error is None
    before, after = results(path, "crash"), results(tmp_path / "b.db", "crash")
    assert [event for event in before if isinstance(event, Told)] == [e for e in after if isinstance(e, Told)]
    assert before == after


def test_a_replay_that_is_stopped_goes_on(tmp_path, recording):
    """A replay is a study like any other: it stops after three steps and a second session goes on to the end."""
    run(tmp_path / "b.db", recording, max_steps=3)
    assert run(tmp_path / "b.db", recording).error is None
    assert results(tmp_path / "a.db") == results(tmp_path / "b.db")


@pytest.mark.parametrize("budget", [Budget(tokens=8000), Budget(dollars=0.03), Budget(evaluations=5)])
def test_a_budget_ends_a_replay_where_it_ended_the_run(tmp_path, budget):
    """Estimates, limits and prices come out as they did, so that the same cap allows the same calls."""
    with ScriptedServer(longer) as server:
        first = run(tmp_path / "a.db", f"{server.url}#gpt-4o", max_steps=40, budget=budget)
    second = run(tmp_path / "b.db", export(tmp_path / "a.db", tmp_path / "run.jsonl"), max_steps=40, budget=budget)
    assert (second.reason, second.usage, second.error) == (first.reason, first.usage, first.error)
    assert "budget" in first.reason
    assert log(tmp_path / "a.db") == log(tmp_path / "b.db")


def test_guidance_comes_where_it_came(tmp_path):
    """What a person said between two sessions is said again at the same place of the replay."""
    with ScriptedServer(longer) as server:
        run(tmp_path / "a.db", f"{server.url}#scripted", max_steps=3)
        with SQLiteStore(tmp_path / "a.db") as store:
            store.append("s", Guided("prefer vowels", time.time()))
        run(tmp_path / "a.db", f"{server.url}#scripted")
    assert run(tmp_path / "b.db", export(tmp_path / "a.db", tmp_path / "run.jsonl")).error is None
    assert results(tmp_path / "a.db") == results(tmp_path / "b.db")
    assert Guided("prefer vowels") in results(tmp_path / "b.db")


def test_a_run_with_tools_is_replayed(tmp_path):
    """Tools are called again, their results are the same, and what the model said in between is replayed."""

    def count(word: str) -> int:
        """Count the letters of a word."""
        return len(word)

    def answer(body, index):
        if body["messages"][-1]["role"] == "tool":
            return longer(body, index)
        return Answer(None, finish_reason="tool_calls", tool_calls=[("count", {"word": "abc"})])

    with ScriptedServer(answer) as server:
        first = run(tmp_path / "a.db", f"{server.url}#scripted", max_steps=3, tools=[count])
    name = export(tmp_path / "a.db", tmp_path / "run.jsonl")
    assert run(tmp_path / "b.db", name, max_steps=3, tools=[count]).error is None
    assert results(tmp_path / "a.db") == results(tmp_path / "b.db")
    assert [use.result for event in log(tmp_path / "b.db") if isinstance(event, Proposed) for use in event.tools] == [
        *("3", "3", "3")
    ]
    assert first.usage.calls == 6
    with pytest.raises(ModelRefused, match=r"the tools differ: recorded \['count'\], asked \[\]; tools changed"):
        run(tmp_path / "c.db", name, max_steps=3)
    with pytest.raises(ModelRefused, match=r"proposal/0/.*message \d+ \(tool\), character 0: recorded '3', asked '6'"):
        run(tmp_path / "d.db", name, max_steps=3, tools=[spelled_otherwise])


def spelled_otherwise(word: str) -> int:
    """Count the letters of a word."""
    return 2 * len(word)


spelled_otherwise.__name__ = "count"


def test_several_ideas_of_one_call_are_replayed(tmp_path):
    """A run with ideas=3 is repeated, whether its server gave several answers to one call or one to each."""
    with ScriptedServer(longer) as server:
        first = run(tmp_path / "a.db", f"{server.url}#scripted", max_steps=9, ideas=3)
    name = export(tmp_path / "a.db", tmp_path / "run.jsonl")
    second = run(tmp_path / "b.db", name, max_steps=9, ideas=3)
    assert second.error is None
    assert results(tmp_path / "a.db") == results(tmp_path / "b.db")
    assert second.usage == first.usage


def test_prompts_that_were_too_long_are_so_again(tmp_path):
    """Where the endpoint refused a prompt and a shorter one was sent, the replay goes the same way."""

    def narrow(body, index):
        if sum(len(message["content"]) for message in body["messages"]) > 2500:
            return Answer("maximum context length is 600 tokens", status=400, code="context_length_exceeded")
        return longer(body, index)

    with ScriptedServer(narrow) as server:
        run(tmp_path / "a.db", f"{server.url}#scripted", max_steps=12)
        refused = sum(received.status == 400 for received in server.requests)
    assert refused > 0
    name = export(tmp_path / "a.db", tmp_path / "run.jsonl")
    assert run(tmp_path / "b.db", name, max_steps=12).error is None
    assert results(tmp_path / "a.db") == results(tmp_path / "b.db")
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert sum("refused" in json.loads(line) for line in lines) == refused


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"x0": "begin"}, r"proposal/0/ask-0: .*message 1 \(user\), character \d+: recorded 'start.*asked 'begin.*x0"),
        ({"system_prompt": "Be terse. {task_description}"}, r"message 0 \(system\), character 0: .*system_prompt"),
        ({"human_prompt": "{x} has {fx}: {task_question}!"}, r"message 1 \(user\), .*human_prompt"),
        ({"func": len}, r"proposal/0/ask-0: .*characters.*what func says of a candidate"),
    ],
)
def test_a_mismatch_says_where_the_prompts_part(tmp_path, recording, change, where):
    """Unit, key, message, role, place, both sides and what probably changed are in the error's one line."""
    with pytest.raises(ModelRefused, match=where) as caught:
        run(tmp_path / "b.db", recording, **change)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "run.jsonl") in str(caught.value)


def test_a_mismatch_in_the_middle_keeps_what_came_before(tmp_path, recording):
    """A scorer that says something else of the third candidate ends the run there, with the results before it."""
    result = run(tmp_path / "b.db", recording, lambda text: 99 if text.count("line") == 3 else score(text))
    assert isinstance(result.error, ModelRefused)
    assert "proposal/3/ask-0: the prompts part at message" in str(result.error)
    assert result.scores[:3] == [5, *(len(f"\n{'line ' * n}\n") for n in (1, 2))]


def test_a_recording_that_ends_says_so(tmp_path, recording):
    """More steps than were recorded end the run with the number of those that there are."""
    result = run(tmp_path / "b.db", recording, max_steps=9)
    assert isinstance(result.error, ModelRefused)
    assert "no call proposal/6/ask-0: it ends after 6 units of the kind 'proposal'" in str(result.error)
    assert len(result.scores) == 7


@pytest.fixture
def asked(recording):
    """Give the recording's model, its first request and the scope to ask it in."""
    model = as_chat_model(recording)
    first = json.loads(Path(recording.removeprefix("recorded:")).read_text().splitlines()[1])
    messages = tuple(Message(one["role"], one["content"]) for one in first["request"]["messages"])
    return model, Request(messages, first["request"]["settings"], first["key"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"settings": {"temperature": 0.5, "top_p": 1}},
            r"settings differ: temperature \(recorded none, asked 0\.5\), top_p",
        ),
        ({"n": 4}, "recorded n=1, asked n=4; ideas changed"),
        ({"messages": (Message("user", "hi"),)}, r"message 0 \(recorded system, asked user\)"),
    ],
)
def test_requests_that_differ_otherwise_are_named(asked, change, says):
    """Settings, the number of answers and roles are compared as well as texts."""
    model, request = asked
    with entered(Scope("s", "proposal/0")):
        assert model.complete(request).text.startswith("Longer")
        with pytest.raises(ModelRefused, match=says):
            model.complete(replace(request, **change))
        more = (*request.messages, Message("user", "more"))
        with pytest.raises(ModelRefused, match=r"message 2 \(user\), which is only asked: 'more'"):
            model.complete(replace(request, messages=more))


def test_calls_outside_a_study_are_refused(asked):
    """A call that belongs to no unit of work cannot be found, and the error says what to do."""
    model, request = asked
    with pytest.raises(ModelRefused, match="outside a study's units of work"):
        model.complete(request)
    with (
        entered(Scope("s", "evaluation/0")),
        pytest.raises(ModelRefused, match="the kind 'evaluation' it holds none"),
    ):
        model.complete(request)


def test_a_judges_other_prompt_is_shown_beside_the_nearest(tmp_path):
    """Calls without a key of their own are told apart by content; another prompt is compared with the closest."""
    with ScriptedServer(lambda body, index: "grade=1") as server:
        run(tmp_path / "a.db", None, panel(f"{server.url}#judge"), max_steps=0, proposer=NumericProposer())
    name = export(tmp_path / "a.db", tmp_path / "run.jsonl")
    other = get_llm_scorer("Grades: {x}", lambda reply: 1.0, model=name)
    says = r"evaluation/0/.*message 0 \(user\), character 5: recorded ': start', asked 's: start'.*that func asks"
    with pytest.raises(ModelRefused, match=says):
        run(tmp_path / "b.db", None, other, max_steps=0, proposer=NumericProposer())


def test_the_name_stands_wherever_a_model_does(tmp_path, recording, monkeypatch):
    """A recording can be the environment's model, it travels to other processes, and stands for one of its models."""
    monkeypatch.setenv("LLM_OPTIMIZE_MODEL", recording)
    assert have_model()
    assert run(tmp_path / "b.db", None).error is None
    model = as_chat_model(recording)
    assert isinstance(model, Replay)
    assert pickle.loads(pickle.dumps(connect(recording))).name == "scripted"
    assert as_chat_model(f"{recording}#scripted") == model
    with pytest.raises(BadInput, match="no calls of a model 'gpt': it holds those of 'scripted'"):
        as_chat_model(f"{recording}#gpt")


def test_a_refused_prompt_is_raised_again(tmp_path):
    """The limit that the endpoint named comes back with the error."""
    said = Answer("maximum context length is 4096 tokens", status=400, code="context_length_exceeded")
    request = Request((Message("user", "long"),), key="ask-0")
    with SQLiteStore(tmp_path / "a.db") as store, ScriptedServer(lambda *_: said) as server:
        with entered(Scope("s", "proposal/0", None, store)), pytest.raises(ContextTooLong):
            connect(f"{server.url}#scripted").complete(request)
        export_exchanges(store, "s", tmp_path / "run.jsonl")
    with entered(Scope("s", "proposal/0")), pytest.raises(ContextTooLong) as caught:
        connect(f"recorded:{tmp_path / 'run.jsonl'}").complete(request)
    assert caught.value.limit == 4096
