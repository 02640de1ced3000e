"""The back ends docker and podman: their command as a pure function, always; real runs where an engine runs."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox import Limits, Sandbox, available_backends, container
from llm_optimize.sandbox.base import Program

LIMITS = Limits(wall_s=9, cpu_s=3, memory_mb=256, processes=8, output_kb=4, files_mb=16)
MOUNTS = container.Mounts(Path("/package/sandbox"), Path("/tmp/box-1/control"))

FAKE = """#!{python}
import subprocess, sys, time
given = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(" ".join(given) + chr(10))
if given[0] == "info":
    sys.exit({info})
if given[0] == "rm":
    sys.exit(0)
if {refuses}:
    sys.exit(print("docker: no such image: llm-optimize-sandbox", file=sys.stderr) or 125)
open(given[given.index("--cidfile") + 1], "w").write("id")
control = [part for part in given if part.endswith("target=/control")][0].split("source=")[1].split(",")[0]
jail = [part for part in given if ",target=/jail" in part][0].split("source=")[1].split(",")[0]
status = subprocess.run([{python!r}, "-I", "-B", jail + "/once.py", control]).returncode
sys.exit(128 - status if status < 0 else status)
"""


def command(engine="docker", **settings):
    """The command for one program."""
    return container.arguments(engine, "box-7", "image", MOUNTS, LIMITS, **settings)


def options(found, name):
    """The values that follow an option, wherever it stands."""
    return [found[at + 1] for at, part in enumerate(found) if part == name]


@pytest.mark.parametrize("engine", container.ENGINES)
def test_everything_is_forbidden_but_its_own_folders(engine):
    """No network, no rights, nothing writable but a scratch folder and the exchange, and the container is removed."""
    found = command(engine)
    assert found[:2] == [engine, "run"]
    assert {"--rm", "--init", "--read-only"} <= set(found)
    assert options(found, "--network") == ["none"]
    assert options(found, "--cap-drop") == ["ALL"]
    assert options(found, "--security-opt") == ["no-new-privileges"]
    assert options(found, "--pull") == ["never"]
    assert options(found, "--user") == ["65534:65534"]
    assert options(found, "--mount") == [
        "type=bind,source=/package/sandbox,target=/jail,readonly",
        "type=bind,source=/tmp/box-1/control,target=/control",
    ]
    assert not {"--privileged", "--volume", "-v", "--device", "--cap-add", "--env-file"} & set(found)
    assert found[-8:] == ["image", "python", "-I", "-B", "-X", "utf8", "/jail/once.py", "/control"]


def test_limits_become_the_containers():
    """Memory without swap, processes, processor time, files and scratch space have the program's limits."""
    found = command()
    assert (options(found, "--memory"), options(found, "--memory-swap")) == (["256m"], ["256m"])
    assert options(found, "--pids-limit") == ["10"]
    assert {"cpu=4:4", "fsize=16777216:16777216", "core=0:0"} <= set(options(found, "--ulimit"))
    assert all("size=16m" in scratch and "nosuid" in scratch for scratch in options(found, "--tmpfs"))


