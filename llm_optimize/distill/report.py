"""What a run has come to: counts as a value, and the same as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llm_optimize.distill.comparing import Comparison
    from llm_optimize.distill.records import Answers, Best, Rewrite
    from llm_optimize.distill.settings import Settings

__all__ = ["Counts", "Report", "first_words"]

_MOST = 10  # words that are listed
_MARKS = "\"'`*_([{<#-.,:;!?"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of what there were.

    Attributes:
        items: that were read, those left out as equal to another not among them.
        duplicate_items: left out.
        sampled: items that were answered.
        unscored: items none of whose answers could be scored.
        hard: items that were wrong often enough.
        rewrites: that were asked for.
        new: of them, that were scored or are to be.
        unchanged: that equal the original but for case, spacing and punctuation.
        duplicates: that equal an earlier rewrite of the same item in this sense.
        gives_away: that hold the answer, which the original does not; not scored.
        none: that never came: refused, cut off, empty.
        answer_shown: that were made by a rewriter who was told the right answer.
        improved: hard items with a better version.
        kept: hard items whose original nothing beat.
        train: hard items to train on.
        validation: hard items that are held out.
        unusable: answers that were cut off, refused or empty, and count as wrong.
        failed: answers whose scorer failed, and that do not count.
    """

    items: int = 0
    duplicate_items: int = 0
    sampled: int = 0
    unscored: int = 0
    hard: int = 0
    rewrites: int = 0
    new: int = 0
    unchanged: int = 0
    duplicates: int = 0
    gives_away: int = 0
    none: int = 0
    answer_shown: int = 0
    improved: int = 0
    kept: int = 0
    train: int = 0
    validation: int = 0
    unusable: int = 0
    failed: int = 0

    @classmethod
    def of(
        cls, items: tuple[int, int], answers: Iterable[Answers], rewrites: Sequence[Rewrite], bests: Sequence[Best]
    ) -> Counts:
        """Count.

        Args:
            items: (read, left out).
            answers: of all stages.
            rewrites: all.
            bests: one for each hard item.
        """
        status = Counter(one.status for one in rewrites)
        part = Counter(one.part for one in bests)
        answers = list(answers)
        sampled = [one for one in answers if one.version == "original"]
        single = [answer for one in answers for answer in one.answers]
        improved = sum(one.is_improved for one in bests)
        return cls(
            items=items[0],
            duplicate_items=items[1],
            sampled=len(sampled),
            unscored=sum(one.score is None for one in sampled),
            hard=len(bests),
            rewrites=len(rewrites),
            new=status["new"],
            unchanged=status["unchanged"],
            duplicates=status["duplicate"],
            gives_away=status["gives_away"],
            none=status["none"],
            answer_shown=sum(one.answer_shown for one in rewrites),
            improved=improved,
            kept=len(bests) - improved,
            train=part["train"],
            validation=part["validation"],
            unusable=sum(bool(one.note) and one.score is not None for one in single),
            failed=sum(one.score is None for one in single),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """A run's figures; prints as text.

    Attributes:
        counts: see :class:`Counts`.
        settings: of the run.
        usage: by stage, earlier sessions included; from the replies on disk.
        words_before: (first word, how often) of the hard items' own prompts, the most frequent first.
        words_after: the same of the improved prompts.
        comparison: on the items that are held out; None where there are none, or the run is not done.
        reason: why the run ended before it was done; empty when it is done.
    """

    counts: Counts
    settings: Settings
    usage: Mapping[str, Usage] = field(default_factory=dict)
    words_before: tuple[tuple[str, int], ...] = ()
    words_after: tuple[tuple[str, int], ...] = ()
    comparison: Comparison | None = None
    reason: str = ""

    @property
    def total(self) -> Usage:
        """All stages together."""
        total = Usage()
        for usage in self.usage.values():
            total += usage
        return total

    def fields(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "counts": asdict(self.counts),
            "settings": self.settings.recorded(),
            "usage": {stage: asdict(usage) for stage, usage in self.usage.items()},
            "total": asdict(self.total),
            "words_before": [list(pair) for pair in self.words_before],
            "words_after": [list(pair) for pair in self.words_after],
            "comparison": None if self.comparison is None else asdict(self.comparison),
            "reason": self.reason,
        }

    @property
    def spending(self) -> str:
        """The lines about the cost."""
        lines = [f"spent, {stage}: {_spent(usage)}" for stage, usage in self.usage.items()]
        return "\n".join([*lines, f"spent: {_spent(self.total)}"])

    def __str__(self) -> str:
        """Return the lines."""
        counts, settings = self.counts, self.settings
        lines = [
            f"items: {counts.items}, {counts.duplicate_items} more left out as duplicates",
            _hard(counts, settings),
            _rewrites(counts, settings),
            f"best: {counts.improved} improved, {counts.kept} kept as they were",
            f"parts: {counts.train} to train on, {counts.validation} held out",
            f"first words before: {_listed(self.words_before)}",
            f"first words after: {_listed(self.words_after)}",
        ]
        if counts.unusable or counts.failed:
            lines.append(f"answers: {counts.unusable} cut off, refused or empty; {counts.failed} with a failed scorer")
        if counts.answer_shown:
            lines.append(f"the right answer was shown for {counts.answer_shown} rewrites")
        if self.comparison is not None:
            lines.append(str(self.comparison))
        lines.append(self.spending)
        return "\n".join([*lines, f"ended before it was done: {self.reason}"] if self.reason else lines)


def first_words(texts: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Return (word, how often a text begins with it), the most frequent first; case and marks do not count.

    Example:
        >>> first_words(["What is it?", '"what" now', "Name it."])
        (('what', 2), ('name', 1))
    """
    firsts = (next(iter(text.split()), "").strip(_MARKS + ")]}>").casefold() for text in texts)
    counted = Counter(word for word in firsts if word)
    return tuple(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def _hard(counts: Counts, settings: Settings) -> str:
    often = f"wrong in at least {settings.wrong} of {settings.samples} answers"
    unscored = f"; {counts.unscored} could not be scored" if counts.unscored else ""
    return f"hard: {counts.hard} of {counts.sampled}, {often}{unscored}"


def _rewrites(counts: Counts, settings: Settings) -> str:
    asked = f"{counts.rewrites} asked for ({settings.rewrites} in each of {settings.rounds} rounds)"
    same = f"{counts.unchanged} unchanged, {counts.duplicates} duplicates"
    return (
        f"rewrites: {asked}: {counts.new} new, {same}, "
        f"{counts.gives_away} that give the answer away, {counts.none} that never came"
    )


def _listed(words: Sequence[tuple[str, int]]) -> str:
    whole = sum(count for _, count in words)
    listed = ", ".join(f"{word} {count} ({count / whole:.0%})" for word, count in words[:_MOST])
    more = len(words) - _MOST
    return (listed or "none") + (f", {more} more" if more > 0 else "")


def _spent(usage: Usage) -> str:
    return f"{usage.calls:,} calls, {usage.tokens_in:,} + {usage.tokens_out:,} tokens, ${usage.dollars:.4f}" + (
        " (estimated)" if usage.estimated else ""
    )
