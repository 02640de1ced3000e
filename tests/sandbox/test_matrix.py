"""The matrix of attempts and layers: it goes on where it was, and the file of what holds which program is true."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from llm_optimize.sandbox import Sandbox
from llm_optimize.sandbox.attack import WALLS, Attack, Bait, attempts

BY_NAME = {attempt.name: attempt for attempt in attempts()}
SOURCES = {"a": "one program", "b": "another"}
FULL, NO_NET = ("user", ()), ("user", ("net",))

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")


@pytest.fixture(scope="module")
def soak(request):
    """The matrix's parts."""

    def part(name):
        spec = importlib.util.spec_from_file_location(name, request.config.rootpath / "tests" / "soak" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return SimpleNamespace(rows=part("matrix_rows"), tables=part("matrix_tables"))


def row(name, outcome="held", doubt=""):
    """A row as a configuration writes it."""
    return {"name": name, "outcome": outcome, "reason": "finished", "why": [], "doubt": doubt, "seconds": 0.1}


def test_rows_are_found_again(soak, tmp_path):
    """Rows of the same sources are known to the next run; a line that was cut off is not, and can be written again."""
    path = tmp_path / "rows"
    rows = soak.rows.Rows(path, lambda: "same", SOURCES)
    rows.add(*FULL, row("a"), again=False)
    rows.add(*FULL, row("b"), again=False)
    path.write_text(path.read_text("utf-8")[:-5], "utf-8")
    later = soak.rows.Rows(path, lambda: "same", SOURCES)
    assert (later.has(*FULL, "a"), later.has(*FULL, "b"), later.has(*NO_NET, "a")) == (True, False, False)
    later.add(*FULL, row("b"), again=False)
    assert soak.rows.Rows(path, lambda: "same", SOURCES).count == 2


def test_a_changed_program_is_run_again(soak, tmp_path):
    """The rows of a program whose text has changed are not known; those of the others are."""
    rows = soak.rows.Rows(tmp_path / "rows", lambda: "same", SOURCES)
    rows.add(*FULL, row("a"), again=False)
    rows.add(*FULL, row("b"), again=False)
    later = soak.rows.Rows(tmp_path / "rows", lambda: "same", SOURCES | {"b": "changed"})
    assert (later.has(*FULL, "a"), later.has(*FULL, "b")) == (True, False)


def test_rows_of_other_sources_are_set_aside(soak, tmp_path, capsys):
    """A file of other sources is kept under another name and adds nothing; sources that change end the run."""
    path = tmp_path / "rows"
    soak.rows.Rows(path, lambda: "old", SOURCES).add(*FULL, row("a"), again=False)
    rows = soak.rows.Rows(path, lambda: "new", SOURCES)
    assert rows.count == 0
    assert "set aside" in capsys.readouterr().out
    assert '"a"' in (tmp_path / "rows.old").read_text("utf-8")
    states = ["begun", "begun", "changed"]
    rows = soak.rows.Rows(None, lambda: states.pop(0), SOURCES)
    rows.check()
    with pytest.raises(SystemExit, match="changed"):
        rows.check()


def test_the_second_verdict_counts(soak):
    """What speed may have decided is asked for again, once, and the later word is the one that is reported."""
    rows = soak.rows.Rows(None, lambda: "same", SOURCES)
    rows.add(*FULL, row("a", "through", "slow"), again=False)
    assert rows.doubted(*FULL, "a")
    rows.add(*FULL, row("a", "held"), again=True)
    assert not rows.doubted(*FULL, "a")
    assert rows.verdict(*FULL, "a")["outcome"] == "held"
    assert len(rows.repeated()) == 1


def test_what_holds_a_program_is_worked_out(soak):
    """Needed is a layer without which it gets through for any user; by is one that holds it without the others."""
    everything = tuple(soak.tables.ALL)
    alone = tuple(soak.tables.ALL - {"user", "net"})
    order = [FULL, NO_NET, ("user", everything), ("user", alone), ("root", NO_NET[1])]
    rows = soak.rows.Rows(None, lambda: "same", SOURCES)
    for place, outcome in zip(order, ["held", "held", "through", "held", "through"], strict=True):
        rows.add(*place, row("a", outcome), again=False)
    assert soak.tables.measured(rows, order, "a") == {"needed": ["net"], "by": ["net"], "bare": "through"}


def test_an_incomplete_matrix_writes_no_tables(soak, tmp_path):
    """Rows that are missing are not passed off as measured."""
    rows = soak.rows.Rows(None, lambda: "same", SOURCES)
    path = tmp_path / "held_by.json"
    with pytest.raises(SystemExit, match="never reached"):
        soak.tables.write_held_by(rows, [FULL], path)
    assert not path.exists()


@on_linux
def test_the_matrix_goes_on(root, tmp_path):
    """A second run of the same command runs nothing again and prints the same."""
    if os.getuid() == 0 and shutil.which("unshare") is None:
        pytest.skip("util-linux is not installed")
    with Sandbox() as box:
        if not set(box.layers().in_force) >= WALLS:
            pytest.skip(f"this machine allows no walls: {box.layers().missing}")
    script = root / "tests" / "soak" / "matrix.py"
    command = [sys.executable, str(script), "--quick", "--only", "recursion", "read_environment", "--json", "rows"]

    def run():
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    users = 1 if os.getuid() else 2
    assert f"{2 * users} rows (0 of them known)" in run()
    assert f"{2 * users} rows ({2 * users} of them known)" in run()


def test_every_program_was_measured(root):
    """The file speaks of all programs and of no other."""
    found = json.loads((root / "sandbox" / "attempts" / "held_by.json").read_text("utf-8"))
    assert set(found["programs"]) == set(BY_NAME)


@on_linux
@pytest.mark.xdist_group("unwalled")
@pytest.mark.parametrize("name", ["proc_net", "descriptor_bomb", "socket_netlink", "tcp_loopback"])
def test_what_holds_a_program_is_true_here(name, soak):
    """For programs that do no harm: each layer that is said to be needed, or to be enough, is."""
    tables = soak.tables
    with Sandbox() as box:
        if not set(box.layers().in_force) >= tables.ALL:
            pytest.skip(f"not all layers are to be had here: {box.layers().missing}")
    held_by = BY_NAME[name].held_by
    assert held_by.needed or held_by.by, "a program that shows nothing"
    wanted = {(layer,): "through" for layer in held_by.needed}
    wanted |= {tuple(tables.ALL - {layer, tables.NEEDED.get(layer, layer)}): "held" for layer in held_by.by}
    for without, outcome in wanted.items():
        with Bait() as bait, Sandbox(backend="zygote", without=without) as box:
            verdict = Attack(box, bait).run(BY_NAME[name])
        assert verdict.outcome == outcome, (without, verdict.why)
