"""One joint search: the chat model writes the prompt, a numeric engine sets the numbers.

The candidate is the pair's JSON, as an instance of a pydantic model: its bounded numbers are an engine's to tune and
its texts the model's to write, see :mod:`llm_optimize.proposers.typed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from llm_optimize import optimize
from llm_optimize.errors import BadInput
from llm_optimize.proposers.forms.typed_json import canonical
from llm_optimize.scorers.prompt_task import slots_of
from llm_optimize.sweep.dimensions import Between, Listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import BaseModel

    from llm_optimize.core.protocols import Scorer
    from llm_optimize.core.study import Study
    from llm_optimize.sweep.dimensions import Dimension
    from llm_optimize.sweep.space import Space

__all__ = ["joint_study"]

_TASK = """x is a request to a chat model: prompt is what it is asked, system_prompt what it is told before, settings \
are the sampling settings. f(x) is the similarity of its answer to the wanted one; 1 is equal. Improve the \
prompts; leave the settings as they are, they are tuned by a numeric optimizer.{slots}

The wanted answer{several}:
{wanted}"""
_QUESTION = "Which prompt brings an answer that is closer to the wanted one?"
_FEW = 3


def joint_study(  # noqa: PLR0913, PLR0917 - the parts of a study
    space: Space,
    scorer: Scorer,
    model: object,
    steps: int,
    wanted: Sequence[Sequence[str]],
    name: str,
    parts: Mapping[str, Any],
) -> Study:
    """Return the study of a joint search.

    Args:
        space: the first prompt is the start, the others are evaluated after it; the settings are tuned.
        scorer: of a pair's JSON.
        model: improves the prompt; as for :func:`llm_optimize.llm.connect`.
        steps: pairs in all.
        wanted: the wanted answers.
        name: of the study.
        parts: further keywords of :func:`llm_optimize.optimize.build`.

    Raises:
        BadInput: a list of values that are no numbers cannot be tuned here.
    """
    kind = _model_class(space)
    starts = [_instance(kind, space, prompt) for prompt in space.prompts]
    slots = slots_of("\n".join((*space.prompts, *space.system_prompts)))
    kept = f" The slots {', '.join(f'{{{{{one}}}}}' for one in slots)} must stay in the prompts." if slots else ""
    shown = [row[0] for row in wanted[:_FEW]]
    task = _TASK.format(slots=kept, several="s, one for each input" * (len(shown) > 1), wanted="\n---\n".join(shown))
    study = optimize.build(
        task, _QUESTION, _Instances(scorer), starts[0], model=model, max_steps=steps - 1, study=name,
        constraints=[_Keeps(slots)], **parts,
    )  # fmt: skip
    if not study.history.next_id:
        for one in starts[1:]:
            study.inject(canonical(one))
    return study


class _Instances:
    """A scorer of instances made of one of texts."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def __call__(self, instance: Any) -> Any:  # noqa: ANN401 - an instance; what a scorer may return
        return self._scorer(canonical(instance))


class _Keeps:
    """A constraint: the slots must stay."""

    def __init__(self, slots: Sequence[str]) -> None:
        self._slots = slots

    def __call__(self, text: str) -> str | None:
        has = slots_of(text)
        lost = next((one for one in self._slots if one not in has), None)
        new = next((one for one in has if one not in self._slots), None)
        if lost is not None:
            return f"the slot {{{{{lost}}}}} is lost"
        return None if new is None else f"the slot {{{{{new}}}}} has no value"


def _model_class(space: Space) -> type[BaseModel]:
    from pydantic import create_model  # noqa: PLC0415 - heavy: loaded by those who search jointly

    fields = {name: _field(name, one) for name, one in sorted(space.settings.items())}
    settings = create_model("Settings", **fields)  # type: ignore[call-overload]  # names are only known here
    return create_model("Pair", prompt=(str, ...), settings=(settings, ...), system_prompt=(str, ...))


def _field(name: str, one: Dimension) -> tuple[Any, Any]:
    from pydantic import Field  # noqa: PLC0415 - as above

    if isinstance(one, Listed):
        if not all(isinstance(value, str | int | bool) for value in one.values):
            if one.count == 1:
                return type(one.values[0]), ...
            msg = f"{name} is a list of {one}: in a joint search give a range"
            raise BadInput(msg)
        return Literal[one.values], ...
    low, high = sorted(one.ends)
    number: Callable[..., Any] = float if isinstance(one, Between) or not one.whole else int
    extra: Any = {"log": True} if one.log else None
    return number, Field(ge=low, le=high, json_schema_extra=extra)


def _instance(kind: type[BaseModel], space: Space, prompt: str) -> BaseModel:
    settings = {name: one.middle for name, one in space.settings.items()}
    return kind.model_validate({"prompt": prompt, "settings": settings, "system_prompt": space.system_prompts[0]})
