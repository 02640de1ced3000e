"""What every test stands on: no network beyond this machine, no key, a home and a working folder of its own.

Nothing of the package is replaced. Processes that tests start inherit the environment, so the same holds for them, but
for the audit hook: there ``LLM_OPTIMIZE_NO_REQUESTS`` keeps the model client on this machine.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from llm_optimize import llm
from llm_optimize.testing.server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from llm_optimize.testing.server import Answer

ROOT = Path(__file__).parent.parent
"""The top of the repository."""

settings.register_profile("tests", deadline=None)  # no test depends on the machine's speed
settings.load_profile("tests")

_NAMED = ("LLM_OPTIMIZE_CACHE", "LLM_OPTIMIZE_HOME", "LLM_OPTIMIZE_MODEL", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
_OUTSIDE = [name for name in os.environ if name.startswith("OPENAI_") or name.lower().endswith("_proxy")]


def _is_here(host: object) -> bool:
    text = host.decode() if isinstance(host, bytes) else str(host or "127.0.0.1")
    return text in {"localhost", "::1", "0.0.0.0", "::"} or text.startswith("127.")


def _no_network(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and not _is_here(address[0]):
            msg = f"a test tried to reach {address[0]}: tests may talk to 127.0.0.1 only"
            raise RuntimeError(msg)


def pytest_configure() -> None:
    """Close the doors before a single test module is imported."""
    for name in (*_NAMED, *_OUTSIDE):
        os.environ.pop(name, None)
    os.environ["LLM_OPTIMIZE_NO_REQUESTS"] = "1"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of the interpreters that tests start compiles us anew
    sys.addaudithook(_no_network)


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_OPTIMIZE_HOME", str(tmp_path / ".llm_optimize"))
    monkeypatch.chdir(tmp_path)
    for name in _OUTSIDE:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root() -> Path:
    """The top of the repository, for tests that read its files."""
    return ROOT


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AbstractContextManager[ScriptedServer]]]:
    """Give a function that starts a server with the given answers, in turn, and makes it the environment's model.

    ``llm.default_llm_options`` is as it was afterwards, so a test may update it.
    """
    before = dict(llm.default_llm_options)

    @contextmanager
    def start(*answers: str | Answer) -> Iterator[ScriptedServer]:
        with ScriptedServer(lambda _, index: answers[index], models=None) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            monkeypatch.setenv("OPENAI_API_KEY", "test")
            yield server

    yield start
    llm.default_llm_options.clear()
    llm.default_llm_options.update(before)