def test_the_environment_is_named_in_full():
    """Only these variables are set: nothing of the host's environment is passed on."""
    names = {setting.partition("=")[0] for setting in options(command(), "--env")}
    assert names == {"HOME", "TMPDIR", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    assert all("=" in setting for setting in options(command(), "--env"))


def test_the_network_is_the_hosts_only_when_asked_for():
    """``host`` is passed on; there is no third."""
    assert options(command(network="host"), "--network") == ["host"]


def test_auto_never_chooses_it():
    """The strongest back end of this machine is not a container, whatever is installed."""
    with Sandbox() as box:
        assert box.layers().backend not in container.ENGINES


@pytest.mark.parametrize("engine", container.ENGINES)
def test_no_engine_is_an_error_of_the_sandbox(engine, monkeypatch, tmp_path):
    """Without the command the back end is refused; with a command but no engine the first run says so in one line."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="not installed"):
        Sandbox(backend=engine)
    fake(tmp_path, engine, info=1)
    with Sandbox(backend=engine) as box, pytest.raises(SandboxError, match="no engine") as refusal:
        box.run("x = 1")
    assert "\n" not in str(refusal.value)
    assert "no engine" in available_backends()[engine]


def fake(folder, engine, *, info=0, refuses=False):
    """An engine that runs what it is told to, unconfined, and writes down its orders."""
    log = folder / "orders"
    path = folder / engine
    path.write_text(FAKE.format(python=sys.executable, log=str(log), info=info, refuses=refuses))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return log


@pytest.mark.skipif(sys.platform == "win32", reason="the engine's stand-in is a script")
class TestOrders:
    """What the back end makes of an engine's answers, with a stand-in that runs programs unconfined."""

    @pytest.fixture
    def orders(self, tmp_path, monkeypatch):
        """The file of the orders that the stand-in got."""
        folder = tmp_path / "bin"
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        return fake(folder, "docker")

    def test_values_and_failures(self, orders):
        """Values, output and failures come back as from any back end, and each program has a container of its own."""
        with Sandbox(backend="docker", limits=LIMITS) as box:
            done = box.run("print('hi')\ny = x + 1", {"x": 1}, ["y"])
            assert (done.values, done.stdout, done.reason) == ({"y": 2}, "hi\n", "finished")
            assert "net" in done.layers
            assert box.run("1 / 0").reason == "raised"
            assert box.run("import os; os._exit(3)").reason == "killed"
            assert "signal 11" in box.run("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)").message
            assert box.call("def f(n): return n", "f", args=(3,)).values["result"] == 3
            assert box.layers().backend == "docker"
        runs = [line.split() for line in orders.read_text().splitlines() if line.startswith("run")]
        assert len({line[line.index("--name") + 1] for line in runs}) == len(runs) == 5

    def test_a_container_at_its_limit_is_removed_by_name(self, orders):
        """At the wall limit the engine is told to remove the container; a stand-in that hangs on is an error."""
        with Sandbox(backend="docker", limits=LIMITS) as box:
            done = box.run("import time\nprint('begun')\ntime.sleep(2)", limits=Limits(wall_s=0.5))
        assert done.reason == "timeout"
        last = orders.read_text().splitlines()[-2:]
        name = last[0].split()[last[0].split().index("--name") + 1]
        assert last[1] == f"rm --force {name}"

    def test_no_container_is_an_error_of_the_sandbox(self, tmp_path, orders):
        """Where the engine makes no container, nothing is said of the program."""
        fake(tmp_path / "bin", "docker", refuses=True)
        with Sandbox(backend="docker") as box, pytest.raises(SandboxError, match="no such image"):
            box.run("x = 1")

    def test_there_are_no_sessions(self, orders):
        """Sessions are refused in one line that says what to use."""
        with Sandbox(backend="docker") as box, pytest.raises(BadInput, match="no sessions"):
            box.session("x = 1")


def real(engine):
    """Why programs cannot really run in this engine's containers here, or an empty text."""
    why = container.unavailable(engine)
    if not why:
        asked = [engine, "image", "inspect", container.IMAGE]
        found = subprocess.run(asked, capture_output=True, timeout=60, check=False).returncode == 0
        why = "" if found else f"the image {container.IMAGE} is not built: see sandbox/Containerfile"
    return why


@pytest.mark.parametrize("engine", container.ENGINES)
def test_real_containers(engine, tmp_path):
    """In a real container a program has its values and limits, and neither network, rights nor the host's files."""
    why = real(engine)
    if why:
        pytest.skip(why)
    (tmp_path / "secret").write_text("x")
    source = (
        "import os, socket\n"
        f"x = [a + 1, os.getuid(), os.path.exists({str(tmp_path)!r})]\n"
        "try:\n    socket.create_connection(('1.1.1.1', 80), 2)\nexcept OSError:\n    x.append('no network')\n"
        "try:\n    open('/usr/left', 'w')\nexcept OSError:\n    x.append('read-only')\n"
    )
    backend = container.ContainerBackend(engine, "none")
    done = backend.run(Program(source, {"a": 1}, ("x",), limits=Limits(wall_s=60)))
    assert done.ok, done
    assert done.values["x"][0] == 2
    assert done.values["x"][1] != 0
    assert done.values["x"][2:] == [False, "no network", "read-only"]
    late = backend.run(Program("import time\ntime.sleep(99)", limits=Limits(wall_s=5)))
    assert late.reason == "timeout"


def test_the_image_is_described(root):
    """The image is built from a file of the repository, ends up without rights, and is named as the back end asks."""
    text = (root / "sandbox" / "Containerfile").read_text()
    assert "USER 65534:65534" in text
    assert container.IMAGE in text
