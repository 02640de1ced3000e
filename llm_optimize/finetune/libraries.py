"""The libraries that training needs, each loaded by the first who asks; the one place that names them.

None of them is a dependency of the package: they are the extra ``finetune``, a gigabyte with torch for CPUs.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llm_optimize.scorers.installed import load

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXTRA", "datasets", "peft", "quiet", "require", "torch", "transformers", "trl"]

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


def require() -> None:
    """Load all of them, so that a missing one is said before anything is begun.

    Raises:
        BadInput: one is not installed; says how to install it.
    """
    for library in (torch, transformers, datasets, peft, trl):
        library()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep their progress bars, and their talk among themselves about what will be renamed, off the terminal."""
    bars = transformers().utils.logging
    shown = bars.is_progress_bar_enabled()
    mapped = datasets().utils.logging.is_progress_bar_enabled()
    bars.disable_progress_bar()
    datasets().disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        if shown:
            bars.enable_progress_bar()
        if mapped:
            datasets().enable_progress_bars()
