"""The side of a session that runs inside the jail: questions in, answers out, one namespace for all of them.

A question is ``<Q`` (length of the body), 16 bytes that nobody could have known before, and the body; its answer has
the same form and repeats the 16 bytes, so an answer that was written before the question is told apart. The body is a
task as :func:`program.answer` takes it, with ``inputs`` beside it. This file runs inside the jail, so it needs the
standard library only; its siblings are handed to it, because how they are loaded differs from place to place.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["HEADER", "NONCE", "Data", "once", "serve", "write"]

Data = bytes | bytearray | memoryview

NONCE = 16
"""Bytes of the random number that ties an answer to its question."""
HEADER = 8 + NONCE
"""Bytes before the body."""


def once(
    given: Callable[[], tuple[dict[str, Any], dict[str, Any]]], codec: ModuleType, program: ModuleType
) -> list[bytes | memoryview]:
    """Run one program and return its result, encoded.

    Args:
        given: returns the task, as :func:`program.perform` takes it, and the variables that the program finds set. What
            it reads them from must end with it: a program finds no descriptor too many, unless an array lies there.
        codec: as for :func:`serve`.
        program: as for :func:`serve`.
    """
    try:
        task, inputs = given()
    except codec.NotData as error:
        return codec.encode_outcome(_unusable(error, program))  # type: ignore[no-any-return]  # a sibling by path
    return codec.encode_outcome(program.perform(task, inputs))  # type: ignore[no-any-return]  # a sibling by path


def serve(asked: int, answers: int, inputs: Data, codec: ModuleType, program: ModuleType) -> None:
    """Answer questions until there are no more.

    Args:
        asked: descriptor of the questions.
        answers: descriptor of the answers.
        inputs: encoded variables that the program finds set at the first question.
        codec: the sibling that reads and writes values.
        program: the sibling that runs source.
    """
    space: dict[str, Any] | None = None
    scripts = 0
    while header := _exactly(asked, HEADER):
        body = _exactly(asked, struct.unpack_from("<Q", header)[0])
        try:
            if space is None:
                space = program.namespace(codec.decode(inputs, copy=False))
                inputs = b""  # what held them closes, unless an array lies in it
            task = codec.decode(body, copy=False)
        except codec.NotData as error:
            outcome = _unusable(error, program)
        else:
            space.update(task["inputs"])
            scripts += task["source"] is not None
            name = program.FILENAME if scripts <= 1 else f"{program.FILENAME[:-1]} {scripts}>"
            outcome = program.answer(space, task, name)
            del task  # what was asked is the program's to keep, not ours
        chunks = codec.encode_outcome(outcome)
        del outcome
        sys.stdout.flush()
        sys.stderr.flush()
        size = sum(map(len, chunks))
        write(answers, [struct.pack("<Q", size) + header[8:], *chunks])


def _unusable(error: Exception, program: ModuleType) -> dict[str, Any]:
    """What the host sent is well-formed, so it is something that is missing on this side."""
    return program.failed("raised", f"what the program is given cannot be had inside: {error}")  # type: ignore[no-any-return]  # a sibling by path


def _exactly(descriptor: int, size: int) -> bytearray:
    """Read this many bytes; fewer only where the host has gone, and then there is nobody left to serve."""
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = os.readv(descriptor, [rest])
        if count == 0:
            return bytearray()
        rest = rest[count:]
    return data


def write(descriptor: int, chunks: list[bytes | memoryview]) -> None:
    """Write all of it."""
    small = chunks if len(chunks) == 1 or sum(map(len, chunks)) > _JOINED else [b"".join(chunks)]
    for chunk in small:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


_JOINED = 1 << 16  # below this one write is quicker than several
