"""The libraries that training needs, each loaded by the first who asks; the one place that names them.

None of them is a dependency of the package: they are the extra ``finetune``, a gigabyte with torch for CPUs.
"""

from __future__ import annotations

from typing import Any

from llm_optimize.scorers.installed import load

__all__ = ["EXTRA", "datasets", "peft", "torch", "transformers", "trl"]

EXTRA = "finetune"


def torch() -> Any:  # noqa: ANN401 - a module, which has no type of its own
    """Return torch: tensors and devices.

    Raises:
        BadInput: it is not installed; says how to install it. So do the other functions here.
    """
    return load("torch", EXTRA)


def transformers() -> Any:  # noqa: ANN401 - as above
    """Return transformers: models and tokenizers."""
    return load("transformers", EXTRA)


def datasets() -> Any:  # noqa: ANN401 - as above
    """Return datasets: the tables that TRL trains on."""
    return load("datasets", EXTRA)


def peft() -> Any:  # noqa: ANN401 - as above
    """Return peft: the adapters."""
    return load("peft", EXTRA)


def trl() -> Any:  # noqa: ANN401 - as above
    """Return trl: the trainers."""
    return load("trl", EXTRA)
