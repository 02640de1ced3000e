"""The command as a user starts it: a process of its own, in an empty folder, without keys, with a scripted server."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from helpers.warm import Session

from llm_optimize import llm
from llm_optimize.cli import main
from llm_optimize.testing.server import ScriptedServer

if TYPE_CHECKING:
    from pathlib import Path

_TASK = """
TASK = "Make the text long."
QUESTION = "What is longer?"
x0 = "start"
MAX_STEPS = 3

def score(text):
    return len(text), f"it has {len(text)} characters"
"""


class Cli:
    """Starts ``python -m llm_optimize`` in one folder."""

    def __init__(self, folder: Path, ends: Path) -> None:
        self.folder = folder
        self._ends = ends
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "LLM_OPTIMIZE_"))}
        self.env = kept | {"LLM_OPTIMIZE_NO_REQUESTS": "1", "PYTHONUNBUFFERED": "1"}
        self.command = [sys.executable, "-m", "llm_optimize"]

    def __call__(self, *words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run to the end, in a process that is forked from one which has imported the package.

        :meth:`fresh` takes an interpreter of its own; so do all that ``start`` starts.
        """
        output, errors = self._ends / "stdout", self._ends / "stderr"
        environment = self.env | (env or {})
        session = Session(
            "llm_optimize", *words, errors=errors, output=output, folder=self.folder, environment=environment
        )
        said = session.wait(120)
        return subprocess.CompletedProcess(words, session.returncode, output.read_text(encoding="utf-8"), said)

    def fresh(self, *words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run to the end as a user starts it."""
        command = [*self.command, *map(str, words)]
        environment = self.env | (env or {})
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def start(self, *words: object, **options: object) -> subprocess.Popen[str]:
        """Start and return the process."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
        return subprocess.Popen([*self.command, *map(str, words)], cwd=self.folder, env=self.env, **pipes)

    def write(self, source: str = _TASK, name: str = "task.py") -> Path:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_text(source, encoding="utf-8")
        return path


@pytest.fixture
def cli(tmp_path, tmp_path_factory):
    """The command in an empty folder."""
    return Cli(tmp_path, tmp_path_factory.mktemp("ends"))


@pytest.fixture
def server():
    """A model that writes a longer text each time, and explains it."""

    def answer(body, _):
        return f"Longer is better.\n```\n{'long' * (1 + len(body['messages']) // 2)}\n```"

    with ScriptedServer(answer) as scripted:
        yield scripted


@pytest.fixture
def gate(tmp_path):
    """Two named pipes: a scorer says that it has begun, the test says when it may go on."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    os.mkfifo(begun)
    os.mkfifo(go)
    return begun, go


@pytest.fixture
def gated_task(cli, gate):
    """A task whose candidates other than x0 wait at the gate in the scorer."""
    begun, go = gate
    return cli.write(f"""
TASK = "Make the text long."
QUESTION = "What is longer?"
x0 = "start"
MAX_STEPS = 3

def score(text):
    if text != x0:
        with open({str(begun)!r}, "w") as pipe:
            pipe.write("x")
        with open({str(go)!r}) as pipe:
            pipe.read()
    return len(text)
""")


@pytest.fixture(autouse=True)
def _own_path(monkeypatch):
    """Loading a task file puts its folder on the path for good, as running it would; no other test shall see that."""
    monkeypatch.setattr(sys, "path", sys.path[:])


@dataclass(frozen=True)
class Done:
    """What a command came to, as a process of its own would have it."""

    returncode: int
    stdout: str
    stderr: str


class Here:
    """Runs the command in this process: many times faster than a process for each."""

    def __init__(self, folder, capsys, monkeypatch):
        self.folder = folder
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *words, env=None):
        for name, value in (env or {}).items():
            self._monkeypatch.setenv(name, value)
        self._capsys.readouterr()
        code = main(list(map(str, words)))
        said = self._capsys.readouterr()
        return Done(code, said.out, said.err)

    def write(self, source, name):
        (self.folder / name).write_text(source, encoding="utf-8")


@pytest.fixture
def here(tmp_path, capsys, monkeypatch):
    """The command in an empty folder, without keys; what it sets in this process is put back."""
    logger = logging.getLogger("llm_optimize")
    handlers, propagate, options = list(logger.handlers), logger.propagate, dict(llm.default_llm_options)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "LLM_OPTIMIZE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    yield Here(tmp_path, capsys, monkeypatch)
    logger.handlers[:], logger.propagate = handlers, propagate
    llm.default_llm_options.clear()
    llm.default_llm_options.update(options)
