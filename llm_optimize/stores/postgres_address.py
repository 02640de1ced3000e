"""What a ``postgresql://`` address says: how to connect, how long to wait, and what of it may be shown to anybody."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Address", "Timing", "is_address"]

_SCHEMES = ("postgresql://", "postgres://")
_REMEDY = "give postgresql://USER@HOST:PORT/DATABASE, with the password in ~/.pgpass or PGPASSWORD"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a store waits for what.

    Attributes:
        lease_s: an owner that has not been heard of for so many seconds, by the server's clock, may be replaced.
            Renewed three times as often. More than 0.
        patience_s: how long a claim waits for the present owner to give up or to die; 0 refuses at once.
        outage_s: how long an operation goes on trying to reach a server that has been reached before.
    """

    lease_s: float = 30.0
    patience_s: float = 0.0
    outage_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse times that make no sense.

        Raises:
            BadInput: a time is negative or no number, or the lease is 0 or infinite.
        """
        for item in fields(self):
            value = getattr(self, item.name)
            if math.isnan(value) or value < 0:
                msg = f"{item.name} is {value!r}: give a number of seconds, 0 or more"
                raise BadInput(msg)
        if not 0 < self.lease_s < math.inf:
            msg = f"lease_s is {self.lease_s!r}: give a finite number of seconds above 0"
            raise BadInput(msg)


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address.

    Attributes:
        conninfo: for libpq; holds the password where one was given, so it is never shown.
        shown: the same without password and options, for messages.
        timing: from the options ``lease_s``, ``patience_s`` and ``outage_s`` of the address.
    """

    conninfo: str = field(repr=False)
    shown: str
    timing: Timing = Timing()

    @classmethod
    def parse(cls, text: str) -> Address:
        """Take an address apart; whatever is wrong with it, the message does not repeat it.

        Example:
            >>> Address.parse("postgresql://ann:secret@db.example:5433/team?lease_s=10").shown
            'postgresql://ann@db.example:5433/team'

        Raises:
            BadInput: it does not begin with ``postgresql://``, is ambiguous, or holds an option that makes no sense.
        """
        if not is_address(text):
            msg = f"store: the address does not begin with postgresql://: {_REMEDY}"
            raise BadInput(msg)
        rest = text.partition("://")[2]
        authority, place, query = _split(rest)
        user = authority.rpartition("@")[0].partition(":")[0]
        shown = f"postgresql://{f'{user}@' if user else ''}{authority.rpartition('@')[2]}{place}"
        mine, theirs = _sorted(query.split("&") if query else ())
        conninfo = f"postgresql://{authority}{place}" + (f"?{'&'.join(theirs)}" if theirs else "")
        return cls(conninfo, shown, Timing(**mine))

    def __str__(self) -> str:
        """Return what may be shown."""
        return self.shown


def is_address(text: str) -> bool:
    """Return whether a text is the address of a PostgreSQL database, not a path."""
    return text.startswith(_SCHEMES)


def _split(rest: str) -> tuple[str, str, str]:
    """Return (authority, path, query); a password that would be cut up at a special character is refused.

    libpq would take its second half for a host or a database, and name it in a message.
    """
    end = re.search(r"[/?#]", rest)
    authority = rest[: end.start()] if end else rest
    if authority.count("@") > 1 or "@" in rest[len(authority) :] or "#" in rest:
        msg = "store: the address holds an @ or # that is not percent-encoded: write @ as %40, / as %2F, # as %23"
        raise BadInput(msg)
    place, _, query = rest[len(authority) :].partition("?")
    return authority, place, query


def _sorted(options: Iterable[str]) -> tuple[dict[str, float], list[str]]:
    """Return (our options as numbers, those of libpq as they are)."""
    names = {item.name for item in fields(Timing)}
    mine: dict[str, float] = {}
    theirs: list[str] = []
    for option in options:
        name, _, value = option.partition("=")
        if name not in names:
            theirs.append(option)
            continue
        try:
            mine[name] = float(value)
        except ValueError as error:
            msg = f"{name} is {value!r}: give a number of seconds"
            raise BadInput(msg) from error
    return mine, theirs
