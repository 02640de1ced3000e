"""Long texts of candidates: each is in the file once, compressed, whoever proposes it again.

A text's body is as in an archive of the ``sqlite3`` shell: zlib's stream, or the bytes themselves where that is not
shorter. So ``SELECT sqlar_uncompress(body, size) FROM texts`` shows them there.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from llm_optimize.core.events import Proposed
from llm_optimize.errors import StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.events import Event

__all__ = ["LONG", "Packed", "joined", "parted", "texts_of", "wanted", "written"]

LONG = 512
"""Characters from which on a candidate's text is kept apart from its event."""

Packed = tuple[int, bytes]
"""A text's size in bytes, and its body: zlib's stream, or the bytes themselves."""

_HEAD = 200  # characters that the views show of a compressed text


def parted(event: Event) -> tuple[Event, tuple[str | None, ...]]:
    """Return the event without its long texts, and these by candidate, None for a short one; ``()`` without any."""
    if not isinstance(event, Proposed) or all(len(one.text) < LONG for one in event.candidates):
        return event, ()
    texts = tuple(one.text if len(one.text) >= LONG else None for one in event.candidates)
    left = (one if len(one.text) < LONG else replace(one, text="") for one in event.candidates)
    return replace(event, candidates=tuple(left)), texts


def written(connection: sqlite3.Connection, texts: Sequence[str | None]) -> str | None:
    """Write the texts that are not in the file yet; return the numbers of all as JSON, None without any.

    Args:
        connection: within a transaction, so that an event and its texts come together.
        texts: as from :func:`parted`.
    """
    return json.dumps([None if text is None else _number(connection, text) for text in texts]) if texts else None


def wanted(rows: Sequence[tuple[str | None]]) -> set[int]:
    """Return the numbers of the texts that events are to be joined with."""
    return {number for (numbers,) in rows if numbers for number in json.loads(numbers) if number is not None}


def texts_of(connection: sqlite3.Connection, numbers: set[int]) -> dict[int, Packed]:
    """Return texts by number, compressed as they are; those that the file does not hold are missing."""
    rows = []
    for some in _parts(sorted(numbers)):
        rows += connection.execute(_TEXTS.format(",".join("?" * len(some))), some).fetchall()
    return {number: (size, body) for number, size, body in rows}


def joined(event: Event, numbers: str | None, texts: Mapping[int, Packed]) -> Event:
    """Return the event with its long texts: the inverse of :func:`parted`.

    Raises:
        StoreError: a text is missing or damaged.
    """
    if numbers is None or not isinstance(event, Proposed):
        return event
    try:
        pairs = zip(event.candidates, json.loads(numbers), strict=True)
        whole = tuple(
            one if number is None else replace(one, text=_plain(number, *texts[number])) for one, number in pairs
        )
    except (KeyError, TypeError, ValueError) as error:
        msg = f"the log lacks the text of a candidate ({error}): restore the file"
        raise StoreError(msg) from error
    return replace(event, candidates=whole)


_TEXTS = "SELECT id, size, body FROM texts WHERE id IN ({})"
_AT_ONCE = 500  # numbers in one question


def _parts(numbers: list[int]) -> list[list[int]]:
    return [numbers[at : at + _AT_ONCE] for at in range(0, len(numbers), _AT_ONCE)]


def _number(connection: sqlite3.Connection, text: str) -> int:
    body = text.encode("utf-8", "surrogatepass")
    digest = blake2b(body, digest_size=16).digest()
    known = connection.execute("SELECT id FROM texts WHERE digest = ?", (digest,)).fetchall()
    if not known:
        head = text[:_HEAD].encode("utf-8", "replace").decode()
        packed = min(zlib.compress(body), body, key=len)
        known = connection.execute(
            "INSERT INTO texts (digest, size, characters, head, body) VALUES (?, ?, ?, ?, ?) RETURNING id",
            (digest, len(body), len(text), head, packed),
        ).fetchall()
    [(number,)] = known
    return int(number)


def _plain(number: int, size: int, body: bytes) -> str:
    try:
        return (body if len(body) == size else zlib.decompress(body)).decode("utf-8", "surrogatepass")
    except (TypeError, ValueError, zlib.error) as error:
        msg = f"text {number} cannot be read ({error}): restore the file"
        raise StoreError(msg) from error
