"""What one draft is asked for with: settled by policies before a prompt is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.forms.form import Form
    from llm_optimize.proposers.parents.policy import ParentPolicy

__all__ = ["Angle", "Brief"]


@dataclass(frozen=True)
class Angle:
    """In what one of several drafts is to differ from the others; what is not given stays as the proposer has it.

    Attributes:
        name: a word for reports; part of the draft's origin.
        instruction: a sentence or more, shown to the model before the question.
        settings: fields of the request that replace the proposer's, such as ``temperature``.
        model: who is asked.
        parent: what is built on.
        form: how the reply carries the candidate.

    Example:
        >>> Angle("bold", "Try an approach that none of the attempts shows.", {"temperature": 1.2}).name
        'bold'
    """

    name: str
    instruction: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    model: ChatModel | None = None
    parent: ParentPolicy | None = None
    form: Form | None = None


@dataclass(frozen=True)
class Brief:
    """What a prompt is written for.

    Attributes:
        form: how the reply is to carry the candidate.
        parents: the attempt to build on, shown last as the current x, then others to combine it with. Empty: the latest
            attempt that is shown is the current x.
        notes: paragraphs before the question: an angle's instruction, lessons, what to do while nothing has a score.
        settings: fields of the request.
        model: who is asked.
        angle: the name of the angle, empty without one.
    """

    form: Form
    model: ChatModel
    parents: tuple[Trial, ...] = ()
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    angle: str = ""
