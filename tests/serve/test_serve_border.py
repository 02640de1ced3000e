"""Who may ask the live page's server, and what it makes of requests that nobody should send."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
from contextlib import ExitStack, suppress

import pytest
import uvicorn

from llm_optimize.errors import BadInput
from llm_optimize.serve.border import LARGEST
from llm_optimize.serve.connections import hasty_protocol
from llm_optimize.serve.running import Address

FORBIDDEN = "never in the log"
TOKEN = "a-token-that-nobody-guesses"
SAY = {"act": "say", "text": "be brief"}


@pytest.fixture(scope="module")
def page(page_of):
    """A page of a finished study; all tests of this file that ask for it share it."""
    with page_of() as page:
        page.study.run()
        yield page


def guided(page):
    """Return what was said to the study."""
    return [event.text for _, event in page.store.read("demo") if type(event).__name__ == "Guided"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "[::1", "10.0.0.1"]
)
def test_another_name_is_not_answered(page, host):
    """A name that its owner has pointed at this machine gets nothing, not even the empty page."""
    status, _, body = page.ask("/", Host=host)
    assert status == 421
    assert b"<" not in body


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1:80", "[::1]:9"])
def test_names_of_this_machine_are_answered(page, host):
    """Whatever the port: it may have been forwarded."""
    assert page.ask("/", Host=host)[0] == 200


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": "http://localhost.evil"},
    {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"},
])  # fmt: skip
def test_a_page_of_another_origin_can_neither_steer_nor_read(page, headers):
    """Its requests are refused before anything is read, and nothing reaches the log."""
    for path, method, body in (
        ("/api/say?study=demo", "POST", {"act": "say", "text": FORBIDDEN}),
        ("/api/report?study=demo", "GET", None),
    ):
        status, answered, _ = page.ask(path, method, body, **headers)
        assert status == 403
        assert "access-control-allow-origin" not in answered
    assert FORBIDDEN not in guided(page)


def test_the_page_itself_may_say_something(page):
    """With its own origin, as a browser sends it, and without one, as a program asks."""
    own = {"Origin": f"http://127.0.0.1:{page.port}", "Sec_Fetch_Site": "same-origin"}
    assert page.ask("/api/say?study=demo", "POST", SAY, **own)[0] == 200
    assert page.ask("/api/say?study=demo", "POST", SAY)[0] == 200
    assert guided(page).count("be brief") == 2


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_form_can_send_is_refused(page, kind):
    """Only JSON is read: no form of another page can send it without asking first, which is not granted."""
    assert (
        page.ask("/api/say?study=demo", "POST", f'{{"act": "say", "text": "{FORBIDDEN}"}}', Content_Type=kind)[0] == 415
    )
    assert page.ask("/api/say?study=demo", "OPTIONS", Origin="http://evil.example")[0] == 403
    assert FORBIDDEN not in guided(page)


def test_a_huge_body_is_refused_before_it_is_read(page):
    """By the length that it says, and, where it says none, as soon as it is too long."""
    status, _, _ = page.ask("/api/say", "POST", None, Content_Type="application/json", Content_Length=str(10**12))
    assert status == 413
    parts = (b"x" * 65536 for _ in range(LARGEST // 65536 + 2))
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=20)
    connection.request("POST", "/api/say", parts, {"Content-Type": "application/json"}, encode_chunked=False)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(("body", "said"), [
    ("{", "it is no JSON"), ("[" * 100_000, "it is no JSON"), ("[]", "no JSON object"), ("{}", "act: give one of"),
    ('{"act": "say"}', "guidance is empty"), ('{"act": "say", "text": 5}', "text: give a text"),
    ('{"act": "accept", "candidate": 99}', "candidate 99 is unknown"),
    ('{"act": "pin", "candidate": "1"}', "is unknown"),
    ('{"act": "stop"}', "the study is not running"), ('{"act": "raise", "text": "x=1"}', "raises no cap"),
    ('{"act": "inject", "text": "x!"}', "is candidate #1 already"),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_a_line(page, body, said):
    """Status 400 with a sentence, and nothing in the log."""
    before = guided(page)
    status, _, answered = page.ask("/api/say?study=demo", "POST", body, Content_Type="application/json")
    assert status == 400
    assert said in answered.decode()
    assert guided(page) == before


@pytest.mark.parametrize(("path", "status"), [
    ("/api/report?study=other", 400), ("/api/report", 400), ("/api/events?study=demo&after=x", 400),
    ("/api/events?study=demo&after=-1", 400), ("/api/events?study=demo&after=" + "9" * 40, 400),
    ("/static/none.js", 404), ("/static/..%2frunning.py", 404), ("/static/../running.py", 404),
    ("/etc/passwd", 404), ("/api/say", 405),
])  # fmt: skip
def test_addresses_that_lead_nowhere(page, path, status):
    """They are refused, and no file but those of the page can be had."""
    assert page.ask(path)[0] == status


@pytest.mark.parametrize("path", ["/", "/study?study=demo", "/static/live.js", "/api/studies", "/nowhere"])
def test_every_answer_carries_what_protects_the_page(page, path):
    """A policy without anything from outside, no sniffing, no frames, no cache, no referrer."""
    _, headers, _ = page.ask(path)
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers.get("server") is None


@pytest.fixture(scope="module")
def secret(page_of):
    """A page that wants a token, of a finished study."""
    with page_of(token=TOKEN) as page:
        page.study.run()
        yield page


@pytest.mark.parametrize("path", ["/", "/study", "/static/live.js", "/api/studies", "/api/report?study=demo",
    "/api/events?study=demo", "/api/listing", "/?token=", "/?token=wrong", f"/?token={TOKEN}x"])  # fmt: skip
def test_without_the_token_there_is_nothing(secret, path):
    """401 for the page, its files and its data; a wrong token is no better than none."""
    assert secret.ask(path)[0] == 401
    assert secret.ask(path, Cookie=f"llm_optimize_{secret.port}={TOKEN}")[0] == 401
    assert secret.ask("/api/say?study=demo", "POST", SAY)[0] == 401
    assert secret.ask(f"/api/say?study=demo&token={TOKEN}", "POST", SAY)[0] == 401


def test_the_token_in_the_address_becomes_a_cookie(secret):
    """It is strict and out of the reach of scripts, does not hold the token, and the page goes on without it."""
    status, headers, body = secret.ask(f"/study?study=%3Cb%3E&token={TOKEN}")
    cookie = headers["set-cookie"]
    assert status == 200
    assert re.fullmatch(r"llm_optimize_\d+=[0-9a-f]{64}; Path=/; HttpOnly; SameSite=Strict", cookie)
    assert TOKEN not in body.decode() + cookie
    assert b'content="0;url=/study?study=%3Cb%3E"' in body
    assert secret.ask("/api/report?study=demo", Cookie=cookie.partition(";")[0])[0] == 200
    assert secret.ask("/api/studies", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert TOKEN in secret.url


def test_a_token_in_an_address_leads_to_no_other_machine(secret):
    """What the page goes on to is a path of this server, however the address is written."""
    _, _, body = secret.ask(f"//evil.example/?token={TOKEN}")
    assert b"url=/evil.example/" in body


@pytest.mark.parametrize(("given", "said"), [
    ({"host": "0.0.0.0"}, "other machines could steer the study"), ({"host": "example.org"}, "other machines could"),
    ({"token": "short"}, "which can be guessed"), ({"port": 70_000}, "give 0 to 65535"),
])  # fmt: skip
def test_an_address_that_is_open_to_strangers_is_refused(given, said):
    """Before anything listens, in a line that says what to give."""
    with pytest.raises(BadInput, match=said):
        Address(**given)


def test_a_port_that_is_taken_is_told():
    """In a line, before anything is spent."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BadInput, match="give another port"):
        Address(port=taken.getsockname()[1]).bound()


