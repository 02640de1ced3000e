"""Finds the numbers and options in a text that may be tuned, and rewrites them in place.

Three ways to say which, the most specific first; no place is taken twice:

1. by name: ``tune={"C": (0.01, 100, "log")}`` finds ``C = 1.0``, ``C=1.0``, ``"C": 1.0``, ``C: float = 1.0``.
   Where the name is assigned several times, those assignments whose value equals the first one's are one tunable
   (a default argument and the call that repeats it move together); assignments of another value are left alone.
2. by comments on the line (:mod:`llm_optimize.text.marks`).
3. every number: ``tune=Box(-10, 10)``. Digits inside identifiers (``x1``) and inside tune comments are no numbers.

Everything outside the values stays byte for byte, so the text with its values blanked (:func:`skeleton`) names a
structure: texts with equal skeletons differ in their tunable values only.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput
from llm_optimize.text.domains import Box, Choice, Domain, Integer, Real, Tune, Value, parse_tune
from llm_optimize.text.fields import field_place, is_number
from llm_optimize.text.marks import Mark, MarkedLine, marked_lines, parse_item
from llm_optimize.text.places import Area, Place, assignments, numbers, option_of, options_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Box",
    "Choice",
    "Hole",
    "Holes",
    "Integer",
    "Real",
    "describe",
    "find",
    "parse_tune",
    "rewrite",
    "skeleton",
]

_BEFORE = re.compile(r"""([A-Za-z_][\w.]*)["'`]?[ \t]*(?::[^=\n:,]*=|:=|=>|=|:)[ \t]*["'`]?$""")


@dataclass(frozen=True, slots=True)
class Hole:
    """One tunable value of a text.

    Attributes:
        name: what it is called, unique within the text.
        spans: where its value stands, as (start, end) offsets; several when one value stands in several places.
        current: the value as it stands, which may lie outside the domain.
        domain: the values it may take.
        plus: whether a positive value needs its sign written, because a sign separates it from what precedes it.
    """

    name: str
    spans: tuple[tuple[int, int], ...]
    current: Value
    domain: Domain
    plus: bool = False

    @property
    def span(self) -> tuple[int, int]:
        """Where the value stands first."""
        return self.spans[0]


Holes = tuple[Hole, ...]
"""The tunable values of a text, in the order of their first places."""


def find(text: str, tune: object = None, *, strict: bool = True) -> Holes:
    """Find what may be tuned in ``text``.

    Args:
        text: any text.
        tune: see :func:`~llm_optimize.text.domains.parse_tune`; comments in the text are obeyed in any case.
        strict: whether a mark that cannot be obeyed is an error (a text that the user wrote) or is passed over (a text
            that a model wrote).

    Returns:
        The holes in the order of the text; empty when there is nothing to tune.

    Raises:
        BadInput: ``tune`` is malformed; or, when strict, a range is bad, or it names nothing in the text.

    Example:
        >>> hole, = find("C = 1.0  # tune: C=0.01..100 log")
        >>> hole.name, hole.current, hole.domain
        ('C', 1.0, Real(low=0.01, high=100.0, log=True))
    """
    return _find(text, parse_tune(tune), strict)


def rewrite(text: str, holes: Holes, values: Sequence[Value]) -> str:
    """Return ``text`` with the value of each hole replaced, everything else as it was.

    Args:
        text: the text that ``holes`` were found in.
        holes: see :func:`find`.
        values: one per hole, each brought into the hole's domain; real ones are written with ten significant digits
            at most, whole ones without a point, options inside the quotes that stand in the text.

    Raises:
        BadInput: another number of values than of holes.

    Example:
        >>> text = "k = 5  # tune: k=1..20"
        >>> rewrite(text, find(text), [7])
        'k = 7  # tune: k=1..20'
    """
    if len(holes) != len(values):
        msg = f"{len(values)} values for {len(holes)} tunables: give one value for each"
        raise BadInput(msg)
    return _replaced(text, ((hole, _written(hole, value)) for hole, value in zip(holes, values, strict=True)))


def skeleton(text: str, holes: Holes) -> str:
    """Return ``text`` with its holes blanked: equal skeletons, same structure.

    Example:
        >>> text = "[8, -8]"
        >>> skeleton(text, find(text, Box(-9, 9))) == skeleton("[1.5, 2]", find("[1.5, 2]", Box(-9, 9)))
        True
    """
    return _replaced(text, ((hole, "\0") for hole in holes))


def describe(holes: Holes, values: Sequence[Value]) -> str:
    """Return what changes when ``holes`` get ``values``, for people: ``C 1 -> 2.31, kernel rbf -> poly``."""
    changes = [
        f"{hole.name} {_short(hole.current)} -> {_short(value)}"
        for hole, value in zip(holes, values, strict=True)
        if value != hole.current
    ]
    return ", ".join(changes)


def _short(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:.5g}" if isinstance(value, float) else str(value)


def _replaced(text: str, pieces: Iterable[tuple[Hole, str]]) -> str:
    spans = sorted((start, end, new) for hole, new in pieces for start, end in hole.spans)
    parts: list[str] = []
    done = 0
    for start, end, new in spans:
        parts += (text[done:start], new)
        done = end
    return "".join((*parts, text[done:]))


def _written(hole: Hole, value: Value) -> str:
    inside = hole.domain.clip(value)
    if isinstance(inside, str):
        return inside
    shown = repr(inside)
    return f"+{shown}" if hole.plus and inside >= 0 else shown


# --- finding: names, then comments, then every number ------------------------------------------------------------


@lru_cache(maxsize=256)
def _find(text: str, tune: Tune, strict: bool) -> Holes:  # noqa: FBT001 - private, and a cache key by position
    lines = tuple(marked_lines(text))
    found = _Found(text, [(line.comment, line.end) for line in lines])
    for name, domain in tune.named:
        _add_named(found, name, domain, strict=strict)
    for path, domain in tune.fields:
        _add_field(found, path, domain, strict=strict)
    by_name = {start for hole in found.holes.values() for start, _ in hole.spans}
    for line in lines:
        # A range given by name overrides the comment on that line: no longer an error if it finds its value taken.
        overridden = any(line.start <= start < line.comment for start in by_name)
        for item in line.items:
            _add_marked(found, line, item, strict=strict and not overridden)
    if tune.box is not None:
        _add_every_number(found, tune.box.domain, strict=strict)
    return tuple(sorted(found.holes.values(), key=lambda hole: hole.span))


@dataclass(slots=True)
class _Found:
    """The holes found so far, by name, and what of the text is taken."""

    text: str
    taken: list[tuple[int, int]]
    holes: dict[str, Hole] = field(default_factory=dict)

    def area(self, start: int = 0, end: int | None = None) -> Area:
        return Area(self.text, start, len(self.text) if end is None else end, tuple(self.taken))

    def add(self, name: str, places: list[Place], domain: Domain) -> None:
        spans = tuple((place.start, place.end) for place in places)
        names = itertools.chain((name,), (f"{name} ({i})" for i in itertools.count(2)))
        unique = next(one for one in names if one not in self.holes)
        domain, current = _read(places[0].written, domain)
        self.holes[unique] = Hole(unique, spans, current, domain, places[0].plus)
        self.taken += spans


def _add_named(found: _Found, name: str, domain: Domain, *, strict: bool) -> None:
    options = domain.options if isinstance(domain, Choice) else ()
    places = assignments(found.area(), name, options)
    if places:
        found.add(name, places, domain)
    elif strict:
        kind = f"one of {', '.join(options)}" if options else "a number"
        msg = f"tune[{name!r}]: the text gives {kind} to no such name: write it as the text does, or leave it out"
        raise BadInput(msg)


def _add_field(found: _Found, path: tuple[str, ...], domain: Domain, *, strict: bool) -> None:
    place, name = field_place(found.text, path), ".".join(path)
    if place is not None and (isinstance(domain, Choice) or is_number(place.written)):
        found.add(name, [place], domain)
    elif strict:
        msg = f"tune[{name!r}]: the text is no JSON object with such a field: leave it out"
        raise BadInput(msg)


def _add_marked(found: _Found, line: MarkedLine, item: str, *, strict: bool) -> None:
    try:
        mark = parse_item(item)
        places = _marked_places(found.area(line.start, line.comment), mark)
        name = mark.name or _name_before(found.text[line.start : places[0].start]) or f"line {line.number}"
        found.add(name, places, mark.domain(places[0].written))
    except BadInput as error:
        if strict:
            msg = f"tune comment {item.strip()!r} in line {line.number}: {error}"
            raise BadInput(msg) from None


def _marked_places(area: Area, mark: Mark) -> list[Place]:
    if mark.name:
        places = assignments(area, mark.name, mark.options, spaced=True)
        if not places:
            msg = f"{mark.name!r} has no such value on this line: write the name as the line does"
            raise BadInput(msg)
        return places
    places = options_in(area, mark.options) if mark.options else numbers(area)
    if len(places) != 1:
        msg = f"this line holds {len(places)} such values: name the one to tune, as in 'tune: name=low..high'"
        raise BadInput(msg)
    return places


def _name_before(line: str) -> str:
    named = _BEFORE.search(line)
    return named[1] if named else ""


def _add_every_number(found: _Found, domain: Domain, *, strict: bool) -> None:
    places = numbers(found.area())
    if strict and not places and not found.holes:
        msg = "tune=Box: the text holds no number: write one, or leave tune out"
        raise BadInput(msg)
    for ordinal, place in enumerate(places, start=1):
        found.add(f"#{ordinal}", [place], domain)


def _read(written: str, domain: Domain) -> tuple[Domain, Value]:
    if isinstance(domain, Choice):
        domain = _in_the_case_of(domain, written)
        return domain, option_of(domain.options, written) or written
    number = float(written)
    return domain, int(number) if isinstance(domain, Integer) and number == int(number) else number


def _in_the_case_of(domain: Choice, written: str) -> Choice:
    # True and False of the user's program are true and false in the JSON or YAML that is tuned.
    lowered = tuple(option.lower() for option in domain.options)
    return Choice(lowered) if set(lowered) == {"true", "false"} and written.islower() else domain
