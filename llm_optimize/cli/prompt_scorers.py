"""Who scores a prompt, as the flags of ``llm-optimize prompt`` say: a script, a data set, or nobody but the judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.scorers.answers import NormalizedAnswer
from llm_optimize.scorers.command import CommandScorer
from llm_optimize.scorers.example import Example, Fields
from llm_optimize.scorers.loaders import read_csv, read_jsonl
from llm_optimize.scorers.prompt_task import PromptTask
from llm_optimize.scorers.rubric import Criterion, RubricJudge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.protocols import Scorer
    from llm_optimize.core.types import Evaluation

__all__ = ["chosen_scorer"]


def chosen_scorer(found: Mapping[str, Any], model: Callable[..., Any]) -> Scorer | None:
    """Return the scorer that the flags ask for; None where prompts are judged by how they read.

    Args:
        found: the settings in force.
        model: returns the model of a name, given also its role.

    Raises:
        BadInput: two scorers are asked for, or a file cannot be used.
    """
    if found["evaluator"] and found["data"]:
        msg = "--evaluator and --data: one of them scores the prompts; leave the other out"
        raise BadInput(msg)
    if found["evaluator"]:
        return CommandScorer(found["evaluator"], timeout=found["evaluator_timeout"])
    return _data_scorer(found, model) if found["data"] else None


def _data_scorer(found: Mapping[str, Any], model: Callable[..., Any]) -> PromptTask:
    examples = _examples(found["data"], found["expected"])
    if found["expected"] is not None:
        metric: Callable[[Any, Example], Any] = _same_answer
    else:
        metric = _Marked(found["prompt"], found["improve"], model(found["judge_model"], "judge"))
    return PromptTask(found["prompt"], model(found["target_model"], "target"), examples, metric)


def _same_answer(answer: str, example: Example) -> Evaluation:
    return NormalizedAnswer(str(example.expected))(answer)


def _examples(path: str, expected: str | None) -> Sequence[Example]:
    fields = Fields(expected)
    if path.endswith((".csv", ".tsv")):
        return read_csv(path, fields, delimiter="\t" if path.endswith(".tsv") else ",")
    if Path(path).name.endswith((".jsonl", ".jsonl.gz")):
        return read_jsonl(path, fields)
    msg = f"--data: {path!r} is neither .jsonl nor .csv nor .tsv; convert the file"
    raise BadInput(msg)


class _Marked:
    """The metric of a data set without right answers: a judge marks each answer for what the prompt is for."""

    def __init__(self, prompt: str, wish: str, model: Any) -> None:  # noqa: ANN401 - a chat model
        """Set up the judge."""
        wished = f" The owner of the prompt wishes: {' '.join(wish.split())}" if wish.strip() else ""
        task = f"it is a chat model's answer to a prompt whose first version was: {' '.join(prompt.split())}.{wished}"
        quality = Criterion("quality", "Does the answer do what the prompt asks for, fully and without errors?")
        self.judges = (RubricJudge((quality,), task, model=model),)

    def __call__(self, answer: str, _: Example) -> Any:  # noqa: ANN401 - an outcome
        """Mark the answer."""
        return self.judges[0](answer)
