"""How close a pair's answers come to the wanted ones: the scorer of a sweep."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.core.scoring import to_outcome
from llm_optimize.core.types import Evaluation, Failure, Usage
from llm_optimize.errors import ContextTooLong, ModelError, ModelRefused
from llm_optimize.sweep.watching import settings_line
from llm_optimize.targets.chat_call import ChatCall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.chat import Reply
    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.core.types import Outcome

__all__ = ["CallScorer", "Measure"]

Measure = Callable[[str], Any]
"""An answer in; a similarity out, as a scorer may return it: a number, (number, text), an Evaluation or a Failure."""

_GAVE_UP = " (gave up"


@dataclass(frozen=True, slots=True)
class CallScorer:
    """Scores a pair by the mean similarity of its answers, over all inputs and repeats.

    A call that fails, is refused or brings no text makes the pair a Failure, which is no similarity of 0. The
    metric ``noise`` is the standard error of the mean that the repeats show.

    Attributes:
        model: that is asked.
        inputs: values for the slots, at least one set of them.
        measures: for each set of inputs, what compares an answer with what is wanted there.
        repeats: how often each is asked.
    """

    model: ChatModel
    inputs: Sequence[Mapping[str, Any]]
    measures: Sequence[Measure]
    repeats: int = 1

    def __call__(self, text: str) -> Outcome:
        """Ask, and compare.

        Raises:
            BudgetExceeded: the next call would pass a cap.
        """
        call = ChatCall.of(text)
        run = _Run()
        for number, inputs in enumerate(self.inputs):
            for repeat in range(self.repeats):
                failure = run.take(self._asked(call, inputs, f"input-{number}-{repeat}"), self.measures[number])
                if failure is not None:
                    return Failure(failure.kind, failure.message, run.usage)
        return run.outcome(self.repeats)

    def _asked(self, call: ChatCall, inputs: Mapping[str, Any], key: str) -> Reply | Failure:
        try:
            return self.model.complete(call.request(inputs, key))
        except ContextTooLong as error:
            return Failure("too_long", str(error))
        except ModelRefused as error:
            # With its settings, as the next pair may well be accepted: failures alike in a row end a study.
            return Failure("refused", f"{error} [{settings_line(call.settings)}]")
        except ModelError as error:
            return Failure("no_answer", str(error).partition(_GAVE_UP)[0])


@dataclass(slots=True)
class _Run:
    """The answers of one pair so far."""

    answers: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    cut: int = 0
    said: str = ""

    def take(self, reply: Reply | Failure, measure: Measure) -> Failure | None:
        """Compare an answer; return why there is nothing to compare, or None."""
        if isinstance(reply, Failure):
            return reply
        self.usage += reply.usage
        answer = reply.text.strip()
        if not answer:
            what = (
                f"the model declined: {reply.refusal}" if reply.refusal else f"an empty answer ({reply.finish_reason})"
            )
            return Failure("no_text", what)
        found = to_outcome(measure(answer))
        if isinstance(found, Failure):
            return found
        self.usage += found.usage
        self.cut += reply.finish_reason == "length"
        self.said = found.feedback
        self.answers.append(answer)
        self.scores.append(float(found.score))
        return None

    def outcome(self, repeats: int) -> Evaluation:
        mean = statistics.fmean(self.scores)
        feedback = f"mean similarity of {len(self.scores)} answers: {mean:.4f}" if len(self.scores) > 1 else self.said
        feedback += f"; {self.cut} cut off by the limit on tokens" if self.cut else ""
        metrics = {"similarity": mean} | ({"noise": _noise(self.scores, repeats)} if repeats > 1 else {})
        return Evaluation(mean, feedback, metrics, tuple(self.scores), self.usage, tuple(self.answers))


def _noise(scores: Sequence[float], repeats: int) -> float:
    """Return the standard error of the mean: inputs differ for good, repeats by chance."""
    groups = [scores[i : i + repeats] for i in range(0, len(scores), repeats)]
    return math.sqrt(math.fsum(statistics.variance(one) / repeats for one in groups)) / len(groups)
