"""What a run may cost at most, before the first call is made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_optimize import llm
from llm_optimize.core.chat import Message, Request
from llm_optimize.core.types import Usage
from llm_optimize.distill.asking import Attempt, rewriting
from llm_optimize.llm.priced import Priced
from llm_optimize.scorers.judging import Judge
from llm_optimize.scorers.parting import normalised
from llm_optimize.scorers.reward_model import HttpReward

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.distill.items import Item
    from llm_optimize.distill.settings import Settings
    from llm_optimize.distill.stages import Models

__all__ = ["Forecast", "check_prices", "forecast"]

_WORDS = "word " * 50  # an excerpt at its longest
_EARLIER = 4


@dataclass(frozen=True, slots=True)
class Forecast:
    """The most that a run makes of calls and tokens if every item is hard; what a judge costs is not known before.

    Attributes:
        stages: usage by stage.
        scorer_calls: calls of judges and reward models, whose tokens and price are not among those of ``stages``.
        priced: whether the price of every model is known.
    """

    stages: Mapping[str, Usage] = field(default_factory=dict)
    scorer_calls: int = 0
    priced: bool = True

    @property
    def calls(self) -> int:
        """All stages' calls, those of scorers included."""
        return sum(usage.calls for usage in self.stages.values()) + self.scorer_calls

    @property
    def tokens(self) -> int:
        """All stages' tokens."""
        return sum(usage.tokens for usage in self.stages.values())

    @property
    def dollars(self) -> float:
        """All stages' price; 0 for models whose price is unknown."""
        return sum(usage.dollars for usage in self.stages.values())

    def __str__(self) -> str:
        """Return a line."""
        parts = ", ".join(f"{stage} {usage.calls:,}" for stage, usage in self.stages.items())
        scorers = f", scorers {self.scorer_calls:,}" if self.scorer_calls else ""
        price = f"${self.dollars:.4f}" if self.priced else "the price is unknown"
        more = ", without the tokens of the scorers" if self.scorer_calls else ""
        return f"at most {self.calls:,} calls ({parts}{scorers}), about {self.tokens:,} tokens at most, {price}{more}"


def forecast(items: Sequence[Item], models: Models, settings: Settings, *, sampled: int = 0) -> Forecast:
    """Return what a run with these items may cost if every one of them is hard.

    Args:
        items: those to come, or after the first stage the hard ones.
        models: who is asked.
        settings: of the run.
        sampled: 1 when the first stage is done, so that it costs nothing any more.
    """
    each = settings.rewrites * settings.rounds
    held = _held(items, settings.validation)
    times = {"samples": 0 if sampled else 1, "scores": each}
    answers = {stage: _answers(items, models.target, settings, count) for stage, count in times.items()}
    rewrites = _all([_rewriting(one, models.rewriter, settings) for one in items], each)
    comparison = _answers(items, models.target, settings, 2)
    share = held / len(items) if items else 0.0
    stages = {
        "samples": answers["samples"],
        "rewrites": rewrites,
        "scores": answers["scores"],
        "comparison": _part(comparison, share),
    }
    if settings.estimate_length and not sampled:
        asked = sum(one.kind == "alpaca" for one in items)
        stages = {"lengths": Usage(calls=asked, tokens_out=64 * asked, estimated=True), **stages}
    judged = sum(_calls(one) for one in items) * settings.samples
    scorers = round(judged * (times["samples"] + each + 2 * share))
    known = all(_priced(model) is not None for model in (models.target, models.rewriter))
    return Forecast({name: usage for name, usage in stages.items() if usage.calls}, scorers, known)


def check_prices(items: Sequence[Item], models: Models) -> None:
    """Refuse a cap on dollars that could not hold, before the first call.

    Raises:
        BadInput: the price of a model, or of an item's judge, is unknown; says what makes it known.
    """
    scorers: list[object] = [one.scorer for one in items]
    judges = [scorer.judge for scorer in scorers if isinstance(scorer, Judge)]
    for model in (models.target, models.rewriter, *judges):
        layer = _layer(model)
        if layer is not None:
            layer.check_price()


def _held(items: Sequence[Item], share: float) -> int:
    """Return how many items are held out at most: those of one prompt are not parted."""
    sizes = sorted(Counter(normalised(one.prompt) for one in items).values(), reverse=True)
    return sum(sizes[: max(round(share * len(sizes)), 1 if share else 0)])


def _answers(items: Sequence[Item], model: ChatModel, settings: Settings, times: int) -> Usage:
    limits = {**settings.answering, "max_tokens": settings.answer_tokens}
    asked = [Request((Message("user", one.asked(one.prompt)),), limits) for one in items]
    return _all([_estimate(model, one) for one in asked], times * settings.samples)


def _rewriting(item: Item, model: ChatModel, settings: Settings) -> Usage:
    known = Attempt(item.prompt, 0.0, (_WORDS, _WORDS + "more"))
    messages = rewriting(known, item.rest, [known] * _EARLIER, 0, item.answer if settings.show_answer else "")
    return _estimate(model, Request(messages, {**settings.rewriting, "max_tokens": settings.answer_tokens}))


def _all(each: Sequence[Usage], times: int) -> Usage:
    total = Usage()
    for usage in each:
        total += usage
    return _part(total, times)


def _part(usage: Usage, share: float) -> Usage:
    calls, ins, outs = (round(one * share) for one in (usage.calls, usage.tokens_in, usage.tokens_out))
    return Usage(calls, ins, 0, outs, usage.dollars * share, estimated=True)


def _estimate(model: ChatModel, request: Request) -> Usage:
    priced = _layer(model)
    return priced.estimate(request) if priced is not None else Usage(calls=1, estimated=True)


def _priced(model: ChatModel) -> Priced | None:
    layer = _layer(model)
    return layer if layer is not None and layer.price_known() else None


def _layer(model: ChatModel) -> Priced | None:
    return next((layer for layer in llm.layers(model) if isinstance(layer, Priced)), None)


def _calls(item: Item) -> int:
    if isinstance(item.scorer, Judge):
        return item.scorer.samples
    return int(isinstance(item.scorer, HttpReward))
