"""The keywords that every form of a sweep shares, checked in one place."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from llm_optimize.core.checks import check_whole
from llm_optimize.errors import BadInput
from llm_optimize.sweep.wording import Language, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from llm_optimize.core.budget import Budget
    from llm_optimize.core.study import Study

__all__ = ["More", "Options", "options_of"]

_FAILED = ("penalised", "excluded")


class More(TypedDict, total=False):
    """The keywords; see :class:`Options` for what they are."""

    inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
    similarity: str | Callable[[str, str], Any]
    take: Literal["max", "mean"]
    embedding: Any
    judge: Any
    repeats: int
    failed: Literal["penalised", "excluded"]
    probe: bool | Sequence[str]
    improve_with: Any
    parallel: int
    executor: Any
    seed: int
    budget: Budget | None
    store: Any
    study: str | None
    observers: Sequence[Callable[..., None]]
    headers: Mapping[str, str]
    proxy: str | None
    timeout: float
    attempts: int
    prices: Mapping[str, Sequence[float]] | None
    folder: str | Path | None
    language: Language
    verbose: bool
    closing: bool
    say: Callable[[str], None]
    around: Callable[[Study], AbstractContextManager[None]]
    noted: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every form of a sweep takes.

    Attributes:
        inputs: values for the slots of the prompts, ``{"article": "..."}``, or a list of such sets.
        similarity: how near an answer is: ``ratio`` (difflib without its heuristic), ``ratio_autojunk`` (with it),
            ``token_f1``, ``edit``, ``cosine``, ``judge``, ..., or a function of the answer and the wanted text.
        take: of several wanted answers the nearest (``max``) or the mean of all.
        embedding: for ``cosine``: an embedding model, or a word for one: ``lexical``, ``local:NAME``, ``URL#name``.
        judge: for ``judge``: a model.
        repeats: how often each pair is asked for each set of inputs; with ``search="halving"`` at most.
        failed: what a failed pair is to an engine, see :class:`~llm_optimize.sweep.proposing.SettingsSearch`.
        probe: whether to find out first which fields have an effect; or the names of fields declared to have none.
        improve_with: a chat model that improves the prompt while an engine tunes the settings.
        parallel: requests in flight.
        executor: where pairs are asked for and compared, as for :func:`llm_optimize.optimize.run`: the endpoint must
            be reachable from there, and one at 127.0.0.1 is each machine's own.
        seed: of everything random.
        budget: caps on pairs (``evaluations``), tokens, dollars and seconds.
        store: as for :func:`llm_optimize.optimize.run`.
        study: the name in the store, an existing one goes on; None for a new one.
        observers: called with each event after it is on disk.
        headers: further headers of each request.
        proxy: the URL of a proxy.
        timeout: seconds for one answer.
        attempts: how often a call that fails is made at most, with growing waits in between.
        prices: dollars per million tokens by model.
        folder: where the results are written; None for nowhere.
        language: of what is said, ``en`` or ``de``.
        verbose: say the forecast and each pair.
        closing: say the ranking and the last lines as well.
        say: how.
        around: called with the study; what it returns is open while the study runs.
        noted: JSON values that are kept in the log beside the sweep's own.
    """

    inputs: Any = None
    similarity: Any = "ratio"
    take: Literal["max", "mean"] = "max"
    embedding: Any = None
    judge: Any = None
    repeats: int = 1
    failed: Literal["penalised", "excluded"] = "penalised"
    probe: bool | Sequence[str] = True
    improve_with: Any = None
    parallel: int = 1
    executor: Any = None
    seed: int = 0
    budget: Budget | None = None
    store: Any = "auto"
    study: str | None = None
    observers: Sequence[Callable[..., None]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    proxy: str | None = None
    timeout: float = 60.0
    attempts: int = 3
    prices: Mapping[str, Sequence[float]] | None = None
    folder: str | Path | None = "results"
    language: Language = "en"
    verbose: bool = True
    closing: bool = True
    say: Callable[[str], None] = print
    around: Callable[[Study], AbstractContextManager[None]] = field(default=lambda _: nullcontext())
    noted: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("repeats", "parallel", "attempts"):
            check_whole(name, getattr(self, name), 1)
        words(self.language)
        if self.failed not in _FAILED:
            msg = f"failed is {self.failed!r}: give one of {', '.join(_FAILED)}"
            raise BadInput(msg)
        if self.study is not None and not self.study.strip():
            msg = "study is empty: give the study a name, or None for a new one"
            raise BadInput(msg)


def options_of(given: Mapping[str, Any], **defaults: Any) -> Options:  # noqa: ANN401 - values of any type
    """Return the options of keywords.

    Raises:
        BadInput: there is no such keyword, or a value cannot work.
    """
    known = {one.name for one in fields(Options)}
    unknown = sorted(given.keys() - known)
    if unknown:
        msg = f"{unknown[0]} is no option of a sweep: there are {', '.join(sorted(known))}"
        raise BadInput(msg)
    return Options(**{**defaults, **given})
