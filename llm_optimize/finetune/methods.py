"""SFT or DPO: what the rows are made for, and whether it is what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.finetune.rows import Item

__all__ = ["METHODS", "method_for"]

METHODS = ("sft", "dpo")


def method_for(items: Sequence[Item], method: str | None) -> str:
    """Return how items are to be learnt.

    Raises:
        BadInput: they do not fit the method that was asked for.
    """
    fitting = "sft" if items[0].rejected is None else "dpo"
    if method not in (None, *METHODS):
        msg = f"method is {method!r}: give one of {', '.join(METHODS)}"
        raise BadInput(msg)
    if method not in (None, fitting):
        needed = "rows with prompt, chosen and rejected" if method == "dpo" else "rows with one answer, not with pairs"
        msg = f"method is {method!r}, which needs {needed}: the data is made for {fitting}"
        raise BadInput(msg)
    return fitting
