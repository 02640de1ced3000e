"""The tools of an MCP server (Model Context Protocol, https://modelcontextprotocol.io) as tools for the proposer.

The server is a process of its own that is talked to over its standard input and output. It runs with the rights of the
user, is given a small environment (no keys but those in ``env``), and is ended with the block.
"""

from __future__ import annotations

import asyncio
import logging
import re
import tempfile
import threading
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from llm_optimize.errors import BadInput
from llm_optimize.llm.tools import Tool, ToolFailed, as_text, as_tools

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mcp import Client
    from mcp import types as wire

__all__ = ["mcp_tools"]

_LOG = logging.getLogger("llm_optimize")
_PAGES = 100  # of a listing: one that never ends is cut off
_SHARE = 3  # of the time to start that one question may take: an old server may leave the first one unanswered
_ENDING_SECONDS = 15.0  # the client gives the server 2 s to go by itself, then ends it, and its children with it
_MARGIN_SECONDS = 5.0  # by which a tool waits longer than its server may take
_QUOTED = 300
_CONNECTION_CLOSED = -32000  # the protocol's number for it
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 64


@contextmanager
def mcp_tools(  # noqa: PLR0913 - a process, and how long to wait for it
    command: str,
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    *,
    only: Sequence[str] | None = None,
    timeout: float = 60.0,
    start_timeout: float = 30.0,
) -> Iterator[tuple[Tool, ...]]:
    """Start an MCP server and yield its tools; end it when the block is left.

    Texts and structured results reach the model; of an image, a sound or a file it is told that there is one. A server
    that dies or does not answer is told to the model, call by call, and ends nothing.

    Args:
        command: the program, such as ``npx`` or ``uvx``.
        args: its arguments.
        env: variables beside ``PATH``, ``HOME`` and the like, which are all that it gets of this environment.
        only: names of the tools to offer; None for all of them.
        timeout: seconds for one call.
        start_timeout: seconds for the server to start and to list its tools.

    Raises:
        BadInput: the package ``mcp`` is missing; the program cannot be started, does not speak MCP, does not answer in
            time, or has no such tools.

    Example::

        with mcp_tools("uvx", ["mcp-server-fetch"]) as tools:
            optimize.run(..., tools=[*tools, my_function])
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        server = _Server(command, args, env, errors)
        try:
            listed = _chosen(server.start(start_timeout), only, command)
            yield as_tools(list(_tools(server, listed, timeout)))
        finally:
            server.close()


class _Server:
    """A server process, and the thread whose event loop talks to it."""

    def __init__(self, command: str, args: Sequence[str], env: Mapping[str, str] | None, errors: TextIO) -> None:
        self.command = command
        self._given = {"command": command, "args": list(args), "env": dict(env or {})}
        self._errors = errors
        self._client: Client | None = None
        self._gone = False
        self._listed: Future[list[wire.Tool]] = Future()
        self._leave = asyncio.Event()
        self._ended = threading.Event()
        self._serving: Future[None] | None = None

    def start(self, seconds: float) -> list[wire.Tool]:
        """Start the process and return what it lists.

        Raises:
            BadInput: it is of no use as a server.
        """
        client = _new_client(self._given, self._errors, seconds / _SHARE)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name=f"mcp-{self.command}")
        self._thread.start()
        self._serving = asyncio.run_coroutine_threadsafe(self._serve(client), self._loop)
        either: list[Future[Any]] = [self._listed, self._serving]
        wait(either, seconds, FIRST_COMPLETED)
        if self._listed.done():
            return self._listed.result()
        error = self._serving.exception() if self._serving.done() else None
        why = _reason(error) if error else f"it did not answer within {seconds:g} s"
        self.close()
        msg = f"mcp_tools: {self.command!r} is of no use as an MCP server: {why}{self._said()}"
        raise BadInput(msg)

    def call(self, name: str, seconds: float, /, **arguments: Any) -> str:  # noqa: ANN401 - any tool's arguments
        """Call a tool.

        Raises:
            ToolFailed: the server says no, does not answer, or is gone.
        """
        if self._client is None:
            msg = f"{name} cannot be called any more: its server has been closed"
            raise ToolFailed(msg)
        asked = asyncio.run_coroutine_threadsafe(self._client.call_tool(name, arguments), self._loop)
        wait([asked], seconds)
        if not asked.done():
            asked.cancel()
            msg = f"{name} gave no result within {seconds:g} s and is not waited for any longer"
            raise ToolFailed(msg)
        error = asked.exception()
        if error is not None:
            self._notice(error)
            msg = f"{name} failed: {_reason(error)}"
            raise ToolFailed(msg)
        text = _text(asked.result())
        if asked.result().is_error:
            raise ToolFailed(text)
        return text

    def close(self) -> None:
        """End the server's process and the thread; safe to call again."""
        self._client = None
        if self._serving is None or self._loop.is_closed():
            return
        if self._listed.done():
            self._loop.call_soon_threadsafe(self._leave.set)
        else:
            self._serving.cancel()  # it still waits for the server
        if not self._ended.wait(_ENDING_SECONDS):
            _LOG.warning("the MCP server %r could not be ended within %g s", self.command, _ENDING_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ENDING_SECONDS)
        if not self._thread.is_alive():
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self, client: Client) -> None:
        try:
            async with client as entered:
                tools = await _list(entered)
                self._client = entered
                self._listed.set_result(tools)
                await self._leave.wait()
        finally:
            self._ended.set()

    def _notice(self, error: BaseException) -> None:
        """Tell the user, once, that the server has ended; the model is told at each call."""
        if getattr(error, "code", None) == _CONNECTION_CLOSED and not self._gone:
            self._gone = True
            _LOG.warning("the MCP server %r has ended%s", self.command, self._said())

    def _said(self) -> str:
        """Return the end of what the server wrote to its error stream."""
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().splitlines() if line.strip()]
        return f"; it said: {' '.join(lines)[-_QUOTED:]}" if lines else ""


