"""The back end bubblewrap: its command as a pure function, always; the whole contract where bwrap can be used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_optimize.errors import BadInput
from llm_optimize.sandbox import Sandbox
from llm_optimize.testing.sandbox_contract import SandboxContract
from llm_optimize.testing.session_contract import SessionContract

if sys.platform != "linux":
    pytest.skip("bubblewrap speaks to the Linux kernel", allow_module_level=True)

bubblewrap = pytest.importorskip("llm_optimize.sandbox.bubblewrap")
here = pytest.mark.skipif(bool(bubblewrap.unavailable()), reason=bubblewrap.unavailable())
ELSEWHERE = "/usr/bin/python3"
SCRIPT = """
from llm_optimize.sandbox import Limits, Sandbox
with Sandbox(backend="bubblewrap", limits=Limits(wall_s=20, memory_mb=256, files_mb=8)) as box:
    layers = box.layers()
    assert layers.backend == "bubblewrap", layers
    assert {"user", "pid", "net", "mount", "watch"} <= set(layers.in_force), layers
    look = "import os\\nx = [a + 1, os.getuid(), os.path.exists('/root'), os.environ.get('SECRET')]"
    done = box.run(look, {"a": 1}, ["x"])
    assert done.values == {"x": [2, 1000, False, None]}, done
    assert box.run("open('left', 'w').close()").ok
    assert box.run("import os\\nx = os.listdir()", outputs=["x"]).values == {"x": []}
    assert box.run("import socket\\nsocket.create_connection(('127.0.0.1', 1))").reason == "raised"
    assert box.run("import time\\ntime.sleep(99)", limits=Limits(wall_s=0.3)).reason == "timeout"
    assert box.check("def f(n): return n * n", "f", [((3,), 9)]).ok
print("done")
"""


def options(command, name):
    """The values that follow an option, wherever it stands."""
    return [command[at + 1] for at, part in enumerate(command) if part == name]


def test_the_command_shows_nothing_writable():
    """Whatever of the host is visible is bound read-only, and everything is unshared but what was asked for."""
    command = bubblewrap.arguments(["/usr", "/lib"], network="none")
    assert command[0] == "bwrap"
    assert command[-1] == "--"
    assert {"--unshare-all", "--die-with-parent", "--new-session"} <= set(command)
    assert "--share-net" not in command
    assert options(command, "--cap-drop") == ["ALL"]
    assert options(command, "--ro-bind-try") == ["/usr", "/lib"]
    assert not {"--bind", "--bind-try", "--dev-bind", "--dev-bind-try"} & set(command)
    assert options(command, "--tmpfs") == ["/", "/tmp"]


def test_the_network_is_shared_only_when_asked_for():
    """Only ``host`` shares the network; ports of loopback are led in by the lane."""
    assert "--share-net" in bubblewrap.arguments([], network="host")
    assert "--share-net" not in bubblewrap.arguments([], network="loopback:8800")


def test_homes_are_not_visible(tmp_path):
    """Neither this user's home, nor the temporary folder, nor configuration with names and keys is shown."""
    shown = bubblewrap.visible_paths(network=False)
    assert shown == sorted(shown)
    assert str(Path(sys.executable).parent) in shown
    home = os.path.expanduser("~")  # noqa: PTH111 - a text to compare with texts
    for hidden in (home, str(tmp_path), "/", "/etc", "/home", "/root", "/var", "/proc", "/etc/hosts", "/etc/passwd"):
        assert hidden not in shown
    assert "/etc/hosts" in bubblewrap.visible_paths(network=True)


def test_its_absence_is_told(monkeypatch):
    """Without bwrap the back end is refused in one line that names the package."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BadInput, match="package bubblewrap") as refusal:
        Sandbox(backend="bubblewrap")
    assert "\n" not in str(refusal.value)


@here
class TestBubblewrap(SandboxContract):
    """The whole contract."""

    backend = "bubblewrap"


@here
class TestBubblewrapSessions(SessionContract):
    """Sessions inside."""

    backend = "bubblewrap"


@here
def test_all_layers_of_lanes_are_in_force_inside():
    """Programs inside bwrap are behind the same walls and fences as in a lane without it."""
    with Sandbox(backend="bubblewrap") as box, Sandbox(backend="zygote") as bare:
        assert set(box.layers().in_force) >= set(bare.layers().in_force) - {"cgroup"}


def elsewhere(code, environment, folder):
    """Run code with the system's interpreter."""
    command = [ELSEWHERE, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=folder, timeout=120, check=False
    )


@pytest.mark.skipif(not os.access(ELSEWHERE, os.X_OK), reason=f"no {ELSEWHERE}")
def test_the_systems_own_interpreter(root, tmp_path):
    """With an interpreter that everybody can read it works for root too, whoever's this test's own interpreter is."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "SECRET": "x"}
    look = (
        "import sys\nfrom llm_optimize.sandbox import bubblewrap\n"
        "print('old' if sys.version_info < (3, 11) else bubblewrap.unavailable())"
    )
    asked = elsewhere(look, environment, tmp_path)
    if asked.returncode or asked.stdout.strip():
        pytest.skip(asked.stdout.strip() or asked.stderr.strip().splitlines()[-1])
    done = elsewhere(SCRIPT, environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
