"""The adapter back on its base: beside it, to be measured, and merged into it, to be served."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from llm_optimize.finetune.hardware import Hardware
from llm_optimize.finetune.libraries import peft, transformers
from llm_optimize.finetune.training import load_base

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load_tuned", "merge"]


def load_tuned(base: str, adapter: Path, hardware: Hardware) -> Any:  # noqa: ANN401 - peft has no types here
    """Return the base with the adapter beside it; ``model.disable_adapter()`` is the untuned model.

    Raises:
        BadInput: the base cannot be loaded.
    """
    return peft().PeftModel.from_pretrained(load_base(base, hardware), str(adapter)).eval()


def merge(base: str, adapter: Path, merged: Path, hardware: Hardware) -> None:
    """Save base and adapter as one model with its tokenizer in ``merged``, which appears only when it is whole.

    The base is loaded anew, in 16 or 32 bits: an adapter is not merged into weights of 4 bits.

    Raises:
        BadInput: the base cannot be loaded.
    """
    model = load_tuned(base, adapter, Hardware("cpu", bf16=hardware.bf16)).merge_and_unload()
    draft = merged.with_name(merged.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed here
    model.save_pretrained(draft)
    transformers().AutoTokenizer.from_pretrained(str(adapter)).save_pretrained(draft)
    draft.replace(merged)
