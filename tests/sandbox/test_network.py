"""Single ports of the host's loopback: reached as on the host, and nothing else is."""

from __future__ import annotations

import socket
import sys
import threading

import pytest

from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox import Sandbox, landlock
from llm_optimize.sandbox.relay import loopback_ports

linux = pytest.mark.skipif(sys.platform != "linux", reason="ports are opened by Linux's layers")

ASK = """
import socket
def ask(host, port, size=5):
    try:
        with socket.create_connection((host, port), 5) as to:
            to.sendall(b"a" * size)
            to.shutdown(socket.SHUT_WR)
            got = b""
            while part := to.recv(65536):
                got += part
            return [len(got), got[:2]]
    except OSError as error:
        return type(error).__name__
"""


@pytest.fixture
def servers():
    """Two servers on loopback that answer in capitals; their ports."""
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]

    def answer(peer: socket.socket) -> None:
        with peer:
            while part := peer.recv(65536):
                peer.sendall(part.upper())

    def serve(server: socket.socket) -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    threads = [threading.Thread(target=serve, args=(server,), daemon=True) for server in listening]
    for thread in threads:
        thread.start()
    yield [server.getsockname()[1] for server in listening]
    for server in listening:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


@linux
@pytest.mark.parametrize("without", [(), ("net",), ("mount",)], ids=["walls", "no net", "no mount"])
def test_the_named_port_is_reached_and_nothing_else(servers, without):
    """By number and by name, small and large, the port answers; another port, and UDP, are out of reach."""
    port, other = servers
    if "net" in without and landlock.version() < 4:
        pytest.skip("needs Landlock 4")
    source = f"{ASK}x = [ask('127.0.0.1', {port}), ask('localhost', {port}), ask('127.0.0.1', {port}, 3_000_000)]\n"
    source += f"y = [ask('127.0.0.1', {other})]\n"
    source += "try:\n    socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nexcept OSError: y.append('no UDP')"
    with Sandbox(network=f"loopback:{port}", backend="zygote", without=without) as box:
        done = box.run(source, {}, ["x", "y"])
        assert done.ok, done
        assert done.values["x"] == [[5, b"AA"], [5, b"AA"], [3_000_000, b"AA"]]
        assert done.values["y"][0] in ("PermissionError", "ConnectionRefusedError")
        assert done.values["y"][1:] == ["no UDP"]


@linux
def test_several_ports(servers):
    """Each of several named ports leads to its own server."""
    with Sandbox(network=f"loopback:{servers[0]},{servers[1]}", backend="zygote") as box:
        done = box.run(f"{ASK}x = [ask('127.0.0.1', port) for port in {servers}]", {}, ["x"])
    assert done.values == {"x": [[5, b"AA"], [5, b"AA"]]}


@linux
def test_a_port_without_a_server_refuses():
    """Where nobody listens on the host, a program's connection ends at once, and the next program is fine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Sandbox(network=f"loopback:{port}", backend="zygote") as box:
        done = box.run(f"{ASK}x = ask('127.0.0.1', {port})", {}, ["x"])
        assert done.values["x"] in ([0, b""], "ConnectionResetError", "BrokenPipeError", "OSError")
        assert box.run("x = 1", {}, ["x"]).ok


@linux
def test_connections_end_with_their_program(servers):
    """Hundreds of connections, left open or waiting, are gone with their program; the next one connects at once."""
    port = servers[0]
    flood = f"import socket\nkept = [socket.create_connection(('127.0.0.1', {port}), 5) for _ in range(90)]"
    before = threading.active_count()
    with Sandbox(network=f"loopback:{port}", backend="zygote") as box:
        for _ in range(3):
            box.run(flood)
            assert box.run(f"{ASK}x = ask('127.0.0.1', {port})", {}, ["x"]).values == {"x": [5, b"AA"]}
    assert threading.active_count() <= before + 91 * 3


@linux
def test_sessions_use_the_port(servers):
    """A session reaches the port at every question."""
    with (
        Sandbox(network=f"loopback:{servers[0]}", backend="zygote") as box,
        box.session(f"{ASK}def f(): return ask('127.0.0.1', {servers[0]})") as session,
    ):
        for _ in range(3):
            assert session.call("f").values["result"] == [5, b"AA"]


@linux
def test_without_a_layer_that_keeps_it_the_network_is_refused():
    """Where nothing could keep a program to the port, the sandbox does not start, and says what it needs."""
    with (
        Sandbox(network="loopback:8800", without=("net", "landlock")) as box,
        pytest.raises(SandboxError, match="network"),
    ):
        box.run("pass")


@pytest.mark.parametrize(
    "network",
    [
        "loopback",
        "loopback:",
        "loopback:0",
        "loopback:65536",
        "loopback:a",
        "loopback:1,",
        "loopback:1,1",
        "loopback:-1",
    ],
)
def test_bad_ports_are_refused(network):
    """What is no list of ports is refused in one line that names the field."""
    with pytest.raises(BadInput, match="network") as refusal:
        Sandbox(network=network)
    assert "\n" not in str(refusal.value)


def test_ports_are_read():
    """Ports are read from the text, and other networks have none."""
    assert loopback_ports("loopback:8800,80") == [8800, 80]
    assert loopback_ports("none") == loopback_ports("host") == []


@pytest.mark.parametrize("backend", ["subprocess", "in_process"])
def test_weaker_back_ends_refuse_single_ports(backend):
    """A back end that cannot keep programs to a port refuses the setting."""
    with pytest.raises(BadInput, match="network"):
        Sandbox(network="loopback:8800", backend=backend)
