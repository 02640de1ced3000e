"""The proposer of a run that names none: the chat model, the numeric engine, or both where there are numbers.

Why its settings are what they are. ``tests/benchmarks/bench_search.py`` plays six tasks with one stand-in model, 60
evaluations and 20 seeds; medians of the best value, from 0 to 1:

===================  ======  ==========  ======  ==========  =========
task                 ours    plain chat  gepa    openevolve  best of n
===================  ======  ==========  ======  ==========  =========
circle packing       0.9228  0.9210      0.9116  0.9034      0.8908
sorting network      0.7846  0.8000      0.7231  0.6615      0.6308
symbolic regression  0.3760  0.5563      0.3757  0.3812      0.3279
automl               0.8217  0.8383      0.8167  0.8283      0.7850
code golf            0.8303  0.8303      0.8303  0.8216      0.7996
text instruction     0.8625  0.8625      0.8500  0.7500      0.6250
===================  ======  ==========  ======  ==========  =========

The differences to plain chat are within chance (p from 0.05 to 0.98); a plain chat asks the model twice as often where
there are numbers, which is its advantage on symbolic regression, and its price.

* **Parent: the best, and others while the search stalls** (:class:`~.parents.widening.Widening`). The best alone gets
  stuck where there are many peaks, a draw by rank wastes evaluations where there are few: ``bench_parents.py``.
* **Numbers: the engine** (:class:`~.mixing.Hybrid`), with a share of the evaluations that it must earn. On OPRO's
  failure case (``bench_failure_case.py``) it reaches f < 1 in 20 of 20 runs, the model alone in none; the engine alone
  has a thirteenth of the best library's regret after 40 evaluations (``bench_numeric.py``).
* **Window: the best, the latest and failures**, in 12,000 tokens; long candidates as changes, which
  ``bench_diffs.py`` weighs. What is shown costs at most 5 ms, whatever the number of trials: ``bench_policies.py``.
* **Form: full text**, since any model can keep to it; ``Edits`` pays where candidates are long.
* **One evaluation for each new candidate**: 1,000 evaluations are 1,000 candidates (``bench_evaluations.py``).
"""

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
