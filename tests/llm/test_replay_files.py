"""A recording that is damaged, or is not there, is bad input: nothing is evaluated or asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_optimize import optimize
from llm_optimize.errors import BadInput
from llm_optimize.llm import connect
from llm_optimize.llm.recording import export_exchanges
from llm_optimize.stores import SQLiteStore
from llm_optimize.testing.server import ScriptedServer


def run(store, model, func=len):
    """Run a task of six steps with a log at ``store``."""
    optimize.run("t", "q", func, x0="start", max_steps=6, verbose=False, study="s", model=model, store=store)


@pytest.fixture
def recording(tmp_path):
    """Give the name of a recording of six steps."""
    with ScriptedServer(lambda _body, index: f"```\n{'line ' * (index + 1)}\n```") as server:
        run(tmp_path / "a.db", f"{server.url}#scripted")
    with SQLiteStore(tmp_path / "a.db") as store:
        export_exchanges(store, "s", tmp_path / "run.jsonl")
    return f"recorded:{tmp_path / 'run.jsonl'}"


def damaged(lines, kind):
    """Return the file's lines with one of them spoilt."""
    third = json.loads(lines[2])
    header = json.loads(lines[0])
    return {
        "empty": [],
        "other": ["{}", *lines[1:]],
        "version": [json.dumps(header | {"version": 2}), *lines[1:]],
        "course": [json.dumps(header | {"course": [1]}), *lines[1:]],
        "short": lines[:4],
        "cut": [*lines[:3], lines[3][:50], *lines[4:]],
        "field": [*lines[:2], json.dumps({name: third[name] for name in third if name != "reply"}), *lines[3:]],
        "type": [*lines[:2], json.dumps(third | {"begun": "x"}), *lines[3:]],
        "reply": [*lines[:2], json.dumps(third | {"reply": {"text": 3}}), *lines[3:]],
        "twice": [*lines[:3], lines[2], *lines[4:]],
        "list": [*lines[:2], "[]", *lines[3:]],
        "deep": [*lines[:2], "[" * 100_000, *lines[3:]],
    }[kind]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("empty", "line 0: the file is empty"),
        ("other", "line 1: this is no file of exchanges"),
        ("version", "line 1: the format has version 2"),
        ("course", "line 1: the header's course"),
        ("short", "line 4: the file ends after 3 of 6 exchanges"),
        ("cut", "line 4: no JSON"),
        ("field", "line 3: it has no 'reply'"),
        ("type", "line 3: its begun is 'x'"),
        ("reply", "line 3: .*cannot be read"),
        ("twice", "line 4: proposal/1/ask-0 is there twice"),
        ("list", "line 3: "),
        ("deep", "line 3: no JSON"),
    ],
)
def test_a_damaged_file_is_refused_before_anything_is_spent(tmp_path, recording, kind, says):
    """Whatever is wrong with the file is bad input with the number of the line; the scorer is never called."""
    path = Path(recording.removeprefix("recorded:"))
    path.write_text("".join(f"{line}\n" for line in damaged(path.read_text().splitlines(), kind)))
    with pytest.raises(BadInput, match=says) as caught:
        run(tmp_path / "b.db", recording, lambda _: pytest.fail("the scorer was called"))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    """A missing file, a folder and bytes that are no text are bad input."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\n")
    for name, says in (("none.jsonl", "cannot be read"), ("", "cannot be read"), ("bytes", "line 1")):
        with pytest.raises(BadInput, match=says):
            connect(f"recorded:{tmp_path / name}")
