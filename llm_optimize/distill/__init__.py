"""Better prompts in bulk: from files of questions to pairs of prompts that a small model can be trained on.

::

    from llm_optimize import distill

    items = distill.read_items("mmlu", "questions.csv")
    done = distill.run(items, folder="better", model="gpt-5-mini", caps=distill.Caps(dollars=5))
    print(done)                                # counts, first words, held-out comparison, cost
    distill.rewrite("2 plus 2 equals what", model="gpt-5-mini")

A run picks the items that the model gets wrong, has each rewritten twice in each of three rounds, shows the rewriter
how the versions scored and what was answered, and keeps the best version of each, or the original where nothing beats
it. Begun again in the same folder it goes on; a reply that was paid for is never asked for again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.core.chat import Request
from llm_optimize.distill.comparing import Comparison
from llm_optimize.distill.items import KINDS, Item, Kind, distinct, read_items
from llm_optimize.distill.pipeline import Pipeline, Result, read_best
from llm_optimize.distill.records import Best
from llm_optimize.distill.report import Counts, Report, first_words
from llm_optimize.distill.scoring import Judged, Likeness, LocalReward, Rewarded
from llm_optimize.distill.settings import Caps, Settings
from llm_optimize.errors import NoCandidate
from llm_optimize.proposers.improving import improving, read_rewrite
from llm_optimize.scorers.parting import normalised

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "KINDS",
    "Best",
    "Caps",
    "Comparison",
    "Counts",
    "Item",
    "Judged",
    "Kind",
    "Likeness",
    "LocalReward",
    "Pipeline",
    "Report",
    "Result",
    "Rewarded",
    "Settings",
    "distinct",
    "first_words",
    "normalised",
    "read_best",
    "read_items",
    "rewrite",
    "run",
]


def run(  # noqa: PLR0913 - the fields of Pipeline
    items: Sequence[Item],
    folder: str | os.PathLike[str],
    model: Any = None,  # noqa: ANN401 - whatever llm.connect takes
    *,
    rewriter: Any = None,  # noqa: ANN401 - as model
    settings: Settings | None = None,
    caps: Caps | None = None,
    parallel: int = 4,
    say: Callable[[str], None] | None = None,
) -> Result:
    """Make better prompts of the items that the model gets wrong.

    Args:
        items: see :func:`read_items`.
        folder: where the run is kept, and goes on when it is begun again.
        model: answers the prompts; as for :func:`llm_optimize.llm.connect`.
        rewriter: rewrites them; None for the same.
        settings: see :class:`~llm_optimize.distill.settings.Settings`; None for the usual ones.
        caps: what may be spent; None for no caps.
        parallel: how many items are worked on at the same time.
        say: is told what the run may cost before it begins, how it goes on, and what it has cost.

    Raises:
        BadInput: something that cannot be run; nothing was spent.
        ModelError: a model did not answer; the same call goes on.
    """
    return Pipeline(items, folder, model, rewriter, settings or Settings(), caps or Caps(), parallel, say).run()


def rewrite(prompt: str, model: Any = None, *, settings: Mapping[str, Any] | None = None) -> str:  # noqa: ANN401 - see run
    """Return one better version of a prompt, in the words that training files of this package use.

    Nothing is forced upon the reply: no first word, no prefix. Meant for a model that was tuned on such a file; any
    other understands it as well.

    Args:
        prompt: to be rewritten.
        model: as for :func:`llm_optimize.llm.connect`.
        settings: fields of the request body, such as ``temperature``.

    Raises:
        NoCandidate: the model declined, or its reply was cut off or empty.
        ModelError: the model did not answer.
    """
    reply = llm.connect(model).complete(Request(improving(prompt), dict(settings or {})))
    found, note = read_rewrite(reply)
    if not found:
        msg = f"the rewrite is {note}"
        raise NoCandidate(msg)
    return found
