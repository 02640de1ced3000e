"""A TCP proxy on 127.0.0.1 that can drop a connection after the server has done what was asked, before it says so."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading

__all__ = ["CuttingProxy"]


class CuttingProxy:
    """Passes bytes on in both directions; :meth:`cut` breaks the connection in place of the server's next answer."""

    def __init__(self, port: int) -> None:
        """Stand in front of ``port`` of this machine."""
        self._target = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._cutting = False
        self.cuts = 0
        """How often a connection has been broken."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break the next connection that the server answers on, in place of the answer."""
        self._cutting = True

    def close(self) -> None:
        """Take no more connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed: the end
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._target)
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    try:
                        data = key.fileobj.recv(65536)
                    except ConnectionError:
                        return
                    if key.fileobj is server and data and self._cutting:
                        self._cutting = False
                        self.cuts += 1
                        return
                    if not data:
                        return
                    key.data.sendall(data)
