"""A user's scorer on the answers of both models to the held-out prompts."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from llm_optimize.core.scoring import evaluate
from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput
from llm_optimize.finetune.libraries import torch
from llm_optimize.finetune.measuring import Comparison, compare
from llm_optimize.finetune.templates import as_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.finetune.rows import Item

__all__ = ["answer", "held_out_scores"]


def held_out_scores(
    model: Any,  # noqa: ANN401 - transformers has no types here
    tokenizer: Any,  # noqa: ANN401 - as above
    items: Sequence[Item],
    scorer: Callable[..., object],
    longest: int = 256,
) -> Comparison | None:
    """Return the scores of a model with an adapter, and of the same model without it, item by item.

    Args:
        model: with an adapter of PEFT.
        tokenizer: with the template of training.
        items: the held-out ones.
        scorer: as everywhere: text -> number, (number, text) or Evaluation; more is better. One that takes two
            arguments gets the :class:`~llm_optimize.finetune.rows.Item` as well.
        longest: tokens of an answer.

    Raises:
        BadInput: the items have no prompts.
    """
    if items and items[0].kind == "text":
        msg = "scorer: the data has plain texts without prompts, so no answers can be scored; leave the scorer out"
        raise BadInput(msg)
    model.eval()
    tuned = [_score(scorer, answer(model, tokenizer, item, longest), item) for item in items]
    with model.disable_adapter():
        untuned = [_score(scorer, answer(model, tokenizer, item, longest), item) for item in items]
    return compare("score", untuned, tuned)


def answer(model: Any, tokenizer: Any, item: Item, longest: int = 256) -> str:  # noqa: ANN401 - as above
    """Return the model's likeliest answer to an item's prompt, token by token; no first word is forced."""
    asked = tokenizer.apply_chat_template(
        as_messages(item.prompt), add_generation_prompt=True, return_tensors="pt", return_dict=True
    ).to(model.device)
    with torch().inference_mode():
        said = model.generate(
            **asked,
            do_sample=False,
            max_new_tokens=longest,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    return str(tokenizer.decode(said[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)).strip()


def _score(scorer: Callable[..., object], text: str, item: Item) -> float | None:
    outcome, _ = evaluate((lambda said: scorer(said, item)) if _takes_item(scorer) else scorer, text)  # type: ignore[arg-type, return-value]  # to_outcome checks what came
    return float(outcome.score) if isinstance(outcome, Evaluation) else None


def _takes_item(scorer: Callable[..., object]) -> bool:
    try:
        parameters = inspect.signature(scorer).parameters.values()
    except (TypeError, ValueError):
        return False
    needed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    return len(needed) == 2  # noqa: PLR2004 - the answer and its item
