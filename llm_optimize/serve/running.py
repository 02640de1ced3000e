"""The live page's server: a socket, bound before anything is spent, and uvicorn behind it, here or in a thread."""

from __future__ import annotations

import secrets
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from llm_optimize.errors import BadInput
from llm_optimize.serve.border import Border, is_loopback
from llm_optimize.serve.hub import Hub
from llm_optimize.serve.routes import application

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_optimize.core.chat import Piece
    from llm_optimize.core.events import Event
    from llm_optimize.core.study import Study
    from llm_optimize.serve.sources import Source

__all__ = ["Address", "beside", "serve"]

_SHORTEST = 16  # characters of a token that nobody guesses
_CONNECTIONS = 256
_GRACE_S = 3  # for streams to send what there is


@dataclass(frozen=True, slots=True)
class Address:
    """Where the page is served.

    Attributes:
        host: a name or address of this machine.
        port: 0 for a free one.
        token: what a stranger must know; ``auto`` makes one up, None asks for none.

    Raises:
        BadInput: other machines could ask, and there is no token; or it is short; or there is no such port.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None

    def __post_init__(self) -> None:
        """Refuse what would be open to strangers."""
        if self.token == "auto":  # noqa: S105 - the word that asks for one
            object.__setattr__(self, "token", secrets.token_urlsafe(24))
        if self.token is not None and len(self.token) < _SHORTEST:
            msg = f"--token: it has {len(self.token)} characters, which can be guessed; give {_SHORTEST}, or auto"
            raise BadInput(msg)
        if not is_loopback(self.host) and self.token is None:
            msg = f"--host {self.host}: other machines could steer the study; give --token auto, or leave --host out"
            raise BadInput(msg)
        if not 0 <= self.port <= 65535:  # noqa: PLR2004 - the ports that there are
            msg = f"--port: {self.port} is none; give 0 to 65535"
            raise BadInput(msg)

    def bound(self) -> socket.socket:
        """Return a socket that listens here.

        Raises:
            BadInput: the address is taken, or is not of this machine.
        """
        try:
            family, _, _, _, where = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            return socket.create_server(where[:2], family=family)
        except OSError as error:
            msg = f"--host {self.host} --port {self.port}: cannot be listened on ({error.strerror}); give another port"
            raise BadInput(msg) from error

    def url(self, port: int, study: str | None = None) -> str:
        """Return the address to open, the token in it."""
        words = ({"study": study} if study else {}) | ({"token": self.token} if self.token else {})
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}/{'study' if study else ''}{'?' if words else ''}{urlencode(words)}"


def serve(store: Source, address: Address, study: str | None, say: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        store: whose studies are shown.
        address: where.
        study: the only one to show, or None for all.
        say: is told the address to open.
    """
    with _serving(Hub(store, study), address) as (port, thread):
        say(f"live page at {address.url(port, study)} (Ctrl-C ends it)")
        with suppress(KeyboardInterrupt):
            thread.join()


class _Ear:
    """An observer that wakes the page, and a listener that lets it hear the model."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def __call__(self, event: Event) -> None:  # noqa: ARG002 - the page reads the log itself
        self._hub.wake()

    def hear(self, piece: Piece) -> None:
        self._hub.hear(piece)


@contextmanager
def beside(study: Study, store: Source, address: Address, say: Callable[[str], None]) -> Iterator[None]:
    """Serve the page from a thread while the block runs the study; it shows what the model says while it says it.

    Args:
        study: about to be run in this process.
        store: the same file, opened once more: the page waits for nobody's lock.
        address: where.
        say: is told the address to open.
    """
    hub = Hub(store, running=study.name)
    study.watch(_Ear(hub))
    with _serving(hub, address) as (port, _):
        say(f"live page at {address.url(port, study.name)}")
        yield


@contextmanager
def _serving(hub: Hub, address: Address) -> Iterator[tuple[int, threading.Thread]]:
    """Serve in a thread while the block runs; at its end the streams send what there is and close."""
    with address.bound() as listening:
        server = _server(hub, address, listening)
        thread = threading.Thread(target=server.run, args=([listening],), name="live-page", daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1], thread
        finally:
            hub.close()
            server.should_exit = True
            thread.join(2 * _GRACE_S)


def _server(hub: Hub, address: Address, listening: socket.socket) -> Any:  # noqa: ANN401 - uvicorn is optional
    app = application(hub)
    import uvicorn  # noqa: PLC0415 - optional, and owned by this file

    port = listening.getsockname()[1]
    border = Border(app, address.host, address.token, f"llm_optimize_{port}")
    config = uvicorn.Config(
        border, log_level="warning", access_log=False, limit_concurrency=_CONNECTIONS, server_header=False,
        timeout_graceful_shutdown=_GRACE_S, ws="none", proxy_headers=False,
    )  # fmt: skip
    return uvicorn.Server(config)
