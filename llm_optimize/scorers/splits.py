"""Train, validation and a sealed test part of a data set, drawn by hash.

Where an example goes depends on the seed and on itself alone, not on the others or on their order: a file to which
rows are appended, or whose rows are shuffled, leaves every example where it was. So the parts are about as large as
asked for, not exactly: a share of 0.2 of 60 examples is 12, give or take 3.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput
from llm_optimize.scorers.example import check_examples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.scorers.example import Example

__all__ = ["Sealed", "Split", "split"]

_PARTS = ("train", "validation", "sealed")


class Sealed:
    """Examples that are used once, for the final verdict; safe for threads.

    A score that has steered a search, even by being looked at twice, is no test any more. The seal is this object's:
    it holds for a process, and a pickled copy of an opened one is open.

    Example:
        >>> from llm_optimize.scorers.example import Example
        >>> sealed = Sealed([Example({"x": 1})])
        >>> len(sealed), sealed.is_open, len(sealed.open()), sealed.is_open
        (1, False, 1, True)
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        """Seal the examples.

        Raises:
            BadInput: there are none.
        """
        self._examples = check_examples(examples, "sealed")
        self._opened = False
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the examples have been handed out."""
        return self._opened

    def open(self) -> tuple[Example, ...]:
        """Hand the examples out, once.

        Raises:
            BadInput: they were handed out before.
        """
        with self._lock:
            if self._opened:
                msg = "the sealed examples have been used: a second look makes them part of the search; seal new ones"
                raise BadInput(msg)
            self._opened = True
        return self._examples

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._examples)

    def __repr__(self) -> str:
        """Say how many, and whether they are still sealed; never what they are."""
        return f"Sealed({len(self)} examples, {'open' if self._opened else 'sealed'})"

    def __getstate__(self) -> tuple[tuple[Example, ...], bool]:
        """Travel with the seal as it is."""
        return self._examples, self._opened

    def __setstate__(self, state: tuple[tuple[Example, ...], bool]) -> None:
        """Arrive with the seal as it was."""
        self._examples, self._opened = state
        self._lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Split:
    """A data set in three parts that have no example, and no group, in common.

    Attributes:
        train: for few-shot examples, and for whatever else a candidate may show.
        validation: what candidates are scored on.
        sealed: for the verdict; None where its share is 0.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    sealed: Sealed | None


def split(  # noqa: PLR0913 - three shares, the seed, the grouping
    examples: Sequence[Example],
    *,
    train: float = 0.2,
    validation: float = 0.5,
    sealed: float = 0.3,
    seed: int = 0,
    group: Callable[[Example], object] | None = None,
) -> Split:
    """Part a data set by seed.

    Args:
        examples: those with equal inputs go to the same part, however often they occur.
        train: share for few-shot examples, 0 to 1; the three sum to 1 or less, and the rest is left out.
        validation: share that candidates are scored on.
        sealed: share for the verdict.
        seed: another one parts differently.
        group: what must not be parted; None for ``Example.group`` where it is set, else the inputs.

    Returns:
        The parts; each in an order that depends on the seed and on nothing else.

    Raises:
        BadInput: the shares make no sense, or a part that was asked for is empty.

    Example:
        >>> from llm_optimize.scorers.example import Example
        >>> parts = split([Example({"x": x}) for x in range(1000)], seed=3)
        >>> len(parts.train), len(parts.validation), len(parts.sealed)
        (183, 526, 291)
    """
    shares = _checked({"train": train, "validation": validation, "sealed": sealed})
    parts: dict[str, list[tuple[str, str, Example]]] = {name: [] for name in _PARTS}
    for example in check_examples(examples):
        unit = str(group(example)) if group else example.group or example.digest(whole=False)
        part = _part(_draw(f"{seed}\nunit\n{unit}"), shares)
        if part:
            digest = example.digest()
            parts[part].append((hashlib.sha256(f"{seed}\norder\n{digest}".encode()).hexdigest(), digest, example))
    for name in _PARTS:
        if shares[name] and not parts[name]:
            msg = f"{name} got none of {len(examples)} examples with the share {shares[name]:g}: raise the share"
            raise BadInput(msg)
    found = [tuple(row[2] for row in sorted(parts[name], key=lambda row: row[:2])) for name in _PARTS]
    return Split(found[0], found[1], Sealed(found[2]) if found[2] else None)


def _checked(shares: dict[str, float]) -> dict[str, float]:
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            msg = f"{name} is {share!r}: give its share of the examples, from 0 to 1"
            raise BadInput(msg)
    if sum(shares.values()) > 1 + 1e-9:
        msg = f"train, validation and sealed sum to {sum(shares.values()):g}: give shares that sum to 1 or less"
        raise BadInput(msg)
    return shares


def _draw(text: str) -> float:
    """Return a number from 0 to below 1 that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def _part(drawn: float, shares: dict[str, float]) -> str:
    bound = 0.0
    for name, share in shares.items():
        bound += share
        if drawn < bound or (bound >= 1 - 1e-9 and share):
            return name
    return ""