def test_the_pages_of_a_stranger_look_like_pages(secret):
    """A browser without the token is told what to do, in a page whose style it may have; a wrong token likewise."""
    for path in ("/", "/study?study=demo", "/?token=wrong"):
        status, headers, body = secret.ask(path, Accept="text/html,*/*")
        assert (status, headers.get_content_type()) == (401, "text/html")
        assert b"This page needs its token" in body
        assert b"demo" not in body
    for name in ("report.css", "live.css"):
        assert secret.ask(f"/static/{name}")[0] == 200
        assert secret.ask(f"/static/{name}", "POST", SAY)[0] == 401


def test_a_thousand_connections_that_ask_nothing_shut_nobody_out(page):
    """Those that have been idle longest are hung up on; who asks is answered, whatever was sent by halves before."""
    with ExitStack() as stack:
        idle = []
        for number in range(1000):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", page.port)))
            one.sendall(b"GET / HTTP/1.1\r\nHost: loc"[: number % 26])
            idle.append(one)
            if number % 200 == 199:
                assert page.ask("/api/studies")[0] == 200
        assert page.ask("/")[0] == 200
        idle[0].settimeout(20)
        with suppress(ConnectionResetError):
            assert idle[0].recv(1) == b""


@pytest.mark.parametrize("text", ["\\ud800", "\\u0000", "\\u2028</script>", "x" * 900_000])
def test_strange_texts_are_written_down_and_shown(page, text):
    """Halves of characters, control characters, long ones: each is one event, and the page's data stay readable."""
    before = len(guided(page))
    body = f'{{"act": "say", "text": "word {text}"}}'
    assert page.ask("/api/say?study=demo", "POST", body, Content_Type="application/json")[0] == 200
    assert len(guided(page)) == before + 1
    with page.stream("/api/events?study=demo&most=1") as event:
        while (one := event()).get("event") != "log":
            assert one
        assert one["data"]["line"].startswith("guidance: word ")
    assert json.loads(page.ask("/api/report?study=demo")[2])["data"]["format"] == 1


def test_a_connection_that_says_nothing_is_closed():
    """After the time for a request's head, whether nothing came or a part; one that is answered is left alone."""

    async def main():
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await asyncio.sleep(0.3)  # longer than a head may take
            await send({"type": "http.response.body", "body": b"ok"})

        config = uvicorn.Config(app, http=hasty_protocol(seconds=0.1), log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            serving = asyncio.create_task(server.serve([listening]))
            ends = []
            for sent in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(sent)
                with suppress(ConnectionResetError):
                    ends.append(await reader.read())
                writer.close()
            server.should_exit = True
            await serving
        assert [end[-2:] for end in ends if end] == [b"ok"]

    asyncio.run(main())
