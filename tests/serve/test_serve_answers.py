"""The live page's answers and its border as ASGI applications, without a server around them."""

from __future__ import annotations

import asyncio

import pytest

from llm_optimize.serve.answers import Answer, EventStream, server_sent
from llm_optimize.serve.border import Border, is_loopback

TOKEN = "a-token-that-nobody-guesses"


async def nothing_more():
    await asyncio.Event().wait()


def test_a_reader_that_takes_nothing_is_hung_up_on():
    """After its patience the stream ends, and what made its events is closed."""
    closed, sent = [], []

    async def events():
        try:
            while True:
                yield server_sent("log", {}, 1)
        finally:
            closed.append(True)

    async def send(message):
        sent.append(message["type"])
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    asyncio.run(EventStream(events(), patience=0.05)({}, nothing_more, send))
    assert closed == [True]
    assert sent == ["http.response.start", "http.response.body"]


def test_a_reader_that_has_gone_ends_its_stream():
    """However long the next event takes to come."""
    closed = []

    async def events():
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            closed.append(True)

    async def gone():
        return {"type": "http.disconnect"}

    async def send(message):
        pass

    async def main():
        await asyncio.wait_for(EventStream(events())({}, gone, send), 10)

    asyncio.run(main())
    assert closed == [True]


def status(border, **headers):
    """Return the status of a GET with these headers."""
    found = []

    async def send(message):
        found.append(message.get("status"))

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": named}
    asyncio.run(border(scope, nothing_more, send))
    return found[0]


def test_on_every_address_the_token_is_what_counts():
    """The server cannot know its names, so any is answered, to one with the token; of one address only its own."""
    everywhere = Border(Answer(200, b""), "0.0.0.0", TOKEN)
    assert status(everywhere, host="build.example:1") == 401
    assert status(everywhere, host="build.example:1", authorization=f"Bearer {TOKEN}") == 200
    assert status(everywhere, host="", authorization=f"Bearer {TOKEN}") == 421
    one = Border(Answer(200, b""), "192.0.2.7", TOKEN)
    assert status(one, host="192.0.2.7:80", authorization=f"Bearer {TOKEN}") == 200
    assert status(one, host="evil.example", authorization=f"Bearer {TOKEN}") == 421


@pytest.mark.parametrize(("host", "ours"), [("localhost", True), ("127.8.9.1", True), ("::1", True), ("0.0.0.0", False),
    ("127.0.0.1.example", False), ("192.168.0.1", False), ("", False), ("localhost.example", False)])  # fmt: skip
def test_which_names_are_this_machine_s_alone(host, ours):
    """Addresses of the loopback interface and its one name."""
    assert is_loopback(host) is ours
