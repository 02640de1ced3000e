"""The proposer of a run that names none: the chat model, the numeric engine, or both where there are numbers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from llm_optimize import llm
from llm_optimize.core.protocols import Proposer
from llm_optimize.errors import BadInput
from llm_optimize.llm.model import CalledModel
from llm_optimize.proposers.constraints import as_constraints
from llm_optimize.proposers.forms.full_text import FullText
from llm_optimize.proposers.mixing import Hybrid
from llm_optimize.proposers.numeric import NumericProposer
from llm_optimize.proposers.typed import typed
from llm_optimize.text.tunables import find

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.protocols import ChatModel, Scorer
    from llm_optimize.proposers.chat import ChatProposer
    from llm_optimize.proposers.constraints import Constraint
    from llm_optimize.proposers.forms.form import Form

__all__ = ["Beginning", "default_proposer", "made"]

_LOG = logging.getLogger("llm_optimize")


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a search begins with, a typed candidate made a text.

    Attributes:
        x0: the start text, or None.
        func: scores a text.
        final: scores a text on sealed examples, or None.
        tune: what may be tuned.
        constraints: of a candidate.
        form: how a reply carries one.
    """

    x0: str | None
    func: Scorer
    final: Scorer | None
    tune: object
    constraints: tuple[Constraint, ...]
    form: Form

    @classmethod
    def of(cls, x0: Any, func: Any, final: Any, tune: object, kept: tuple[Constraint, ...]) -> Self:  # noqa: ANN401 - unchecked
        """Take what run() was given, and the constraints as functions."""
        kind = typed(x0)
        if kind is None:
            return cls(x0, func, final, tune, kept, FullText())
        ending = None if final is None else kind.scorer(final)
        tune = kind.tune if tune is None else tune
        return cls(kind.start, kind.scorer(func), ending, tune, (*kept, *as_constraints([kind.model_class])), kind.form)


def default_proposer(begun: Beginning, model: object, chat: Callable[..., ChatProposer]) -> Proposer:
    """Choose the chat model, the numeric engine, or both, and say which where it may surprise."""
    x0, tune = begun.x0, begun.tune
    numbers = bool(find(x0, tune)) if x0 is not None else tune is not None
    numeric = NumericProposer(tune=tune, constraints=begun.constraints)
    if model is None and not llm.have_model():
        if not numbers or x0 is None:
            llm.require_model()
        _LOG.warning("no chat model is configured: the numeric engine tunes the numbers of x0 alone")
        return numeric
    asking = chat(_connected(model), form=begun.form, constraints=begun.constraints)
    if asking.tools and any(isinstance(layer, CalledModel) for layer in llm.layers(asking.model)):
        _LOG.warning("the model %s is an object that cannot call tools: it is asked without them", asking.model_name)
    return Hybrid(asking, numeric) if numbers else asking


def made(proposer: Proposer | Callable[[ChatModel], Proposer], model: object) -> Proposer:
    """Return a proposer as it is, or the one that a function or class makes of the connected model.

    Raises:
        BadInput: it is neither.
    """
    if not isinstance(proposer, type) and isinstance(proposer, Proposer):
        return proposer
    if not callable(proposer):
        msg = f"proposer is {proposer!r}: give one, with the method propose, or a function of the model that makes one"
        raise BadInput(msg)
    made_one = proposer(_connected(model))
    if not isinstance(made_one, Proposer):
        msg = f"proposer makes {made_one!r} of a model: it must return an object with the method propose"
        raise BadInput(msg)
    return made_one


def _connected(model: object) -> ChatModel:
    """Return the model, and find out at no cost whether one that is named here answers at all."""
    chosen = llm.connect(model)
    llm.preflight(chosen)
    return chosen
