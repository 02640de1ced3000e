"""Which items are hard, which version of each is kept, and which are held out: functions of the records alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from llm_optimize.distill.items import normalised
from llm_optimize.distill.records import Best

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.distill.items import Item
    from llm_optimize.distill.records import Answers, Rewrite

__all__ = ["best_of", "hard", "parted"]


def hard(items: Sequence[Item], sampled: Mapping[str, Answers], wrong: int) -> tuple[Item, ...]:
    """Return the items of whose answers at least ``wrong`` are wrong, in their order."""
    return tuple(item for item in items if item.id in sampled and sampled[item.id].wrong(item.right) >= wrong)


def best_of(
    item: Item,
    original: Answers,
    rewrites: Sequence[Rewrite],
    scored: Mapping[str, Answers],
    margin: float = 0.0,
) -> Best:
    """Return the version with the highest score, the first of equals; the original where none is above it by more.

    Args:
        item: the item.
        original: the answers to its own prompt.
        rewrites: its rewrites in the order in which they were made.
        scored: answers by version.
        margin: by how much a rewrite must be better.
    """
    base = original.score or 0.0
    versions = [(item.prompt, base)]
    prompt, score, name = item.prompt, base, "original"
    for rewrite in rewrites:
        answers = scored.get(rewrite.version)
        if answers is None or answers.score is None:
            continue
        versions.append((rewrite.prompt, answers.score))
        if answers.score > score and answers.score > base + margin:
            prompt, score, name = rewrite.prompt, answers.score, rewrite.version
    shown = any(one.answer_shown for one in rewrites)
    return Best(item.id, item.kind, item.prompt, prompt, item.rest, base, score, name, "train", shown, tuple(versions))


def parted(bests: Sequence[tuple[str, Sequence[str]]], share: float, seed: int) -> dict[str, str]:
    """Return the part, ``train`` or ``validation``, of each item.

    Items that share a text, but for case, spacing and punctuation, stay together, so that no text is in both parts.
    Which groups are held out depends on the seed and on their texts; their number is the share, rounded, and at least
    one where there are two groups and the share is above 0.

    Args:
        bests: (id, the texts that an item brings into a training file).
        share: to hold out, 0 to below 1.
        seed: another one parts differently.

    Example:
        >>> parted([("a", ["x"]), ("b", ["y"]), ("c", ["X!"])], 0.5, 0) in (
        ...     {"a": "train", "b": "validation", "c": "train"}, {"a": "validation", "b": "train", "c": "validation"})
        True
    """
    groups = _groups(bests)
    drawn = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}\n{key}".encode()).hexdigest())
    wanted = min(max(round(share * len(drawn)), 1 if share else 0), len(drawn) - 1)
    held = {one for key in drawn[: max(wanted, 0)] for one in groups[key]}
    return {name: "validation" if name in held else "train" for name, _ in bests}


def _groups(bests: Sequence[tuple[str, Sequence[str]]]) -> dict[str, list[str]]:
    """Return the ids that belong together, by the smallest text among theirs."""
    leader: dict[str, str] = {}

    def find(text: str) -> str:
        while leader.setdefault(text, text) != text:
            leader[text] = leader[leader[text]]
            text = leader[text]
        return text

    for _, texts in bests:
        first, *others = map(normalised, texts)
        for other in others:
            low, high = sorted((find(first), find(other)))
            leader[high] = low
    groups: dict[str, list[str]] = {}
    for name, texts in bests:
        groups.setdefault(find(normalised(texts[0])), []).append(name)
    return groups
