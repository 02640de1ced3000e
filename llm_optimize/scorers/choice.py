"""Which of several options a reply chooses: by letter or by its words, with or without a rationale; the last one wins.

What is not clear is no answer, and no answer is wrong: "A or B" must not score half the time by luck.
"""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["MultipleChoice", "chosen"]

_STATED = re.compile(
    r"(?:\b(?:final |correct |right |best |my )*(?:answer|option|choice)\b(?:\s+(?:is|would be|must be))?"
    r"|\bi (?:choose|pick|select)\b|\\boxed)[\s:=*_`\"'{]*(?:option |choice |answer )?",
    re.IGNORECASE,
)
_AHEAD = re.compile(
    r"(?P<said>[^\n.;]{0,200}?)\sis (?:the )?(?:final |correct |right |best )*(?:answer|option|choice|one)\b",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"\b(?:not|isn't|cannot|never|neither|nor|wrong|incorrect|except|rules? out|eliminate)\b", re.IGNORECASE
)
_JOINED = r"\s{0,9}(?:,|/|&|\bor\b|\band\b|\bbut also\b)\s{0,9}(?:option |choice )?"
_NEAR = 40
_STATEMENT = 300


@dataclass(frozen=True, slots=True)
class MultipleChoice:
    """Scores a reply 1 if it chooses the right option, else 0.

    Attributes:
        answer: the right one: its letter, its number from 0 on, or its text.
        options: the texts, at most 26; or how many there are, where only letters count.
        show_answer: whether the feedback may tell what is right.

    Raises:
        BadInput: see the message.

    Example:
        >>> right = MultipleChoice("B", ["London", "Paris", "Rome", "Bonn"])
        >>> [right(reply).score for reply in ("B", "(b)", "B.", "Answer: B", "Paris", "A or B", "not B")]
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
        >>> right("Rome was older, but it is C.").feedback
        'chose C, which is not right'
    """

    answer: str | int
    options: Sequence[str] | int
    show_answer: bool = False

    def __post_init__(self) -> None:
        """Refuse options that cannot be told apart, and an answer that is none of them."""
        options = self.options if isinstance(self.options, int) else tuple(self.options)
        count = options if isinstance(options, int) else len(options)
        if isinstance(options, bool) or not 2 <= count <= len(string.ascii_uppercase):  # noqa: PLR2004 - a choice
            msg = f"options: there are {count}; give 2 to 26 texts, or their number"
            raise BadInput(msg)
        folded = [] if isinstance(options, int) else [_folded(one) for one in options]
        if len(set(folded)) < len(folded) or not all(folded):
            msg = f"options: {self.options!r}; each needs a text of its own"
            raise BadInput(msg)
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "answer", self._letter(count, folded))

    def __call__(self, text: str) -> Evaluation:
        """Compare what ``text`` chooses with the answer."""
        choice = chosen(text, self.options)
        right = f"; {self.answer} is" if self.show_answer else ""
        if choice is None:
            told = f" ({self.answer} is right)" if self.show_answer else ""
            return Evaluation(0.0, f"no answer could be read, or more than one{told}", {"answered": 0.0})
        said = "which is right" if choice == self.answer else f"which is not right{right}"
        return Evaluation(float(choice == self.answer), f"chose {choice}, {said}", {"answered": 1.0})

    def _letter(self, count: int, folded: Sequence[str]) -> str:
        letters = string.ascii_uppercase[:count]
        answer = self.answer
        if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < count:
            return letters[answer]
        if isinstance(answer, str):
            if _folded(answer) in folded:
                return letters[folded.index(_folded(answer))]
            bare = answer.strip(" ().").upper()
            if len(bare) == 1 and bare in letters:
                return bare
        msg = f"answer is {answer!r}: give a letter from A to {letters[-1]}, a number from 0, or an option's text"
        raise BadInput(msg)


