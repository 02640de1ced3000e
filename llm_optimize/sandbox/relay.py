"""The way out of a lane to a few ports of the host's loopback, and to nothing else.

The lane listens on the same ports in its own network namespace and hands the listening sockets to the host; here they
are accepted and their bytes are passed to the host's port. A program sees ``127.0.0.1:8800`` as it is on the host;
there is no route to anything else, because there is no route at all.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Relay", "loopback_ports"]

_MOST_CONNECTIONS = 64
_BUFFER = 1 << 16
_MOST_PORTS = 16
_LAST_PORT = 65535
_CONNECT_S = 2.0


def loopback_ports(network: str) -> list[int]:
    """Return the ports of ``loopback:8800`` or ``loopback:8800,8801``; none for another network.

    Raises:
        BadInput: there is something else behind ``loopback``.
    """
    kind, _, listed = network.partition(":")
    if kind != "loopback":
        return []
    parts = listed.split(",")
    good = all(part.isascii() and part.isdigit() and 0 < int(part[:6]) <= _LAST_PORT for part in parts)
    if not good or len(set(parts)) != len(parts) or len(parts) > _MOST_PORTS:
        msg = f"network is {network!r}: give 'loopback:PORT' or 'loopback:PORT,PORT' with at most {_MOST_PORTS} ports"
        raise BadInput(msg)
    return [int(part) for part in parts]


class _Link:
    """Two connected sockets; what arrives at one goes out at the other, no faster than that takes it."""

    def __init__(self, inside: socket.socket, outside: socket.socket) -> None:
        self.ends = (inside, outside)
        self.waiting = {inside: bytearray(), outside: bytearray()}  # what is to be sent to each end
        self.open = {inside: True, outside: True}  # whether the end may still say something
        for end in self.ends:
            end.settimeout(0)

    def other(self, end: socket.socket) -> socket.socket:
        return self.ends[1] if end is self.ends[0] else self.ends[0]

    def wanted(self, end: socket.socket) -> int:
        """The events to wait for at this end."""
        reads = self.open[end] and len(self.waiting[self.other(end)]) < _BUFFER
        return selectors.EVENT_READ * reads | selectors.EVENT_WRITE * bool(self.waiting[end])

    def move(self, end: socket.socket, events: int) -> bool:
        """Receive and send at this end; return whether the link is still of use."""
        try:
            if events & selectors.EVENT_READ:
                self._receive(end)
            if events & selectors.EVENT_WRITE:
                self._send(end)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return any(self.open.values()) or any(self.waiting.values())

    def _receive(self, end: socket.socket) -> None:
        data = end.recv(_BUFFER)
        self.open[end] = bool(data)
        self.waiting[self.other(end)] += data
        if data or self.waiting[self.other(end)]:
            return
        self.other(end).shutdown(socket.SHUT_WR)

    def _send(self, end: socket.socket) -> None:
        waiting = self.waiting[end]
        del waiting[: end.send(waiting)]
        if not waiting and not self.open[self.other(end)]:
            end.shutdown(socket.SHUT_WR)


class Relay:
    """Passes connections on, in a thread of its own, until it is closed."""

    def __init__(self, listeners: Sequence[int], ports: Sequence[int]) -> None:
        """Take over the listening sockets of a lane.

        Args:
            listeners: their descriptors, in the order of ``ports``.
            ports: of the host's loopback, where each leads.
        """
        self._selector = selectors.DefaultSelector()
        self._links: set[_Link] = set()
        self._asked, self._ask = socket.socketpair()
        self._done = threading.Semaphore(0)
        self._closed = False
        self._owner = os.getpid()
        for listener, port in zip(listeners, ports, strict=True):
            accepting = socket.socket(fileno=listener)
            accepting.settimeout(0)
            self._selector.register(accepting, selectors.EVENT_READ, port)
        self._selector.register(self._asked, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve, name="sandbox relay", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Close every connection, those that wait to be accepted too: they are the last program's."""
        if not self._closed and self._owner == os.getpid():
            self._ask.send(b"c")
            self._done.acquire()

    def close(self) -> None:
        """Close every connection and the listening sockets."""
        if self._closed or self._owner != os.getpid():
            return
        self._closed = True
        self._ask.send(b"x")
        self._thread.join()
        self._ask.close()

    def _serve(self) -> None:
        while True:
            for key, events in self._selector.select():
                if key.fileobj is self._asked:
                    asked = self._asked.recv(1)
                    self._drop_all()
                    if asked != b"c":
                        self._end()
                        return
                    self._done.release()
                    break  # the other events are of connections that are gone
                self._act(key, events)

    def _act(self, key: selectors.SelectorKey, events: int) -> None:
        end = key.fileobj
        assert isinstance(end, socket.socket)
        if isinstance(key.data, int):
            self._accept(end, key.data)
        elif key.data in self._links:
            if key.data.move(end, events):
                self._update(key.data)
            else:
                self._drop(key.data)

    def _accept(self, listener: socket.socket, port: int) -> None:
        with suppress(OSError):  # it gave up again
            inside, _ = listener.accept()
            if len(self._links) >= _MOST_CONNECTIONS:
                inside.close()
                return
            try:
                outside = socket.create_connection(("127.0.0.1", port), _CONNECT_S)
            except OSError:
                inside.close()
                return
            link = _Link(inside, outside)
            self._links.add(link)
            self._update(link)

    def _update(self, link: _Link) -> None:
        known = self._selector.get_map()
        for end in link.ends:
            wanted = link.wanted(end)
            if end in known and not wanted:
                self._selector.unregister(end)
            elif end in known:
                self._selector.modify(end, wanted, link)
            elif wanted:
                self._selector.register(end, wanted, link)

    def _drop(self, link: _Link) -> None:
        self._links.discard(link)
        for end in link.ends:
            if end in self._selector.get_map():
                self._selector.unregister(end)
            end.close()

    def _drop_all(self) -> None:
        for link in list(self._links):
            self._drop(link)
        for key in list(self._selector.get_map().values()):
            while isinstance(key.data, int):
                try:
                    key.fileobj.accept()[0].close()  # type: ignore[union-attr]  # listening sockets carry a port
                except OSError:
                    break

    def _end(self) -> None:
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]  # all of them are sockets
        self._selector.close()
