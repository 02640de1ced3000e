r"""Whether a reply's final answer is the expected one: exactly, or normalised as OPRO's evaluation does it.

The final answer is what stands in the last ``\boxed{}``, behind ``####``, behind "the answer is", before "is the
answer"; else, of a number, the last one in the reply. Numbers are compared as numbers: in English words, with
currency, thousands separators (commas), percent signs and units. Yes, true and 1 mean the same where the expected
answer is one of these words. The behaviours are those of google-deepmind/opro's ``opro/evaluation`` (its published
tests on answers are among ours), without its parser's defects: there "twenty-one" is not 21.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput
from llm_optimize.scorers.figures import last_number, number_of
from llm_optimize.scorers.scaling import finite

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ExactAnswer", "NormalizedAnswer", "final_answer"]

_BEHIND = re.compile(
    r"####[ \t]*|\b(?:final |correct |right )?answer\b[\s*_]*(?:is|:|=|\uff1a)[\s*_]*:?[\s*_]*"
    r"|\b(?:antwort|respuesta|r\u00e9ponse|jibu)\s*(?:ist|es|est|ni)?\s*:\s*",
    re.IGNORECASE,
)
_BEHIND_WEAKER = re.compile(r"\b(?:is|are)\s*:\s*", re.IGNORECASE)
_AHEAD = re.compile(r"\sis the (?:correct |right |final )?answer\b", re.IGNORECASE)
_CLAUSE = re.compile(r"[.;:]\s|\n|,\s|\b(?:so|thus|hence|therefore|that)\b", re.IGNORECASE)
_NEXT_QUESTION = re.compile(r"^\s*(?:Q|Question)\s*:", re.MULTILINE)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_MEANINGS = {
    **dict.fromkeys(("true", "yes", "valid", "1"), "yes"),
    **dict.fromkeys(("false", "no", "invalid", "0"), "no"),
}


@dataclass(frozen=True, slots=True)
class ExactAnswer:
    """Scores a text 1 if it equals the expected one, or one of several, but for white space at the ends.

    Attributes:
        expected: the text, or several.
        case: whether upper and lower case differ.

    Raises:
        BadInput: there is none.

    Example:
        >>> ExactAnswer("Paris")(" Paris ").score, ExactAnswer("Paris")("paris").score
        (1.0, 0.0)
    """

    expected: str | Sequence[str]
    case: bool = True

    def __post_init__(self) -> None:
        """Refuse nothing to compare with."""
        object.__setattr__(self, "expected", _several(self.expected))

    def __call__(self, text: str) -> Evaluation:
        """Compare ``text``."""
        given = self._seen(text)
        right = any(given == self._seen(one) for one in self.expected)
        return Evaluation(float(right), "right" if right else "not equal to the expected answer")

    def _seen(self, text: str) -> str:
        stripped = unicodedata.normalize("NFC", text).strip()
        return stripped if self.case else stripped.casefold()


@dataclass(frozen=True, slots=True)
class NormalizedAnswer:
    r"""Scores a reply 1 if its final answer means the expected one, else 0.

    Attributes:
        expected: the answer, or several that are right; may be a whole solution with its final answer in it, as in
            GSM8K (``... #### 18``).
        included: whether a text that is no number also counts where it stands anywhere in the reply's final answer.
        tolerance: how far a number may be off; None rounds the reply's to the decimals of the expected one.
        show_answer: whether the feedback may tell what is right.

    Raises:
        BadInput: see the message.

    Example:
        >>> price = NormalizedAnswer("1,234")
        >>> [price(reply).score for reply in ("So it is $1234.", "#### 1,234", r"\boxed{1234}", "1234 or 1235")]
        [1.0, 1.0, 1.0, 0.0]
        >>> NormalizedAnswer("eighteen")("She has 3 * 6 = 18 eggs.").score
        1.0
    """

    expected: str | Sequence[str]
    included: bool = False
    tolerance: float | None = None
    show_answer: bool = False

    def __post_init__(self) -> None:
        """Refuse nothing to compare with."""
        object.__setattr__(self, "expected", _several(self.expected))
        if self.tolerance is not None and not (finite(self.tolerance) and self.tolerance >= 0):
            msg = f"tolerance is {self.tolerance!r}: give a number, at least 0, or None"
            raise BadInput(msg)

    def __call__(self, text: str) -> Evaluation:
        """Compare the final answer in ``text``."""
        right = any(self._is(text, one) for one in self.expected)
        answer = final_answer(text)[0]
        shown = answer if len(answer) <= 80 else f"{answer[:77]}..."  # noqa: PLR2004 - a line
        told = f"; {' or '.join(final_answer(one)[0] for one in self.expected)} is" if self.show_answer else ""
        return Evaluation(float(right), f"answered {shown!r}, which is {'right' if right else f'not right{told}'}")

    def _is(self, text: str, expected: str) -> bool:
        wanted = final_answer(expected)[0]
        number = number_of(wanted)
        answer, indicated = final_answer(text)
        if _plain(wanted) in _MEANINGS and not _is_digit(wanted):
            return _meaning(answer) == _MEANINGS[_plain(wanted)]
        if number is not None:
            given = number_of(answer) if indicated else None
            given = last_number(answer, first=indicated) if given is None else given
            return given is not None and self._is_near(given, number)
        if self.included and f" {_plain(wanted)} " in f" {_plain(answer)} ":
            return True
        return _plain(answer) == _plain(wanted) or _bracketed(answer) == _bracketed(wanted) != ""

    def _is_near(self, given: Decimal, wanted: Decimal) -> bool:
        if self.tolerance is not None:
            return abs(given - wanted) <= Decimal(str(self.tolerance))
        exponent = wanted.as_tuple().exponent
        step = Decimal(1).scaleb(min(exponent, 0)) if isinstance(exponent, int) else Decimal(1)
        try:
            return given.quantize(step) == wanted.quantize(step)
        except InvalidOperation:  # more digits than a Decimal keeps
            return given == wanted


def final_answer(text: str) -> tuple[str, bool]:
    r"""Return the part of a reply that gives the final answer, and whether the reply says that it does.

    Example:
        >>> final_answer("3 + 4 = 7. The answer is 7.")
        ('7', True)
        >>> final_answer(r"Thus $x = \boxed{\frac{1}{2}}$.")
        ('\\frac{1}{2}', True)
        >>> final_answer("It may rain")
        ('It may rain', False)
    """
    text = _NEXT_QUESTION.split(unicodedata.normalize("NFKC", text).strip(), maxsplit=1)[0] or text
    boxed = _boxed(text)
    if boxed is not None:
        return boxed, True
    ahead = list(_AHEAD.finditer(text))
    behind = list(_BEHIND.finditer(text)) or list(_BEHIND_WEAKER.finditer(text))
    if behind and not (ahead and ahead[-1].start() > behind[-1].start()):
        return _trimmed(text[behind[-1].end() :].strip().partition("\n")[0]), True
    if ahead:
        clause = _CLAUSE.split(text[: ahead[-1].start()])[-1]
        return _trimmed(clause), True
    return _trimmed(text), False


def _boxed(text: str) -> str | None:
    """Return what stands in the last box, its braces matched."""
    found = list(_BOXED.finditer(text))
    if not found:
        return None
    start, depth = found[-1].end(), 1
    for place, character in enumerate(text[start:], start):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            inner = re.sub(r"\\(?:text|mathrm|mathbf)\{([^{}]*)\}", r"\1", text[start:place])
            return _trimmed(inner)
    return _trimmed(text[start:])


def _trimmed(answer: str) -> str:
    return answer.strip().strip("*_`").rstrip(".'\"").strip()


def _meaning(answer: str) -> str:
    """Return ``yes``, ``no`` or nothing: what the answer says, or the only one of these words in it."""
    said = {_MEANINGS[word] for word in _plain(answer).split() if word in _MEANINGS and not word.isdigit()}
    whole = _MEANINGS.get(_plain(answer))
    return whole if whole is not None else said.pop() if len(said) == 1 else ""


def _plain(text: str) -> str:
    """Return ``text`` in lower case without needless white space and punctuation, but for signs between terms."""
    return " ".join(re.sub(r"[^\w\s+/=<>^-]|_|-(?!\d)", "", unicodedata.normalize("NFKC", text).casefold()).split())


def _is_digit(text: str) -> bool:
    return text.strip().isdigit()


def _bracketed(text: str) -> str:
    """Return the letter of the only choice in brackets, as in "(A) apple", or a letter that stands alone."""
    found: set[str] = {one.lower() for one in re.findall(r"\(([A-Za-z])\)", text)}
    if len(found) == 1:
        return found.pop()
    alone = text.strip(" .()")
    return alone.lower() if len(alone) == 1 and alone.isalpha() else ""


def _several(expected: str | Sequence[str]) -> tuple[str, ...]:
    answers = (expected,) if isinstance(expected, str) else tuple(expected)
    if not answers or not all(isinstance(one, str) and one.strip() for one in answers):
        msg = "expected: give the right answer as a text, or several, none of them empty"
        raise BadInput(msg)
    return answers