def chosen(text: str, options: Sequence[str] | int) -> str | None:
    r"""Return the letter of the option that ``text`` chooses, or None where it names none, or several at once.

    What is stated as the answer ("the answer is ...", ``\boxed{...}``) counts before what is merely mentioned; of
    several statements the last; then a line that is nothing but an option; then the letter that the reply begins with;
    then the last option in brackets or with a full stop; then the option whose text alone occurs.

    Args:
        text: the reply.
        options: the options' texts, or how many there are.

    Example:
        >>> chosen("(a) is too small. So the answer is (b), as 3 > 2.", 4)
        'B'
        >>> chosen("It is either (A) or (B).", 4) is None
        True
    """
    reader = _Reader(options)
    text = unicodedata.normalize("NFKC", text).strip()
    for found in (
        reader.stated(text),
        reader.lines(text),
        reader.opening(text),
        reader.marked(text),
        reader.mentioned(text),
    ):
        if found is not None:
            return found or None
    return None


_UNCLEAR = ""  # something is said, but not which option; what else stands there must not decide


class _Reader:
    """Finds options in one reply; each way returns a letter, ``_UNCLEAR``, or None for nothing said this way."""

    def __init__(self, options: Sequence[str] | int) -> None:
        count = options if isinstance(options, int) else len(options)
        self.letters = string.ascii_uppercase[:count]
        self.texts = [] if isinstance(options, int) else [_folded(one) for one in options]
        letter = f"[{self.letters}{self.letters.lower()}]"
        self.letter = rf"(?:\({letter}\)|\[{letter}\]|\b{letter}(?![\w'])\)?)"
        self.whole = re.compile(rf"[\W_]*(?:option |choice )?({letter})[\W_]*", re.IGNORECASE)
        self.leading = re.compile(rf"[\s*_`\"'{{$(\[]*(?:\\text\w*\{{)?({self.letter})(?P<rest>.*)", re.DOTALL)
        self.joined = re.compile(rf"[\s*_`\"')\]}}]{{0,20}}{_JOINED}({self.letter})(?!\w)", re.IGNORECASE)
        self.mark = re.compile(rf"\({letter}\)|\[{letter}\]|(?<![\w.'])[{self.letters}](?:[.):](?=\s|$)|\*\*)")

    def stated(self, text: str) -> str | None:
        ends = [match.end() for match in _STATED.finditer(text)]
        said = [(end, text[end : end + _STATEMENT].partition("\n")[0]) for end in ends]
        said += [(match.end(), _after_joint(match["said"])) for match in _AHEAD.finditer(text)]
        read = (self._read(what) for _, what in sorted(said, reverse=True))
        return next((letter for letter in read if letter is not None), None)

    def lines(self, text: str) -> str | None:
        """The last line that is an option and nothing else."""
        found = [letter for line in text.splitlines() if (letter := self._bare(line)) is not None]
        return found[-1] if found else None

    def opening(self, text: str) -> str | None:
        """The letter that a reply begins with, a comma or dash and the reasons behind it."""
        found = re.match(rf"[\W_]*([{self.letters}])\s*(?:,|[-\u2013\u2014](?=\s))", text)
        if found is None:
            return None
        other = self.joined.match(text, found.end(1))
        return _UNCLEAR if other is not None and self._is_other(found[1], other) else found[1]

    def marked(self, text: str) -> str | None:
        """The last option in brackets, or with a full stop, bracket or colon behind its letter."""
        found = [match for match in self.mark.finditer(text) if not self._denied(text, match.start())]
        if not found:
            return None if not self.mark.search(text) else _UNCLEAR
        last = found[-1]
        if len(found) > 1:
            between = text[found[-2].end() : last.start()][:_NEAR]
            joined = re.fullmatch(rf"\W*(?:{_JOINED})?\W*", between, re.IGNORECASE)
            if joined and self._upper(found[-2][0]) != self._upper(last[0]):
                return _UNCLEAR
        return self._upper(last[0])

    def mentioned(self, text: str) -> str | None:
        """The option whose words occur, when no other's do; then a last word that is a letter."""
        folded = f" {_folded(text)} "
        held = [index for index, option in enumerate(self.texts) if f" {option} " in folded]
        inside = {small for small in held for large in held if small != large and _holds(self.texts, large, small)}
        free = [index for index in held if index not in inside or self._alone(folded, index, held)]
        if free:
            if len(free) > 1 or self._denied(folded, folded.rindex(f" {self.texts[free[0]]} ")):
                return _UNCLEAR
            return self.letters[free[0]]
        last = re.search(rf"(?:^|\s)([{self.letters}])\W*$", text)
        return None if last is None or self._denied(text, last.start(1)) else self._unjoined(text, last)

    def _read(self, said: str) -> str | None:
        """Return the option at the beginning of what is stated to be the answer."""
        if _NEGATED.match(said.strip()):
            return None
        by_text = self._bare(re.split(r"(?<=\w)[.;!?](?:\s|$)", said)[0])
        if by_text is not None:
            return by_text
        found = self.leading.match(said)
        if found is not None and not self._is_article(found[1], found["rest"]):
            other = self.joined.match(found["rest"])
            return _UNCLEAR if other is not None and self._is_other(found[1], other) else self._upper(found[1])
        if not self.texts:
            return None
        return self.mentioned(re.split(r"[,;.](?:\s|$)", said)[0]) or self.mentioned(said)

    def _bare(self, line: str) -> str | None:
        found = self.whole.fullmatch(line.strip())
        if found is not None:
            return found[1].upper()
        folded = _folded(line)
        for letter, option in zip(self.letters, self.texts, strict=False):
            if folded in {option, f"{letter.lower()} {option}"}:
                return letter
        return None

    def _is_article(self, letter: str, rest: str) -> bool:
        """Return whether a bare "a" begins a sentence, as in "the answer is a bit unclear"."""
        return letter.lower() in {"a", "i"} and bool(re.match(r"\s+[a-z]", rest)) and not self.joined.match(rest)

    def _is_other(self, letter: str, joined: re.Match[str]) -> bool:
        if self._is_article(joined[1], joined.string[joined.end() :]):
            return False
        return self._upper(joined[1]) != self._upper(letter)

    def _unjoined(self, text: str, last: re.Match[str]) -> str:
        before = re.search(rf"({self.letter}){_JOINED}$", text[: last.start(1)])
        return _UNCLEAR if before is not None else last[1]

    def _alone(self, folded: str, index: int, held: Sequence[int]) -> bool:
        """Return whether an option also occurs apart from the longer ones that hold its words."""
        for large in held:
            if large != index and _holds(self.texts, large, index):
                folded = folded.replace(f" {self.texts[large]} ", "  ")
        return f" {self.texts[index]} " in folded

    @staticmethod
    def _denied(text: str, place: int) -> bool:
        clause = re.split(r"[.,;:!?\n]", text[max(place - _STATEMENT, 0) : place])[-1]
        return bool(_NEGATED.search(clause))

    @staticmethod
    def _upper(found: str) -> str:
        return found.strip("()[]*.: ").upper()


def _after_joint(said: str) -> str:
    """Return what stands behind the last "so", "that" or comma of a clause."""
    return list(_clauses(said))[-1]


def _clauses(said: str) -> Iterator[str]:
    yield from re.split(r",\s*|\b(?:so|that|thus|hence|therefore)\b\s*", said, flags=re.IGNORECASE)


def _holds(texts: Sequence[str], large: int, small: int) -> bool:
    return f" {texts[small]} " in f" {texts[large]} " and texts[small] != texts[large]


def _folded(text: str) -> str:
    """Return ``text`` as words in lower case, for comparing."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"[^\W_]+|[+\-*/=<>%$\u20ac\u00a3.](?=\d)|[+*/=<>%]", folded))
