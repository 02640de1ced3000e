"""What is put on the shelf at once: the numbers of some thousand trials, and of whatever happened among them.

A long study's snapshot is a sequence of such parts, each written once, and a small head (:mod:`.snapshot`).
"""

from __future__ import annotations

import json
import zlib
from array import array
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from llm_optimize.core.shelf import Columns
from llm_optimize.core.types import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.shelf import Version

__all__ = ["Part", "packed", "shelved", "unpacked"]

_KINDS = (
    ("told", "q"), ("made", "q"), ("ids", "q"), ("scores", "d"), ("arms", "h"), ("digests", "Q"), ("firsts", "q"),
    ("told_at", "q"), ("retold", "q"), ("degrees", "q"), ("squares", "d"),
    ("n", "q"), ("means", "d"), ("spreads", "d"), ("failed", "q"), ("overruled", "q"), ("rare", "q"),
)  # fmt: skip


@dataclass(slots=True)
class Part:
    """What came since the part before it.

    Attributes:
        told, made, ids, scores: by trial, as in :class:`~llm_optimize.core.shelf.Columns`.
        arms: by candidate, without a gap among the ids: index into the names of the arms, -1 for none.
        digests, firsts: texts that were not known before, and the first candidates with them.
        told_at, retold, degrees, squares: by change of a trial, as in :class:`~llm_optimize.core.past.Record`.
        n, means, spreads, failed: by change: the tally of the trial after it.
        overruled: numbers of the changes that were a person's.
        rare: sequence numbers of the events that are neither proposals nor outcomes.
        trace: columns of the course.
        whys: (number of the change, position, why) of trials that count as rejected; 0 when it was so from the first.
    """

    told: array[int] = field(default_factory=lambda: array("q"))
    made: array[int] = field(default_factory=lambda: array("q"))
    ids: array[int] = field(default_factory=lambda: array("q"))
    scores: array[float] = field(default_factory=lambda: array("d"))
    arms: array[int] = field(default_factory=lambda: array("h"))
    digests: array[int] = field(default_factory=lambda: array("Q"))
    firsts: array[int] = field(default_factory=lambda: array("q"))
    told_at: array[int] = field(default_factory=lambda: array("q"))
    retold: array[int] = field(default_factory=lambda: array("q"))
    degrees: array[int] = field(default_factory=lambda: array("q"))
    squares: array[float] = field(default_factory=lambda: array("d"))
    n: array[int] = field(default_factory=lambda: array("q"))
    means: array[float] = field(default_factory=lambda: array("d"))
    spreads: array[float] = field(default_factory=lambda: array("d"))
    failed: array[int] = field(default_factory=lambda: array("q"))
    overruled: array[int] = field(default_factory=lambda: array("q"))
    rare: array[int] = field(default_factory=lambda: array("q"))
    trace: Sequence[array[Any]] = ()
    whys: list[tuple[int, int, str]] = field(default_factory=list)

    def packed(self) -> bytes:
        """Return the bytes; :meth:`restored` is the inverse."""
        return packed({"whys": self.whys}, [*(getattr(self, name) for name, _ in _KINDS), *self.trace])

    @classmethod
    def restored(cls, body: bytes) -> Part:
        """Return what was packed.

        Raises:
            ValueError: it is damaged.
        """
        head, arrays = unpacked(body)
        if [part.typecode for part in arrays[: len(_KINDS)]] != [kind for _, kind in _KINDS]:
            msg = "columns of other kinds"
            raise ValueError(msg)
        named = {name: column for (name, _), column in zip(_KINDS, arrays, strict=False)}
        whys = [(number, position, why) for number, position, why in head["whys"]]
        return cls(**named, trace=arrays[len(_KINDS) :], whys=whys)


def packed(head: Mapping[str, Any], arrays: Sequence[array[Any]] = ()) -> bytes:
    """Return a checksum, and compressed what JSON holds and columns of numbers; :func:`unpacked` is the inverse."""
    whole = {**head, "arrays": [[part.typecode, len(part)] for part in arrays]}
    packer = zlib.compressobj(1)
    parts = [json.dumps(whole).encode(), b"\n", *(part.tobytes() for part in arrays if part)]
    body = b"".join([*(packer.compress(part) for part in parts), packer.flush()])
    return blake2b(body, digest_size=16).digest() + body


def unpacked(body: bytes) -> tuple[dict[str, Any], list[array[Any]]]:
    """Return what was packed.

    Raises:
        ValueError: it is damaged.
    """
    if blake2b(body[16:], digest_size=16).digest() != body[:16]:
        msg = "the checksum is another"
        raise ValueError(msg)
    whole = zlib.decompress(body[16:])
    end = whole.index(b"\n")
    head, rest, at = json.loads(whole[:end]), memoryview(whole)[end + 1 :], 0
    arrays = []
    for kind, length in head["arrays"]:
        part = array(kind)
        size = length * part.itemsize
        part.frombytes(rest[at : at + size])
        arrays.append(part)
        at += size
    return head, arrays


def shelved(known: Columns, parts: Sequence[Part], names: tuple[str, ...], changes: int) -> Columns:
    """Return the columns with what further parts hold; ``known`` is left as it is.

    Args:
        known: the columns up to there.
        parts: what comes behind, in order.
        names: of all arms.
        changes: how many changes of trials are behind ``known``.

    Raises:
        IndexError: the parts do not fit.
    """
    columns = Columns(
        known.told[:], known.made[:], known.ids[:], known.scores[:], known.places[:], known.arms[:], names,
        dict(known.versions),
    )  # fmt: skip
    for part in parts:
        before = len(columns.ids)
        for name in ("told", "made", "ids", "scores", "arms"):
            getattr(columns, name).extend(getattr(part, name))
        places = columns.places
        places.extend(array("q", [-1]) * len(part.arms))
        for position, id_ in enumerate(part.ids, before):
            places[id_] = position
        columns.versions.update(_versions(columns.versions, part, changes))
        changes += len(part.retold)
    return columns


def _versions(known: Mapping[int, list[Version]], part: Part, changes: int) -> dict[int, list[Version]]:
    """Return by position the versions of the trials that a part changes, those known before first."""
    whys = {(number, position): why for number, position, why in part.whys}
    found: dict[int, list[Version]] = {position: [(0, Tally(), why)] for (n, position), why in whys.items() if n == 0}
    tallies = map(Tally, part.n, part.means, part.spreads, part.failed)
    for number, (position, tally) in enumerate(zip(part.retold, tallies, strict=True), changes + 1):
        versions = found.get(position) or list(known.get(position, ()))
        versions.append((number, tally, whys.get((number, position))))
        found[position] = versions
    return found
