"""The tuned model against the untuned on items that neither was trained on: loss per item, and a user's scorer.

Both are asked the same, so their differences come in pairs; the interval is that of
:func:`llm_optimize.core.verdict.interval_of_differences`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.verdict import interval_of_differences
from llm_optimize.finetune.libraries import torch
from llm_optimize.finetune.templates import as_messages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_optimize.finetune.rows import Item
    from llm_optimize.finetune.settings import Settings

__all__ = ["Comparison", "compare", "held_out_losses", "token_ids"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The two models on the same held-out items.

    Attributes:
        name: what was measured: ``loss`` (nats per token), ``dpo loss`` (ln 2 for the untuned), or ``score``.
        untuned: a number for each item.
        tuned: likewise, in the same order.
        low: lower end of the 95 % interval of the improvement.
        high: its upper end.
        left_out: items without a number: cut off before the answer, or refused by the scorer.
    """

    name: str
    untuned: tuple[float, ...]
    tuned: tuple[float, ...]
    low: float
    high: float
    left_out: int = 0

    @property
    def improvement(self) -> float:
        """The mean difference, counted so that more is better."""
        return math.fsum(_improvements(self.name, self.untuned, self.tuned)) / len(self.tuned)

    def __str__(self) -> str:
        """Say it in a sentence."""
        before, after = (math.fsum(values) / len(values) for values in (self.untuned, self.tuned))
        verdict = "better" if self.low > 0 else "worse" if self.high < 0 else "within the noise"
        span = f"improvement {self.improvement:.4f}, 95 % {self.low:.4f} to {self.high:.4f}"
        left = f"; {self.left_out} left out" if self.left_out else ""
        return f"{self.name} on {len(self.tuned)} held-out items: {before:.4f} -> {after:.4f} ({verdict}: {span}){left}"


def compare(name: str, untuned: Sequence[float | None], tuned: Sequence[float | None]) -> Comparison | None:
    """Return the comparison of two rows of numbers, without the pairs in which one is missing; None without a pair.

    Args:
        name: of the measure; less is better where it ends in ``loss``.
        untuned: a number for each item.
        tuned: likewise.
    """
    pairs = [(a, b) for a, b in zip(untuned, tuned, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    before, after = (tuple(values) for values in zip(*pairs, strict=True))
    low, high = interval_of_differences(_improvements(name, before, after))
    return Comparison(name, before, after, low, high, len(untuned) - len(pairs))


def _improvements(name: str, untuned: Sequence[float], tuned: Sequence[float]) -> list[float]:
    sign = -1.0 if name.endswith("loss") else 1.0
    return [sign * (after - before) for before, after in zip(untuned, tuned, strict=True)]


def held_out_losses(model: Any, tokenizer: Any, items: Sequence[Item], settings: Settings) -> Comparison | None:  # noqa: ANN401 - transformers has no types here
    """Return the loss of a model with an adapter, and of the same model without it, item by item.

    For pairs it is the loss of DPO (Rafailov et al., NeurIPS 2023, equation 7).
    """
    model.eval()
    tuned = [tuple(_likelihoods(model, tokenizer, item, settings)) for item in items]
    with model.disable_adapter():
        untuned = [tuple(_likelihoods(model, tokenizer, item, settings)) for item in items]
    if items and items[0].rejected is not None:
        losses = [_dpo_loss(after, before, settings.beta) for after, before in zip(tuned, untuned, strict=True)]
        return compare("dpo loss", [None if loss is None else math.log(2) for loss in losses], losses)
    return compare("loss", [_mean_loss(one) for one in untuned], [_mean_loss(one) for one in tuned])


def _mean_loss(found: tuple[tuple[float, int], ...]) -> float | None:
    ((total, tokens),) = found
    return -total / tokens if tokens else None


def _dpo_loss(
    tuned: tuple[tuple[float, int], ...], untuned: tuple[tuple[float, int], ...], beta: float
) -> float | None:
    if not all(tokens for _, tokens in tuned):
        return None
    (chosen, rejected), (chosen_before, rejected_before) = ([total for total, _ in one] for one in (tuned, untuned))
    margin = beta * ((chosen - chosen_before) - (rejected - rejected_before))
    return max(-margin, 0.0) + math.log1p(math.exp(-abs(margin)))  # -log sigmoid(margin), without overflow


def _likelihoods(model: Any, tokenizer: Any, item: Item, settings: Settings) -> Iterator[tuple[float, int]]:  # noqa: ANN401 - as above
    """Yield the log-likelihood in nats of each answer of the item, and the tokens that it is of."""
    for answer in (item.answer,) if item.rejected is None else (item.answer, item.rejected):
        ids, begin = token_ids(tokenizer, item, answer)
        learnt = 0 if settings.loss == "all" and item.rejected is None else begin
        yield _likelihood(model, ids[: settings.length], max(learnt, 1))  # nothing stands before the first token


def token_ids(tokenizer: Any, item: Item, answer: str) -> tuple[list[int], int]:  # noqa: ANN401 - as above
    """Return the tokens of prompt and answer, and where the answer begins."""
    if item.kind == "text":
        text = answer if answer.endswith(tokenizer.eos_token) else answer + tokenizer.eos_token
        return list(tokenizer(text)["input_ids"]), 0
    asked = as_messages(item.prompt)
    said = [*asked, {"role": "assistant", "content": answer}]
    prompt = list(tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True)["input_ids"])
    whole = list(tokenizer.apply_chat_template(said, return_dict=True)["input_ids"])
    same = next(
        (n for n, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), min(len(prompt), len(whole))
    )
    return whole, same


def _likelihood(model: Any, ids: list[int], begin: int) -> tuple[float, int]:  # noqa: ANN401 - as above
    if len(ids) <= begin:
        return 0.0, 0
    batch = torch().tensor([ids], device=model.device)
    with torch().inference_mode():
        logits = model(input_ids=batch).logits[0, begin - 1 : -1].float()
        chosen = logits.log_softmax(-1).gather(1, batch[0, begin:, None])
    return float(chosen.double().sum()), len(ids) - begin