def _new_client(given: dict[str, Any], errors: TextIO, seconds: float) -> Client:
    try:
        from mcp import Client, StdioServerParameters, stdio_client  # noqa: PLC0415 - heavy; loaded by those who use it
    except ImportError as error:
        msg = f"mcp_tools needs the package mcp, version 2 ({error}): pip install 'llm-optimize[mcp]'"
        raise BadInput(msg) from error
    try:
        return Client(stdio_client(StdioServerParameters(**given), errors), read_timeout_seconds=seconds)
    except ValueError as error:
        msg = f"mcp_tools: {_reason(error)}: give a command, and lists and dicts of texts"
        raise BadInput(msg) from error


async def _list(client: Client) -> list[wire.Tool]:
    tools: list[wire.Tool] = []
    cursor = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return tools


def _chosen(listed: Sequence[wire.Tool], only: Sequence[str] | None, command: str) -> list[wire.Tool]:
    if not listed:
        msg = f"mcp_tools: the server {command!r} has no tools"
        raise BadInput(msg)
    known = [tool.name for tool in listed]
    missing = [name for name in only or () if name not in known]
    if missing:
        msg = f"only names {missing[0]!r}, which the server {command!r} does not have; it has {', '.join(known)}"
        raise BadInput(msg)
    return [tool for tool in listed if only is None or tool.name in only]


def _tools(server: _Server, listed: Iterable[wire.Tool], seconds: float) -> Iterator[Tool]:
    taken: set[str] = set()
    for tool in listed:
        name = plain = _NOT_IN_NAMES.sub("_", tool.name)[:_LONGEST_NAME] or "tool"
        while name in taken:
            name = f"{plain[: _LONGEST_NAME - 4]}_{len(taken)}"
        taken.add(name)
        about = (tool.description or tool.title or "").strip() or f"The tool {tool.name} of {server.command}."
        schema = {**tool.input_schema, "type": "object"}
        yield Tool(name, about, schema, partial(server.call, tool.name, seconds), seconds + _MARGIN_SECONDS)


def _text(result: wire.CallToolResult) -> str:
    texts = [text for block in result.content if (text := _of_block(block))]
    if result.structured_content is not None and not any(block.type == "text" for block in result.content):
        texts.append(as_text(result.structured_content))  # servers give the same as text where they can
    return "\n".join(texts) or ("it failed and does not say why" if result.is_error else "(no result)")


def _of_block(block: wire.ContentBlock) -> str:
    if block.type == "text":
        return block.text
    if block.type == "resource":
        held = getattr(block.resource, "text", None)
        return held if isinstance(held, str) else f"[a file that is not text: {block.resource.uri}]"
    if block.type == "resource_link":
        return f"[a file: {block.name}, {block.uri}]"
    size = len(block.data.rstrip("=")) * 3 // 4  # of base64
    return f"[{block.type}, {block.mime_type}, {size:,} bytes; it cannot be shown here]"


def _reason(error: BaseException) -> str:
    """Return an error in a line; of a group the first, which is the cause of the others."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())[:_QUOTED]
