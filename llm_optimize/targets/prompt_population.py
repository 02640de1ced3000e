"""A prompt made better by a population of its rewrites: what the command ``llm-optimize prompt`` runs.

It is an ordinary study: who is asked, who judges, when it ends. So it can be run without the command as well::

    from llm_optimize import optimize
    from llm_optimize.targets.prompt_population import PromptSearch

    search = PromptSearch("Sum up {text}.", "for children", generations=3)
    result = optimize.run(**search.arguments(), model="gpt-5", parallel=8)
    print(result.best_x)
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.core.checks import check_number, check_whole
from llm_optimize.errors import BadInput
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.generations import Generations
from llm_optimize.proposers.mutations import CROSSOVER, OPERATORS
from llm_optimize.proposers.population import PopulationProposer
from llm_optimize.scorers.prompt_judge import prompt_judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.protocols import ChatModel, Scorer
    from llm_optimize.core.types import Evaluation, Failure

__all__ = ["QUESTION", "PromptSearch"]

_TASK = """\
You are an expert prompt engineer. x is a prompt for a chat model, and f(x) says how good it is, from 0 to 1.
{wish}
A good prompt is clear, says what it needs to say and nothing else, and uses no jargon. Keep the task of the initial \
prompt, the language that it is written in, and its placeholders such as {{this}}, exactly as written. Write the new \
prompt itself, not an answer to it and nothing about it.

The initial prompt is attempt #0."""
_WISH = "\nWhat its owner wishes of the new version: {wish}\n"

QUESTION = "Which prompt would score higher? Write it in full."
"""What is asked of the model after each attempt."""


@dataclass(frozen=True, slots=True)
class PromptSearch:
    """What a search for a better prompt is made of.

    Attributes:
        prompt: the initial one.
        wish: what is wanted of the new one; empty for nothing in particular.
        size: prompts of the first population, beside the initial one.
        generations: of children after it, each of ``size - elites``; 0 judges the first population alone.
        threshold: a score that ends the search.
        elites: how many of the best stay parents.
        tournament: how many compete for being a parent.
        judge: the model that judges, as for :func:`llm_optimize.llm.connect`; None is the default model.
        judge_samples: how often it judges each prompt.
        scorer: instead of the judge: a script (:class:`~llm_optimize.scorers.command.CommandScorer`), a data set
            (:class:`~llm_optimize.scorers.prompt_task.PromptTask`), or any function of a prompt.
        mutate: whether children are made by all of Promptbreeder's operators in turn, instead of crossover alone.
        evolve: whether the instruction for children evolves as well.
        settings: fields of the requests for prompts.
        parallel: prompts asked for at the same time.

    Raises:
        BadInput: a setting cannot work.
    """

    prompt: str
    wish: str = ""
    _: KW_ONLY
    size: int = 10
    generations: int = 5
    threshold: float = 1.0
    elites: int = 2
    tournament: int = 3
    judge: Any = None
    judge_samples: int = 5
    scorer: Scorer | None = None
    mutate: bool = False
    evolve: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    parallel: int = 8

    def __post_init__(self) -> None:
        """Check what is not checked where it is used."""
        if not isinstance(self.prompt, str) or not self.prompt.strip():
            msg = f"prompt is {self.prompt!r}: give the text of the prompt that is to be made better"
            raise BadInput(msg)
        check_number("threshold", self.threshold, 0, 1)
        check_whole("tournament", self.tournament, 1, 64)
        check_whole("size", self.size, 1, 64)

    @property
    def task(self) -> str:
        """What the model is told to do."""
        wish = " ".join(self.wish.split())
        return _TASK.format(wish=_WISH.format(wish=wish) if wish else "")

    @property
    def stop(self) -> Generations:
        """When it ends."""
        return Generations(self.generations, self.size, self.threshold)

    @property
    def most(self) -> int:
        """How many prompts are proposed at most."""
        return self.size + self.generations * max(1, self.size - self.elites)

    def proposer(self, model: ChatModel) -> PopulationProposer:
        """Return who proposes."""
        chat = ChatProposer(model, constraints=["placeholders"], settings=self.settings, repair=None)
        return PopulationProposer(
            chat, size=self.size, elites=self.elites, tournament=self.tournament, parallel=self.parallel,
            operators=OPERATORS if self.mutate else (CROSSOVER,), evolve=self.evolve,
        )  # fmt: skip

    def judging(self) -> Scorer:
        """Return who scores."""
        if self.scorer is not None:
            return _Trimmed(self.scorer)
        return _Trimmed(prompt_judge(self.prompt, self.wish, model=self.judge, samples=self.judge_samples))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that make :func:`llm_optimize.optimize.run` this search; model and store are yours."""
        return {
            "task_description": self.task,
            "task_question": QUESTION,
            "func": self.judging(),
            "x0": self.prompt,
            "max_steps": None,
            "proposer": self.proposer,
            "stop": self.stop,
            "ideas": self.size,
        }


@dataclass(frozen=True, slots=True)
class _Trimmed:
    """Scores a prompt without its outer line ends: they are those of the fence that it came in."""

    scorer: Scorer

    def __call__(self, text: str) -> Evaluation | Failure | float | tuple[float, str]:
        return self.scorer(text.strip("\n"))
