"""How open answers are scored: by a judge, by a reward model, or by likeness to the reference answer.

Each makes one item's scorer out of the item's own prompt and its reference answer. Judge and reward model are shown
the original prompt for every version alike: a rewrite that asks for something else earns nothing by being answered.
The raw value stands in ``metrics``, and the score is what a stated scaling makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.scorers.classifier import ClassifierReward
from llm_optimize.scorers.reward_model import HttpReward
from llm_optimize.scorers.rubric import Criterion, RubricJudge
from llm_optimize.scorers.scaling import Sigmoid
from llm_optimize.scorers.similarity import Similarity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from llm_optimize.core.protocols import Scorer
    from llm_optimize.scorers.similarity import Kind

__all__ = ["Judged", "Likeness", "LocalReward", "Rewarded"]

_PROMPT, _TEXT = "{prompt}", "{text}"
_RIGHT = Criterion("correctness", "0: wrong, or no answer to the request. 10: right and complete.", 2.0)
_FITTING = Criterion("fit", "0: ignores what is asked for. 10: has the content, form and length that are asked for.")


@dataclass(frozen=True, slots=True)
class Judged:
    """A chat model marks each answer by criteria, 0 to 1; ``metrics`` holds the marks, 0 to 10.

    Attributes:
        model: who judges, as for :func:`llm_optimize.llm.connect`.
        criteria: what is marked.
        show_reference: whether the judge sees the reference answer. The rewriter never does by this.
    """

    model: Any = None
    criteria: Sequence[Criterion] = (_RIGHT, _FITTING)
    show_reference: bool = True

    def __call__(self, prompt: str, reference: str) -> Scorer:
        """Return the scorer of one item's answers."""
        task = f"The text is an answer to this request:\n{prompt}"
        if self.show_reference and reference.strip():
            task += f"\n\nA good answer, for comparison; another may be as good:\n{reference}"
        return RubricJudge(self.criteria, task=task, model=self.model)


@dataclass(frozen=True, slots=True)
class Rewarded:
    """A reward model behind an endpoint; see :class:`~llm_optimize.scorers.reward_model.HttpReward`.

    Attributes:
        url: where to POST.
        body: the JSON to send; ``{prompt}`` stands for the item's own prompt and ``{text}`` for the answer.
        path: where the value stands in the answer.
        scaling: from the raw value to 0 to 1; reward models are trained with the sigmoid.
        options: further fields of ``HttpReward``, such as ``api_key`` or ``timeout``.

    Raises:
        BadInput: the prompt has no place in ``body``: the value would not depend on what was asked.
    """

    url: str
    body: Mapping[str, Any] = field(default_factory=lambda: {"prompt": _PROMPT, "text": _TEXT})
    path: str = "score"
    scaling: Callable[[float], float] = field(default_factory=Sigmoid)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse a body that says nothing of the prompt, and whatever HttpReward refuses."""
        if _PROMPT not in repr(self.body):
            msg = f"body has no slot {_PROMPT}: the model would not see what is answered; write it where it belongs"
            raise BadInput(msg)
        self("", "")

    def __call__(self, prompt: str, reference: str) -> Scorer:
        """Return the scorer of one item's answers; the reference is not used."""
        del reference
        # A prompt that holds the other slot's own name must not be taken for it.
        body = _filled(self.body, prompt.replace(_TEXT, "{ text }"))
        return HttpReward(self.url, body, self.path, self.scaling, **self.options)


@dataclass(frozen=True, slots=True)
class LocalReward:
    """A sequence classifier on this machine; see :class:`~llm_optimize.scorers.classifier.ClassifierReward`.

    Attributes:
        model: a folder, or a name that transformers finds in its own store.
        scaling: from the raw value to 0 to 1.
        options: further fields of ``ClassifierReward``, such as ``device``.
    """

    model: str | Path
    scaling: Callable[[float], float] = field(default_factory=Sigmoid)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, prompt: str, reference: str) -> Scorer:
        """Return the scorer of one item's answers; the reference is not used."""
        del reference
        return ClassifierReward(self.model, prompt, scaling=self.scaling, **self.options)


@dataclass(frozen=True, slots=True)
class Likeness:
    """Likeness to the reference answer, 0 to 1; no model call. For short answers with one good wording.

    Attributes:
        kind: the measure, see :class:`~llm_optimize.scorers.similarity.Similarity`.
    """

    kind: Kind = "token_f1"

    def __call__(self, prompt: str, reference: str) -> Scorer:
        """Return the scorer of one item's answers; the prompt is not used."""
        del prompt
        return Similarity(reference, self.kind)


def _filled(value: Any, prompt: str) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value.replace(_PROMPT, prompt)
    if isinstance(value, dict):
        return {name: _filled(one, prompt) for name, one in value.items()}
    return [_filled(one, prompt) for one in value] if isinstance(value, list | tuple) else value
