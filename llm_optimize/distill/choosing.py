"""Which items are hard, and which version of each is kept: functions of the records alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_optimize.distill.records import Best

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.distill.items import Item
    from llm_optimize.distill.records import Answers, Rewrite

__all__ = ["best_of", "hard"]


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
