"""Numbers, times and texts as a terminal shows them; what a model wrote never reaches it with control characters."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from llm_optimize.core.account import LOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.account import Account
    from llm_optimize.core.types import Usage

__all__ = [
    "account_lines",
    "amount",
    "clean",
    "columns",
    "dollars",
    "duration",
    "moment",
    "one_line",
    "safe",
    "score_text",
    "table",
    "trim",
    "usage_text",
]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_THOUSAND, _MINUTE, _HOUR = 1000, 60, 3600
_WIDE = frozenset("WF")


def safe(text: str) -> str:
    r"""Return ``text`` with everything that could steer a terminal made visible; line ends and tabs stay.

    Example:
        >>> safe("\x1b[2Jgone")
        '\ufffd[2Jgone'
    """
    return _CONTROL.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return ``text`` on one line, each run of white space as one blank."""
    return safe(" ".join(text.split()))


def clean(text: str, limit: int) -> str:
    """Return the beginning of ``text`` on one line of at most ``limit`` columns."""
    return trim(one_line(text[: 8 * limit]), limit)


def columns(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes up.

    Example:
        >>> columns("日本"), columns("e\u0301")
        (4, 1)
    """
    return sum(_columns_of(character) for character in text)


def trim(text: str, limit: int) -> str:
    """Cut ``text`` to ``limit`` columns; a cut is shown by an ellipsis.

    Example:
        >>> trim("abcdef", 4)
        'abc…'
    """
    if columns(text) <= limit:
        return text
    kept, used = [], 1
    for character in text:
        used += _columns_of(character)
        if used > limit:
            break
        kept.append(character)
    return "".join(kept) + "…" * (limit > 0)


def score_text(score: float | None) -> str:
    """Return a score with up to eight digits, or a dash for none."""
    return "-" if score is None else f"{score:.8g}"


def amount(value: float) -> str:
    """Return a count in few characters.

    Example:
        >>> amount(999), amount(12345), amount(2_500_000)
        ('999', '12.3k', '2.5M')
    """
    for size, unit in ((_THOUSAND**2, "M"), (_THOUSAND, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.4g}"


def dollars(value: float) -> str:
    """Return dollars, with as many decimals as small sums need.

    Example:
        >>> dollars(1.5), dollars(0.00042)
        ('$1.50', '$0.00042')
    """
    return f"${value:.2f}" if value == 0 or value >= 1 else f"${value:.2g}" if value < 0.01 else f"${value:.4f}"  # noqa: PLR2004 - a cent


def duration(seconds: float) -> str:
    """Return a time span in few characters.

    Example:
        >>> duration(3.2), duration(125), duration(7260)
        ('3 s', '2 min 05 s', '2 h 01 min')
    """
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"


def moment(seconds: float) -> str:
    """Return how long one evaluation took.

    Example:
        >>> moment(0.00012), moment(2.5)
        ('0.12 ms', '2.5 s')
    """
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.2g} ms"


def usage_text(usage: Usage) -> str:
    """Return what was spent on models, in a line."""
    if not usage.calls:
        return "no model calls"
    about = "about " if usage.estimated else ""
    share = f"{100 * usage.cached_share:.0f} %"
    cached = f", {amount(usage.tokens_cached)} of them ({share}) cached" if usage.tokens_cached else ""
    price = dollars(usage.dollars) if usage.dollars else "no price known"
    tokens = f"{amount(usage.tokens_in)} tokens in{cached}, {amount(usage.tokens_out)} out"
    return f"{usage.calls} model call{'s' * (usage.calls != 1)}, {about}{tokens}, {price}"


def account_lines(account: Account) -> list[str]:
    """Return who spent what, a line for each role and model; nothing where that would only repeat the sum."""
    if len(account.rows) < 2 and LOST not in account.by_role():  # noqa: PLR2004 - one row is the sum
        return []
    return [f"{one_line(role or 'other')} ({one_line(model or 'unknown model')}): {_row(role, usage)}"
            for (role, model), usage in account.rows.items()]  # fmt: skip


def _row(role: str, usage: Usage) -> str:
    if role == LOST:
        return (
            f"attempts without a reply, which may have been charged: up to {amount(usage.tokens_in)} tokens in, "
            f"{amount(usage.tokens_out)} out, {dollars(usage.dollars)}"
        )
    return usage_text(usage)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return ``rows``, the first of them the heads, as columns two blanks apart."""
    widths = [max(columns(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)) for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
