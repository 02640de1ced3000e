"""README.md is executed: its Python blocks, its ``llm-optimize`` commands, and the claim that .ci/run is its command.

A comment in front of a block says how it is run: ``<!-- run: with a scripted model -->``, ``<!-- not run: REASON -->``.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import llm_optimize
from llm_optimize.testing.server import ScriptedServer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

_BLOCK = re.compile(r"(?:<!-- (?P<note>(?:not )?run: [^>]*?) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)\n```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block of the README."""

    kind: str
    text: str
    note: str
    line: int

    @property
    def runs(self) -> bool:
        """Whether it is executed here."""
        return not self.note.startswith("not run:")

    @property
    def output(self) -> list[str]:
        """The lines that a console block shows below its last command."""
        lines = self.text.splitlines()
        return lines[max(i for i, line in enumerate(lines) if line.startswith("$ ")) + 1 :]

    @property
    def commands(self) -> list[str]:
        """The commands of a console block: what stands behind a prompt."""
        return [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]


BLOCKS = [
    Block(match["kind"], match["text"], match["note"] or "", README[: match.start("kind")].count("\n") + 1)
    for match in _BLOCK.finditer(README)
]
PYTHON = [block for block in BLOCKS if block.kind == "python" and block.runs]
CONSOLE = [block for block in BLOCKS if block.kind == "console"]


def scripted(body: dict[str, object], index: int) -> str:
    """Mark a request of one message, the judge's; answer any other with a text or a vector that is new each time."""
    asked = str(body["messages"])
    if len(body["messages"]) == 1:
        return "It rhymes.\nfinal_score=8"
    x = f"[3.0, -2.{index}]" if "hill" in asked else f"Tune small open programs.{'!' * index}"
    return f"The next one.\n\n```\n{x}\n```"


@pytest.fixture
def model(monkeypatch):
    """A scripted model that the environment names."""
    with ScriptedServer(scripted) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "test")
        monkeypatch.setenv("LLM_OPTIMIZE_MODEL", "scripted")
        yield server


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"line {block.line}")
def test_a_python_block_runs(block, request) -> None:
    """Each block runs as it stands, in a program of its own; with a scripted model where it says so."""
    server = request.getfixturevalue("model") if block.note else None
    done = subprocess.run(
        [sys.executable, "-c", block.text],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    assert server is None or server.charged


def test_the_first_example_runs_without_and_with_a_model(model, monkeypatch) -> None:
    """The ten-line example needs no key; where a model is at hand, the same lines use it."""
    first = PYTHON[0]
    assert len([line for line in first.text.splitlines() if line.strip()]) <= 10
    shown = {}
    for name in ("with", "without"):
        if name == "without":
            for variable in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
                monkeypatch.delenv(variable)
        command = [sys.executable, "-c", first.text]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=dict(os.environ))
        shown[name] = (done.stdout, model.charged)
    assert "numeric" in shown["without"][0]
    assert "chat:scripted" in shown["with"][0]
    assert shown["with"][1] == shown["without"][1] > 0


def test_the_commands_run_in_order(tmp_path) -> None:
    """The ``llm-optimize`` commands of the README work one after the other in one folder, without a key."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    program = str(Path(sys.executable).parent / "llm-optimize")
    ran = 0
    for block in CONSOLE:
        for command in block.commands if block.runs else ():
            words = shlex.split(command, comments=True)
            if words[0] == "llm-optimize":
                done = subprocess.run(
                    [program, *words[1:]],
                    capture_output=True,
                    text=True,
                    timeout=300,
                    check=False,
                    env=dict(os.environ),
                )
                assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
                ran += 1
        assert [line for line in block.output if block.runs and not shown_in(line, done.stdout + done.stderr)] == []
    assert ran >= 5


def shown_in(line: str, output: str) -> bool:
    """Whether a line was printed, its numbers aside, which other versions may change; ``...`` stands for anything."""
    shape = ".*".join(re.escape(part) for part in without_numbers(line).split("..."))
    return re.search(f"^{shape}$", without_numbers(output), re.MULTILINE) is not None


def without_numbers(text: str) -> str:
    """Every number as one letter; the two dots of a range stay."""
    return re.sub(r"\d+(\.\d+)?", "N", text)


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    """A block that cannot run here gives its reason, and what it shows is proved by another test."""
    skipped = [block for block in BLOCKS if not block.runs]
    assert [block.line for block in skipped if len(block.note) < len("not run: because")] == []
    assert len(skipped) <= 5
    unknown = [block.line for block in BLOCKS if block.kind not in {"python", "console", "text"}]
    assert unknown == []


def test_the_second_command_is_the_one_that_ci_runs() -> None:
    """``.ci/run`` runs the README's second command, to the letter."""
    install, tests = (
        command for block in CONSOLE for command in block.commands if command.startswith("python3 -m venv")
    )
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert tests in script.splitlines()
    assert "set -euo pipefail" in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert install.endswith("llm-optimize run examples/quickstart.py")


def test_the_tree_shows_every_file() -> None:
    """Each file of the package and each example stands in the README's tree, and nothing else does."""
    (tree,) = (block.text for block in BLOCKS if block.kind == "text")
    named = sorted(re.findall(r"[\w.]+\.py\b", tree))
    files = [*Path(llm_optimize.__file__).parent.rglob("*.py"), *(ROOT / "examples").glob("*.py")]
    inner = [path.name for path in files if path.name != "__init__.py" or path.parent.name == "llm_optimize"]
    assert named == sorted(inner)


def test_links_lead_somewhere() -> None:
    """Each relative link of the README names a file of the repository."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert [target for target in targets if not (ROOT / target).exists()] == []
