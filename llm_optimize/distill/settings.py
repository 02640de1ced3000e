"""What a run does and what it may spend: two values, checked before anything is asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.core.checks import check_number, check_whole
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Caps", "Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How the better prompts are made. A folder keeps the settings that it was begun with.

    Attributes:
        samples: how often each version of a prompt is answered; its score is the mean.
        wrong: an item is hard when at least this many of its own answers are wrong, 1 to ``samples``.
        rewrites: made of an item in each round.
        rounds: of rewriting; each one is shown the scores and answers of all before it, the first those of the
            original.
        enough: an item whose best rewrite has this score is left alone in the rounds that remain; None for none.
        margin: a rewrite is kept only if its score is above the original's by more than this.
        seed: of the split and of the ways that a rewriter is pointed to.
        validation: the share of hard items that is held out for the comparison, from 0 (none) to below 1.
        show_answer: whether the rewriter is told the right answer. Then each record says so.
        estimate_length: whether the model is first asked how many words an open answer needs, which bounds it.
        answer_tokens: the longest answer, and the longest rewrite.
        words: the lowest and the highest length that the estimate may have, in words.
        answering: fields of the request body of answers, such as ``temperature``.
        rewriting: the same for rewrites.

    Raises:
        BadInput: a number that cannot be.

    Example:
        >>> Settings().rewrites, Settings().rounds, Settings().wrong, Settings().samples
        (2, 3, 3, 5)
    """

    samples: int = 5
    wrong: int = 3
    rewrites: int = 2
    rounds: int = 3
    enough: float | None = None
    margin: float = 0.0
    seed: int = 0
    validation: float = 0.2
    show_answer: bool = False
    estimate_length: bool = False
    answer_tokens: int = 1024
    words: tuple[int, int] = (10, 400)
    answering: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0.7})
    rewriting: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0.9})

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense together."""
        check_whole("samples", self.samples, 1)
        check_whole("wrong", self.wrong, 1, self.samples)
        for name in ("rewrites", "rounds", "answer_tokens"):
            check_whole(name, getattr(self, name), 1)
        check_number("margin", self.margin, 0, 1)
        check_number("validation", self.validation, 0, 1)
        if self.validation == 1:
            msg = "validation is 1: nothing would be left to train on; give a share below 1"
            raise BadInput(msg)
        if self.enough is not None:
            check_number("enough", self.enough, 0, 1, above=True)
        low, high = self.words
        check_whole("words", low, 1)
        check_whole("words", high, low)

    def recorded(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Caps:
    """What a run may spend, all its sessions together; None means no cap.

    Attributes:
        calls: model calls, those of judges and reward models included. A call whose reply was lost on the way counts
            again when it is repeated.
        tokens: prompt and completion tokens.
        dollars: US dollars, for models whose price is known.

    Raises:
        BadInput: a cap is not above 0.
    """

    calls: int | None = None
    tokens: int | None = None
    dollars: float | None = None

    def __post_init__(self) -> None:
        """Refuse caps that buy nothing."""
        for name in ("calls", "tokens"):
            if getattr(self, name) is not None:
                check_whole(f"cap on {name}", getattr(self, name), 1)
        if self.dollars is not None:
            check_number("cap on dollars", self.dollars, 0, above=True)
