"""Rules about files, ports and signals: what each kernel version judges, and what a process under them can do."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from llm_optimize.sandbox import confine, landlock

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's"),
    pytest.mark.skipif(sys.platform == "linux" and not landlock.version(), reason="this kernel has no Landlock"),
]

FINE, REFUSED = 0, 13


def under(rules: landlock.Rules, known: int, *deeds) -> list[int]:
    """Do each deed in a process under the rules; return its error numbers, 0 for those that went well."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        confine.prctl(confine.PR_SET_NO_NEW_PRIVS, 1)
        landlock.enforce(landlock.prepare(rules, known))
        for deed in deeds:
            try:
                deed()
            except OSError as error:
                os.write(write, bytes([error.errno]))
            else:
                os.write(write, b"\0")
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answers:
        found = list(answers.read())
    os.waitpid(child, 0)
    return found


def test_what_a_version_judges():
    """Later versions judge more: links into other folders, cutting off, ports, devices, signals."""
    sizes = [sum(bits.bit_count() for bits in landlock.attributes(version, ports=True)) for version in range(1, 8)]
    assert sizes == [13, 14, 15, 17, 18, 20, 20]
    assert landlock.attributes(4, ports=False)[1] == 0


@pytest.mark.parametrize("known", range(1, 8))
def test_files_outside_are_out_of_reach(tmp_path, known):
    """Under every version: the folder to write can be written, the one to read only read, any other neither."""
    if known > landlock.version():
        pytest.skip("this kernel is older")
    for name in ("own", "shown", "hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    own, shown, hidden = (tmp_path / name for name in ("own", "shown", "hidden"))
    rules = landlock.Rules((str(shown), "/no/such/path"), (str(own),), ("/dev/null",))
    deeds = [
        lambda: (own / "new").write_text("x"),
        (own / "file").unlink,
        (own / "below").mkdir,
        (shown / "file").read_text,
        lambda: (shown / "file").write_text("y"),
        lambda: (shown / "new").write_text("y"),
        (shown / "file").unlink,
        (hidden / "file").read_text,
        lambda: list(hidden.iterdir()),
        lambda: Path("/dev/null").write_text("x"),
        lambda: os.mknod(own / "device", 0o20600, os.makedev(1, 3)),
    ]
    wanted = [FINE] * 4 + [REFUSED] * 5 + [FINE]
    assert under(rules, known, *deeds)[:10] == wanted
    assert under(rules, known, deeds[-1])[0] != FINE
    assert (hidden / "file").read_text() == (shown / "file").read_text() == "x"


def test_a_rule_about_a_folder_holds_below_later_mounts(tmp_path):
    """What is done in a folder that is made after the rules were prepared is judged by the folder around it."""
    ruleset_folder = tmp_path / "homes"
    ruleset_folder.mkdir()
    rules = landlock.Rules((), (str(ruleset_folder),))
    made = [(ruleset_folder / "home").mkdir, lambda: (ruleset_folder / "home" / "x").write_text("x")]
    assert under(rules, landlock.version(), *made) == [FINE, FINE]


@pytest.mark.skipif(sys.platform == "linux" and landlock.version() < 4, reason="ports need Landlock 4")
def test_only_named_ports_are_reached():
    """A named port can be connected to, no other one, and none can be listened on; without a list all can."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        first, second = (server.getsockname()[1] for server in (one, other))
        deeds = [
            lambda: socket.create_connection(("127.0.0.1", first), 5).close(),
            lambda: socket.create_connection(("127.0.0.1", second), 5).close(),
            lambda: socket.create_server(("127.0.0.1", 0)).close(),
        ]
        read = ("/etc", "/usr", "/lib", "/lib64", sys.base_prefix, sys.prefix)
        known = landlock.version()
        assert under(landlock.Rules(read, (), (), (first,)), known, *deeds) == [FINE, REFUSED, REFUSED]
        assert under(landlock.Rules(read, (), (), None), known, *deeds) == [FINE, FINE, FINE]


@pytest.mark.skipif(sys.platform == "linux" and landlock.version() < 6, reason="scopes need Landlock 6")
def test_signals_and_abstract_sockets_stay_inside():
    """A process under the rules neither signals another nor connects to a server by an abstract name."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0landlock-{os.getpid()}")
        server.listen()
        parent = os.getpid()
        deeds = [
            lambda: os.kill(parent, 0),
            lambda: socket.socket(socket.AF_UNIX).connect(f"\0landlock-{parent}"),
            lambda: os.kill(os.getpid(), 0),
        ]
        assert under(landlock.Rules((), ()), landlock.version(), *deeds) == [1, 1, FINE]
