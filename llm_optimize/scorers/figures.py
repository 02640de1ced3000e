"""Numbers as people write them: in words, with currency, thousands separators, percent signs, fractions and units."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

__all__ = ["last_number", "number_of"]

_LONGEST = 200
_SMALL_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS_WORDS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = {word: number for number, word in enumerate(_SMALL_WORDS)}
_TENS = {word: 10 * number for number, word in enumerate(_TENS_WORDS, 2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_WORD = "|".join(sorted([*_SMALL, *_TENS, *_SCALES], key=len, reverse=True))
_IN_WORDS = rf"(?:minus |negative )?\b(?:{_WORD})\b(?:(?:[\s-]+(?:and\s+)?)(?:{_WORD})\b)*"
_IN_DIGITS = (
    r"(?<![\w.])[-+\u2212]?[$\u20ac\u00a3\u00a5]?\s?[-\u2212]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))"
    r"(?:[eE][-+]?\d{1,3}(?!\w))?"
)
_FRACTION = r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}|(?<![\w./])([-\u2212]?\d+)\s?/\s?(\d+)(?![\w/])"
_NUMBER = re.compile(rf"(?P<fraction>{_FRACTION})|(?P<digits>{_IN_DIGITS})|(?P<words>{_IN_WORDS})", re.IGNORECASE)
_AROUND = re.compile(
    r"[\s$\u20ac\u00a3\u00a5%*_\\(){}\[\]]*(?:percent|per cent|dollars?|euros?|pounds?|cents?)?[\s.%]*"
)


def number_of(text: str) -> Decimal | None:
    r"""Return the number that ``text`` is, or None where it is none, or more than a number with its sign or currency.

    Example:
        >>> number_of("$1,234.50"), number_of("twenty-one"), number_of("about 7")
        (Decimal('1234.50'), Decimal('21'), None)
    """
    found = _NUMBER.search(text) if len(text) <= _LONGEST else None
    if found is None or not _AROUND.fullmatch(text[: found.start()] + " " + text[found.end() :]):
        return None
    return _value(found)


def last_number(text: str, *, first: bool = False) -> Decimal | None:
    """Return the last number in ``text``, or the first; None where there is none.

    Example:
        >>> last_number("12 boxes of 6 eggs are 72 eggs.")
        Decimal('72')
    """
    values = [value for found in _NUMBER.finditer(text) if (value := _value(found)) is not None]
    if not values:
        return None
    return values[0] if first else values[-1]


def _value(found: re.Match[str]) -> Decimal | None:
    if found["fraction"]:
        over, under = (part for part in found.groups()[1:5] if part is not None)
        return Decimal(over.replace("\u2212", "-")) / Decimal(under) if Decimal(under) else None
    if found["words"]:
        return Decimal(_worded(found["words"].lower()))
    plain = re.sub(r"[$\u20ac\u00a3\u00a5,\s+]", "", found["digits"].replace("\u2212", "-"))
    try:
        return Decimal(plain)
    except InvalidOperation:
        return None


def _worded(words: str) -> int:
    """Return a number in English words: "two thousand and twenty-one" is 2021."""
    total = group = 0
    for word in re.findall(r"[a-z]+", words):
        if word in _SCALES and _SCALES[word] > 100:  # noqa: PLR2004 - hundreds belong to the group
            total += (group or 1) * _SCALES[word]
            group = 0
        elif word == "hundred":
            group = (group or 1) * 100
        else:
            group += _SMALL.get(word, _TENS.get(word, 0))
    return -(total + group) if words.startswith(("minus", "negative")) else total + group
