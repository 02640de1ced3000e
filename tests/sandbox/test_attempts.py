"""Hostile programs against the sandbox: each ends as expected, reaches nothing, and leaves nothing for the next."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import psutil
import pytest

from llm_optimize.sandbox import Limits, Sandbox

ATTEMPTS = sorted((Path(__file__).parents[2] / "sandbox" / "attempts").glob("*.py"))
CANARY = "sk-canary-of-the-host"
HONEST = "import json, math, os\nfound = (math.sqrt(9.0), len('abc'), json.loads('[1]'), sorted(os.listdir('.')))"
SHARED = "import ctypes\nfound = ctypes.CDLL(None).shmget(0x1234, 4096, 0)"
WALLS = {"user", "pid", "net", "mount", "watch"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """Things of the host that a program must not reach: a key, a folder with a file, and three servers."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "precious").write_text(CANARY)
    tcp, path, abstract = socket.socket(), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    tcp.bind(("127.0.0.1", 0))
    path.bind(str(folder / "socket"))
    abstract.bind(f"\0canary-{os.getpid()}")
    with tcp, path, abstract, pytest.MonkeyPatch.context() as patch:
        for server in (tcp, path, abstract):
            server.listen()
            server.settimeout(0)
        patch.setenv("OPENAI_API_KEY", CANARY)
        inputs = {
            "canary": CANARY[::-1],  # turned round, so that the search does not find itself
            "host_pid": os.getpid(),
            "host_folder": str(folder),
            "port": tcp.getsockname()[1],
            "unix_path": str(folder / "socket"),
            "unix_abstract": f"canary-{os.getpid()}",
        }
        yield folder, inputs, (tcp, path, abstract)


@pytest.fixture(scope="module")
def box(host):
    """One sandbox for all attempts, so that what one leaves would meet the next."""
    with Sandbox() as sandbox:
        if not set(sandbox.layers().in_force) >= WALLS:
            pytest.skip(f"this machine allows no walls: {sandbox.layers().missing}")
        yield sandbox


def header(path: Path) -> dict[str, str]:
    """The comment lines at the top of an attempt."""
    lines = (line[2:].partition(": ") for line in path.read_text().splitlines() if line.startswith("# "))
    return {name: text for name, _, text in lines}


def limits(text: str) -> Limits:
    """The limits that an attempt asks for, the others small."""
    asked = {name: int(value) for name, _, value in (part.partition("=") for part in text.split(",") if part)}
    return Limits(**{"wall_s": 10, "cpu_s": 10, "memory_mb": 512, "files_mb": 16, **asked})


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda path: path.stem)
def test_a_hostile_program_ends_as_expected_and_reaches_nothing(attempt, box, host):
    """Each attempt ends with an expected reason, breaches nothing, and the next honest program is unharmed."""
    folder, inputs, servers = host
    box.run("x = secret", {"secret": "hidden-answer-QZJX7713"}, ["x"])
    head = header(attempt)
    done = box.run(attempt.read_text(), inputs, ["breached"], limits(head.get("limits", "")))
    assert done.reason in head["expect"].split("|"), done
    assert done.values.get("breached", False) is False
    assert CANARY not in done.stdout + done.stderr
    for server in servers:
        with pytest.raises(BlockingIOError):
            server.accept()
    assert sorted(path.name for path in folder.iterdir()) == ["precious", "socket"]
    assert box.run(HONEST, {}, ["found"]).values == {"found": [3.0, 3, [1], []]}
    assert box.run(SHARED, {}, ["found"]).values == {"found": -1}


def test_no_process_of_a_hostile_program_is_left(box):
    """After a program that hides daemons in every way, only the warm parent and its lanes are there."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    for name in ("daemon_double_fork", "daemon_by_exec", "fork_bomb", "ignored_signals", "stderr_flood"):
        text = next(path for path in ATTEMPTS if path.stem == name).read_text()
        box.run(text, {}, ["breached"], Limits(wall_s=1, processes=16, output_kb=16))
        alive = {process.pid for process in psutil.Process().children(recursive=True)}
        assert alive <= before | {pid for pid in alive if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE}
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["/bin/sleep", "3600"]]
