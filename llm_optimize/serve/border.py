"""Who may ask: every request passes here before anything reads it.

A page of another origin must neither read a study nor steer it. Its requests name it in ``Origin`` and are refused; a
name that its owner has pointed at this machine (DNS rebinding) is not among the hosts that are answered; a form can
send no JSON; and where a token is asked for, the cookie that holds a proof of it is not sent along from elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import ipaddress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from llm_optimize.serve.answers import Answer, refusal

if TYPE_CHECKING:
    from llm_optimize.serve.answers import App, Message, Receive, Scope, Send

__all__ = ["LARGEST", "Border", "is_loopback"]

LARGEST = 1_000_000
"""Bytes that a request's body may have."""

_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognized here, not bound to
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}

_OPEN = frozenset({"/static/report.css", "/static/live.css"})
"""What a stranger may have: how the page that turns it away looks."""

_STRANGER = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>A token is needed</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/static/report.css">
<link rel="stylesheet" href="/static/live.css"></head>
<body><main class="studies"><section class="card"><h2>This page needs its token</h2>
<p>Open the address that was printed where the server was started: it ends in <code>?token=...</code></p>
<p>It is asked for once in this browser, until the server is started with another one.</p>
</section></main></body></html>
"""


def is_loopback(host: str) -> bool:
    """Return whether a name or address is this machine's alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name; "127.0.0.1.example.org" is one


@dataclass(frozen=True, slots=True)
class Border:
    """An ASGI application around another one: it passes on what may be asked, and nothing else.

    Attributes:
        app: what is behind it.
        host: the address that the server listens on.
        token: what a stranger must know, or None.
        cookie: the name of the cookie that proves it.
    """

    app: App
    host: str
    token: str | None = None
    cookie: str = "llm_optimize"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on, and put the headers that protect the page on every answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)  # the server's own beginning and end
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        answer = self._refusal(scope, headers) or self._entry(scope, headers)
        if answer is None and scope["method"] == "POST":
            answer, receive = await _limited(headers, receive)
        await (answer or self.app)(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Answer | None:
        host = headers.get("host", "")
        if not self._answers_to(host):
            return refusal(421, "Host: this page is not served under that name")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return refusal(403, "Origin: another page may not ask here")
        site = headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") and headers.get("sec-fetch-mode") != "navigate":
            return refusal(403, "Sec-Fetch-Site: another page may not ask here")
        if scope["method"] not in ("GET", "POST"):
            return refusal(405, "method: GET and POST only")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] == "POST" and kind != "application/json":
            return refusal(415, "Content-Type: send application/json")
        return None

    def _answers_to(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if self.token is not None and self.host in _ANY:
            return bool(name)  # the cookie belongs to a name, so a name that is new to a browser comes without it
        return is_loopback(name) if is_loopback(self.host) else name == self.host.lower() or is_loopback(name)

    def _entry(self, scope: Scope, headers: dict[str, str]) -> Answer | None:
        """Return what one without the token gets, and what turns a token in the address into the cookie."""
        if self.token is None or (scope["method"] == "GET" and scope["path"] in _OPEN):
            return None
        if hmac.compare_digest(_cookie(headers, self.cookie).encode(), self._proof.encode()):
            return None
        words = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in words if name == "token"), "")
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(bearer.encode(), self.token.encode()):
            return None
        if scope["method"] == "GET" and hmac.compare_digest(given.encode(), self.token.encode()):
            return self._welcome(scope["path"], [(name, value) for name, value in words if name != "token"])
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return Answer(401, _STRANGER.encode(), "text/html; charset=utf-8")
        return refusal(401, "token: open the address with ?token= that was printed where the server was started")

    @property
    def _proof(self) -> str:
        return hmac.new((self.token or "").encode(), b"llm_optimize live page", hashlib.sha256).hexdigest()

    def _welcome(self, path: str, words: list[tuple[str, str]]) -> Answer:
        """Set the cookie and go on without the token in the address.

        A redirect would not do: when a link elsewhere led here, the browser keeps a strict cookie back until a request
        is made from a page of ours.
        """
        target = html.escape("/" + path.lstrip("/\\") + (f"?{urlencode(words)}" if words else ""), quote=True)
        body = (
            f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={target}"><title>…</title>'
        )
        cookie = f"{self.cookie}={self._proof}; Path=/; HttpOnly; SameSite=Strict"
        return Answer(200, body.encode(), "text/html; charset=utf-8", {"set-cookie": cookie})


def _cookie(headers: dict[str, str], name: str) -> str:
    try:
        known: SimpleCookie = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return known[name].value if name in known else ""


async def _limited(headers: dict[str, str], receive: Receive) -> tuple[Answer | None, Receive]:
    """Read a body that is not too large, and return how to read it again; or the refusal of one that is."""
    too_large = refusal(413, f"body: it is larger than {LARGEST:,} bytes")
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > LARGEST:
        return too_large, receive
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return refusal(400, "body: it broke off"), receive
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > LARGEST:
            return too_large, receive
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> Message:
        part = next(parts, None)
        return part if part is not None else await receive()

    return None, again
