"""What is wanted, per set of inputs, and the measure that says how near an answer comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.core.scoring import to_outcome
from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput
from llm_optimize.scorers.rubric import Criterion, RubricJudge
from llm_optimize.scorers.similarity import Similarity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.protocols import EmbeddingModel
    from llm_optimize.core.types import Failure
    from llm_optimize.sweep.scoring import Measure

__all__ = ["ByFunction", "inputs_of", "measures_of", "wanted_of"]

_JUDGE = "judge"


def inputs_of(given: object) -> tuple[Mapping[str, Any], ...]:
    """Return the sets of values for the slots: none given is one set without any.

    Raises:
        BadInput: it is neither a mapping nor a list of them.
    """
    if given is None:
        return ({},)
    listed = [given] if isinstance(given, dict) else list(given) if isinstance(given, list | tuple) else []
    if not listed or not all(isinstance(one, dict) for one in listed):
        msg = f"inputs is {given!r}: give a dict of slot -> value, or a list of them"
        raise BadInput(msg)
    return tuple(listed)


def wanted_of(field: str, given: object, inputs: int) -> tuple[tuple[str, ...], ...]:
    """Return what is wanted for each set of inputs: one text, or several of which the nearest counts.

    Args:
        field: what the user calls it.
        given: a text for all inputs; or with one set of inputs a list of alternatives; or with several a list that
            has one text, or a list of alternatives, for each.
        inputs: how many sets there are.

    Raises:
        BadInput: it is none of these, a text is empty, or the numbers differ.

    Example:
        >>> wanted_of("target", ["a", "b"], 1), wanted_of("target", ["a", "b"], 2)
        ((('a', 'b'),), (('a',), ('b',)))
    """
    rows: list[tuple[Any, ...]]
    listed = list(given) if isinstance(given, list | tuple) else [given]
    if isinstance(given, str):
        rows = [(given,)] * inputs
    elif inputs == 1 and all(isinstance(one, str) for one in listed):
        rows = [tuple(listed)]
    elif len(listed) == inputs:
        rows = [
            (one,) if isinstance(one, str) else tuple(one) if isinstance(one, list | tuple) else () for one in listed
        ]
    else:
        msg = f"{field} holds {len(listed)} wanted answers for {inputs} inputs: give one for each, or one text for all"
        raise BadInput(msg)
    if not all(row and all(isinstance(one, str) and one.strip() for one in row) for row in rows):
        msg = f"{field} is {given!r}: give the wanted answer as a text, or a list of texts, none of them empty"
        raise BadInput(msg)
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class ByFunction:
    """A measure made of a user's ``similarity(answer, wanted)``; of several wanted answers the nearest counts.

    Attributes:
        function: returns a number (higher is closer), (number, text) or an Evaluation.
        references: the wanted answers.
    """

    function: Callable[[str, str], Any]
    references: Sequence[str]

    def __call__(self, answer: str) -> Evaluation | Failure:
        """Compare an answer."""
        found = [to_outcome(self.function(answer, one)) for one in self.references]
        scored = [one for one in found if isinstance(one, Evaluation)]
        return max(scored, key=lambda one: one.score) if scored else found[0]


def measures_of(
    similarity: object,
    wanted: Sequence[Sequence[str]],
    *,
    embedding: EmbeddingModel | None = None,
    judge: object = None,
    take: Literal["max", "mean"] = "max",
) -> tuple[Measure, ...]:
    """Return a measure for each set of inputs.

    Args:
        similarity: a kind of :class:`~llm_optimize.scorers.similarity.Similarity` (``ratio``, ``ratio_autojunk``,
            ``token_f1``, ``edit``, ``cosine``, ...), ``judge``, or a function of the answer and the wanted one.
        wanted: for each set of inputs.
        embedding: for ``cosine``.
        judge: for ``judge``: a model, as for :func:`llm_optimize.llm.connect`.
        take: of several wanted answers: the nearest, or the mean.

    Raises:
        BadInput: see the message.
    """
    if callable(similarity):
        return tuple(ByFunction(similarity, row) for row in wanted)
    if similarity == _JUDGE:
        if judge is None:
            msg = "judge: similarity='judge' needs a model to judge: give judge='URL#name'"
            raise BadInput(msg)
        return tuple(_judge(judge, row) for row in wanted)
    if not isinstance(similarity, str):
        msg = f"similarity is {similarity!r}: give a kind such as 'ratio', 'judge', or a function of two texts"
        raise BadInput(msg)
    model = embedding if similarity == "cosine" else None
    return tuple(Similarity(row, similarity, take, model) for row in wanted)  # type: ignore[arg-type]  # it checks the kind


def _judge(model: object, references: Sequence[str]) -> RubricJudge:
    shown = "\n\n".join(references)
    closeness = Criterion(
        "closeness",
        "Does the text say the same, in the same manner and length, as the reference (any of them, if there are "
        f"several)? 10: as good as word for word; 0: nothing in common.\nThe reference:\n{shown}",
    )
    return RubricJudge([closeness], scale=(0.0, 1.0), model=model)
