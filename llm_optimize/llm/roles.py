"""Who judges whom: a model that marks its own proposals marks them too well, so that is said before the first call.

Models give their own writing better marks than others' of equal worth (Panickssery et al. 2024, "LLM Evaluators
Recognize and Favor Their Own Generations").
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["judges_of", "same_model", "warn_of_own_judge"]

_LOG = logging.getLogger("llm_optimize")


def warn_of_own_judge(proposing: object, scorer: object) -> bool:
    """Warn where a judge in ``scorer`` is the model that proposes; return whether one is.

    Args:
        proposing: the model that proposes, or None.
        scorer: any scorer; judges are found in dataclasses of this package's kind, not inside functions.
    """
    own = next((judge for judge in judges_of(scorer) if proposing is not None and same_model(proposing, judge)), None)
    if own is not None:
        _LOG.warning(
            "the model %s judges its own proposals, which it will find better than they are: "
            "give the judge another model, or calibrate it on texts that people have marked",
            getattr(own, "name", own),
        )
    return own is not None


def judges_of(scorer: object) -> Iterator[Any]:
    """Yield the models that judge in ``scorer`` and in the scorers that it is made of: their attribute ``judge``."""
    if isinstance(scorer, list | tuple):
        for part in scorer:
            yield from judges_of(part)
    elif isinstance(scorer, Mapping):
        yield from judges_of(list(scorer.values()))
    elif dataclasses.is_dataclass(scorer) and not isinstance(scorer, type):
        judge = getattr(scorer, "judge", None)
        if judge is not None:
            yield judge
        else:
            yield from judges_of([getattr(scorer, field.name) for field in dataclasses.fields(scorer)])


def same_model(one: object, other: object) -> bool:
    """Return whether two models, with whatever wraps them, are one: the same name at the same endpoint, or one object.

    Example:
        >>> from llm_optimize.llm.openai import OpenAIChat
        >>> server = "http://127.0.0.1:11434/v1"
        >>> same_model(OpenAIChat("qwen3", server), OpenAIChat("qwen3", server)), same_model(
        ...     OpenAIChat("qwen3", server), OpenAIChat("gemma", server))
        (True, False)
    """
    first, second = _identity(one), _identity(other)
    return first is not None and first == second


def _identity(model: Any) -> object:  # noqa: ANN401 - whatever wraps whatever
    """Return what tells a model from others, or None where that cannot be known yet."""
    while getattr(model, "inner", None) is not None:
        model = model.inner
    try:
        address = getattr(model, "address", None)
    except BadInput:  # no key yet, or options that cannot work: the first call will say so
        return None
    return address if isinstance(address, tuple) else id(model)
