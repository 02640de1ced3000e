"""The best and the latest attempts, and those of the whole past that are most like what is at hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole
from llm_optimize.proposers.mirror import Mirror
from llm_optimize.retrieval.lexical import LexicalEmbedding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import EmbeddingModel
    from llm_optimize.core.types import Trial

__all__ = ["Near"]

_MOST = 48  # a history keeps 64 sorted
_LONGEST = 8_000  # characters of a text that are embedded


@dataclass(frozen=True)
class Near:
    """Show the best, the latest, and attempts that are near in meaning to what the model is about to work on.

    A plain window forgets: what was tried 200 steps ago around the present best, or how the present failure was met
    before, is out of sight, and is tried again. Here some places are kept for it. If the latest attempt has failed,
    half of them go to earlier failures with the message most like its own; the others go to attempts with the text
    most like the best one, which is what most policies take for the parent.

    Looked for among the ``among`` latest and the 64 best, in an exact index of their vectors, so that the cost of a
    prompt is bounded: each text is embedded once per process while it is among them.

    Attributes:
        best: how many of the highest scores, 1 to 48.
        recent: how many of the latest.
        near: how many near ones.
        among: how far back they are looked for, in trials.
        embedding: measures nearness, on the study's account; None goes by words and parts of words, without a model.

    Raises:
        BadInput: one of these cannot be.

    Example:
        >>> Near(best=3, recent=4, near=2).rule
        'the 3 best, the 4 latest and 2 that are most like the best one or the latest failure'
    """

    best: int = 4
    recent: int = 8
    near: int = 6
    among: int = 1_000
    embedding: EmbeddingModel | None = None
    _texts: Mirror = field(init=False, repr=False, compare=False)
    _messages: Mirror = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        check_whole("window: best", self.best, 1, _MOST)
        check_whole("window: recent", self.recent, 0)
        check_whole("window: near", self.near, 0)
        check_whole("window: among", self.among, 1)
        object.__setattr__(self, "_texts", Mirror())
        object.__setattr__(self, "_messages", Mirror())

    @property
    def rule(self) -> str:
        """How the trials are chosen, in words."""
        named = ((self.best, "best"), (self.recent, "latest"))
        words = [f"the {count} {name}" for count, name in named if count]
        words += [f"{self.near} that are most like the best one or the latest failure"] if self.near else []
        return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]

    def ranked(self, history: History) -> Sequence[Trial]:
        """Return the trials to show, the most important first.

        Raises:
            ModelError: the embedding model did not answer.
            BudgetExceeded: its call would pass a cap.
        """
        best, tail = history.top(_MOST), history.recent(max(self.among, self.recent))[::-1]
        recent = tail[: self.recent]
        plain = _once(best[:1], recent[:1], best[1 : self.best], recent) or tail[:1]
        return [*plain, *self._near(plain, _once(tail, best), tail[0] if tail else None)]

    def _near(self, plain: Sequence[Trial], pool: Sequence[Trial], latest: Trial | None) -> list[Trial]:
        """Return what is nearest to the failure at hand and to the best, without what is shown anyway."""
        shown = {trial.id for trial in plain}
        hidden = sum(trial.id not in shown for trial in pool)
        if not self.near or not hidden or latest is None:
            return []
        found: list[Trial] = []
        if latest.score is None:
            failed = [trial for trial in pool if trial.score is None]
            ranking = self._ranking(self._messages, failed, lambda trial: trial.feedback, latest)
            found = [trial for trial in ranking if trial.id not in shown][: (self.near + 1) // 2]
        if plain[0].score is not None:
            ranking = self._ranking(self._texts, pool, lambda trial: trial.text, plain[0])
            found = _once(found, [trial for trial in ranking if trial.id not in shown])
        return found[: self.near]

    def _ranking(
        self, mirror: Mirror, trials: Sequence[Trial], text_of: Callable[[Trial], str], anchor: Trial
    ) -> list[Trial]:
        """Return the trials but the anchor, the nearest to it first; of equal ones the latest."""
        texts = {trial.id: text_of(trial)[:_LONGEST] for trial in trials}
        cosines = mirror.cosines(self.embedding or LexicalEmbedding(), texts.values(), text_of(anchor)[:_LONGEST])
        others = [trial for trial in trials if trial.id != anchor.id]
        return sorted(others, key=lambda trial: (-cosines[texts[trial.id]], -trial.id))


def _once(*groups: Sequence[Trial]) -> list[Trial]:
    return list({trial.id: trial for trial in chain(*groups)}.values())
