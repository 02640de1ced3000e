"""What a fine-tune is made with: values, their bounds, and the presets.

The defaults are those of TRL's own scripts for LoRA (``trl/scripts/sft.py`` and ``dpo.py`` of TRL 1.16): rank 32,
alpha 16, every linear layer, a learning rate of 2e-4 for SFT and of 5e-6 for DPO.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from llm_optimize.core.checks import check_number, check_whole
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS", "Lora", "Settings", "preset"]

_RATES = {"sft": 2e-4, "dpo": 5e-6}
_CHOICES = {
    "loss": ("answer", "all"),
    "schedule": ("cosine", "linear", "constant"),
    "precision": ("auto", "bf16", "fp32"),
}


@dataclass(frozen=True, slots=True)
class Lora:
    """The adapter: a product of two thin matrices beside each weight that is trained (Hu et al., ICLR 2022).

    Attributes:
        rank: of the product, at least 1.
        alpha: the product counts ``alpha / rank``; above 0.
        dropout: share of its inputs that is dropped in training, 0 to below 1.
        layers: which layers have one: ``all-linear``, or None for PEFT's own choice for the architecture.

    Raises:
        BadInput: one of these cannot be.
    """

    rank: int = 32
    alpha: float = 16
    dropout: float = 0.0
    layers: str | None = "all-linear"

    def __post_init__(self) -> None:
        """Check the bounds."""
        check_whole("lora rank", self.rank, 1)
        check_number("lora alpha", self.alpha, 0, above=True)
        check_number("lora dropout", self.dropout, 0, 0.99)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train.

    Attributes:
        epochs: passes over the training items, above 0.
        batch: items in one forward pass on the device.
        accumulation: forward passes in one step.
        learning_rate: the highest; None for 2e-4 (SFT) or 5e-6 (DPO).
        schedule: ``cosine``, ``linear`` or ``constant``, behind the warm-up.
        warmup: share of the steps in which the rate rises from 0.
        weight_decay: of AdamW.
        clip: the longest gradient.
        lora: the adapter.
        length: tokens of an item; what is beyond is cut off, and counted in the report.
        loss: ``answer``: the model learns the answer only; ``all``: the prompt too, as for a plain text.
        group_by_length: put items of like length into one batch, so that less is padding.
        four_bit: train on a base in 4 bits (nf4) where CUDA and bitsandbytes are there; elsewhere the report says so.
        precision: ``bf16``, ``fp32``, or ``auto``: bf16 on a GPU that has it.
        held_out: share of the items that is not trained on and that the tuned model is measured on.
        beta: of DPO: how far the model may move away from the base; smaller is further.
        answer_length: tokens of an answer that a scorer judges.
        seed: of the split, of the adapter's first values and of the order.
        save_every: steps between two checkpoints.
        log_every: steps between two lines of progress.

    Raises:
        BadInput: one of these cannot be.

    Example:
        >>> Settings(epochs=1).rate("dpo")
        5e-06
    """

    epochs: float = 3
    batch: int = 4
    accumulation: int = 4
    learning_rate: float | None = None
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = 0.03
    weight_decay: float = 0.0
    clip: float = 1.0
    lora: Lora = field(default_factory=Lora)
    length: int = 1024
    loss: Literal["answer", "all"] = "answer"
    group_by_length: bool = False
    four_bit: bool = False
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    held_out: float = 0.15
    beta: float = 0.1
    answer_length: int = 256
    seed: int = 0
    save_every: int = 50
    log_every: int = 10

    def __post_init__(self) -> None:
        """Check the bounds and the words."""
        check_number("epochs", self.epochs, 0, above=True)
        for name in ("batch", "accumulation", "answer_length", "save_every", "log_every"):
            check_whole(name, getattr(self, name), 1)
        check_whole("length", self.length, 2)
        check_whole("seed", self.seed, 0)
        if self.learning_rate is not None:
            check_number("learning_rate", self.learning_rate, 0, above=True)
        for name in ("warmup", "held_out"):
            check_number(name, getattr(self, name), 0, 0.9)
        check_number("weight_decay", self.weight_decay, 0)
        check_number("clip", self.clip, 0, above=True)
        check_number("beta", self.beta, 0, above=True)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                msg = f"{name} is {getattr(self, name)!r}: give one of {', '.join(choices)}"
                raise BadInput(msg)

    def rate(self, method: str) -> float:
        """Return the learning rate for ``sft`` or ``dpo``."""
        return _RATES[method] if self.learning_rate is None else self.learning_rate


PRESETS: Mapping[str, Settings] = {
    "promptimal": Settings(
        epochs=2,
        batch=4,
        accumulation=4,
        learning_rate=2e-4,
        schedule="cosine",
        warmup=0.1,
        weight_decay=0.035,
        clip=1.0,
        lora=Lora(rank=80, alpha=16, dropout=0.1, layers=None),
        length=100,
        loss="all",
        group_by_length=True,
        four_bit=True,
        held_out=0.15,
        log_every=15,
    ),
}
"""``promptimal``: how NoahBSchwartz's Promptimal trained Llama-2-7b on its rewrites, but for the pad id, 18610, which
is that of its own tokenizer; unlike there, the held-out 15 % are measured."""


def preset(name: str) -> Settings:
    """Return a preset by its name.

    Raises:
        BadInput: there is none of this name.

    Example:
        >>> preset("promptimal").lora.rank
        80
    """
    if name not in PRESETS:
        msg = f"preset is {name!r}: there is {', '.join(PRESETS)}"
        raise BadInput(msg)
    return PRESETS[name]
