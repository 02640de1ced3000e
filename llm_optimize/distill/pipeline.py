"""From files of questions to pairs of prompts: hard items, rewrites, scores, rounds of feedback, the best of each.

The folder holds one file for each stage, and a run that is begun again in it goes on where it was. ``run.json`` says
what the folder was begun with; another beginning needs another folder.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.core.checks import check_whole
from llm_optimize.core.linefiles import as_line, read_lines, write_whole
from llm_optimize.distill.asking import Attempt
from llm_optimize.distill.choosing import best_of, hard
from llm_optimize.distill.comparing import compared
from llm_optimize.distill.files import Folder
from llm_optimize.distill.forecast import Forecast, check_prices, forecast
from llm_optimize.distill.items import Item, distinct
from llm_optimize.distill.records import Best
from llm_optimize.distill.report import Counts, Report, first_words
from llm_optimize.distill.settings import Caps, Settings
from llm_optimize.distill.spending import Purse
from llm_optimize.distill.stages import Case, Models, Stages
from llm_optimize.errors import BadInput, BudgetExceeded
from llm_optimize.scorers.parting import parted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from llm_optimize.distill.records import Answers

__all__ = ["BEST", "Pipeline", "Result", "read_best"]

BEST = "best.jsonl"
"""The file with one line for each hard item."""

_FORMAT = "llm_optimize distill"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Result:
    """What a run has come to; prints as its report.

    Attributes:
        bests: one for each hard item, in the order of the items.
        report: the figures.
        folder: where everything is.
    """

    bests: tuple[Best, ...]
    report: Report
    folder: Path

    @property
    def is_done(self) -> bool:
        """Whether the run came to its end; else a cap was reached, and the same call with a higher one goes on."""
        return not self.report.reason

    def __str__(self) -> str:
        """Return the report."""
        return str(self.report)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A run: what it is about, who is asked, where it is kept.

    Attributes:
        items: to be asked better; those that ask the same as an earlier one are left out.
        folder: where its files are; made when it is not there.
        model: answers the prompts; as for :func:`llm_optimize.llm.connect`.
        rewriter: rewrites them; None for the same.
        settings: see :class:`~llm_optimize.distill.settings.Settings`.
        caps: see :class:`~llm_optimize.distill.settings.Caps`.
        parallel: how many items are worked on at the same time.
        say: is told what the run may cost before it begins, and what each stage has come to; None for nobody.

    Raises:
        BadInput: there are no items, or ``parallel`` is below 1.
    """

    items: Sequence[Item]
    folder: str | os.PathLike[str]
    model: Any = None
    rewriter: Any = None
    settings: Settings = field(default_factory=Settings)
    caps: Caps = field(default_factory=Caps)
    parallel: int = 4
    say: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        check_whole("parallel", self.parallel, 1)
        items = tuple(self.items)
        if not items or not all(isinstance(one, Item) for one in items):
            msg = "items: give at least one Item, such as read_items('mmlu', 'questions.csv') returns"
            raise BadInput(msg)
        object.__setattr__(self, "items", items)

    def models(self) -> Models:
        """Return the connected models.

        Raises:
            BadInput: one is nothing that can be asked.
        """
        # No cache in memory: what it answers before a kill would be paid for after it.
        target = llm.connect(self.model, role="target", cache=False)
        same = self.rewriter is None
        return Models(target, llm.connect(self.model if same else self.rewriter, role="rewriter", cache=False))

    def forecast(self) -> Forecast:
        """Return what a run from the beginning may cost at most; asks nobody."""
        return forecast(distinct(self.items)[0], self.models(), self.settings)

    def run(self) -> Result:
        """Do what is left to do.

        Returns:
            The result; where a cap was reached, that of what is there, with the reason in its report.

        Raises:
            BadInput: the folder was begun with something else, or the endpoint cannot work.
            ModelError: a model did not answer; what was paid for is in the folder, and the same call goes on.
            StudyOwned: another process works in the folder.
            StoreError: a file is damaged or cannot be written.
        """
        items, dropped = distinct(self.items)
        models = self.models()
        if self.caps.dollars is not None:
            check_prices(items, models)
        with Folder(self.folder) as folder:
            born = _begin(folder.path, items, models, self.settings)
            purse = Purse(self.caps, folder.replies(), born)
            stages = Stages(models, folder, purse, self.settings, self.parallel)
            self.tell(f"forecast: {forecast(items, models, self.settings)}; spent so far: ${purse.spent().dollars:.4f}")
            result = _Run(self, items, dropped, models, stages, purse, folder.path).result()
            self.tell(result.report.spending)
        return result

    def tell(self, text: str) -> None:
        """Pass a line on to ``say``."""
        if self.say is not None:
            self.say(text)


@dataclass(slots=True)
class _Run:
    """One session."""

    of: Pipeline
    items: tuple[Item, ...]
    dropped: int
    models: Models
    stages: Stages
    purse: Purse
    path: Path

    def result(self) -> Result:
        reason = ""
        comparison = None
        try:
            picked = self._pick()
            self._rounds(picked)
            bests = self._choose(picked)
            comparison = self._compare(bests)
        except BudgetExceeded as error:
            reason = str(error)
            bests = self._choose(self._hard())
        write_whole(self.path / BEST, (as_line(one.record()) for one in bests))
        report = self._report(bests)
        report = replace(report, comparison=comparison, reason=reason)
        write_whole(self.path / "report.json", [json.dumps(report.fields(), indent=2).encode() + b"\n"])
        return Result(tuple(bests), report, self.path)

    def _pick(self) -> tuple[Item, ...]:
        if self.of.settings.estimate_length:
            self.stages.estimate_lengths(self.items)
        self.stages.sample(self.items)
        picked = self._hard()
        rest = forecast(picked, self.models, self.of.settings, sampled=1)
        self.of.tell(f"hard: {len(picked)} of {len(self.items)} items; still to come: {rest}")
        return picked

    def _hard(self) -> tuple[Item, ...]:
        return hard(self.items, self._sampled(), self.of.settings.wrong)

    def _sampled(self) -> dict[str, Answers]:
        return {name: answers for (name, _), answers in self.stages.answer("samples", ()).items()}

    def _rounds(self, picked: Sequence[Item]) -> None:
        for number in range(1, self.of.settings.rounds + 1):
            known = self._attempts(picked, number)
            enough = math.inf if self.of.settings.enough is None else self.of.settings.enough
            waiting = [item for item in picked if all(one.score < enough for one in known[item.id][1:])]
            self.of.tell(f"round {number} of {self.of.settings.rounds}: {len(waiting)} items")
            self.stages.rewrite(number, waiting, known)
            self.stages.answer("scores", self._unscored(waiting, number))

    def _unscored(self, items: Iterable[Item], round_: int) -> list[Case]:
        return [
            Case(item, one.version, one.prompt)
            for item in items
            for one in self.stages.rewrites(item)
            if one.round == round_ and one.status == "new"
        ]

    def _attempts(self, picked: Sequence[Item], round_: int) -> dict[str, list[Attempt]]:
        """Return by item the original, then what was scored before the round; a resumed session sees no more."""
        sampled, scored = self._sampled(), self.stages.answer("scores", ())
        found: dict[str, list[Attempt]] = {}
        for item in picked:
            own = sampled[item.id]
            found[item.id] = [Attempt(item.prompt, own.score or 0.0, own.texts)]
            for one in self.stages.rewrites(item):
                answers = scored.get((item.id, one.version))
                if one.round < round_ and answers is not None and answers.score is not None:
                    found[item.id].append(Attempt(one.prompt, answers.score, answers.texts))
        return found

    def _choose(self, picked: Sequence[Item]) -> list[Best]:
        sampled, scored = self._sampled(), self.stages.answer("scores", ())
        by_item: dict[str, dict[str, Answers]] = {}
        for (name, version), answers in scored.items():
            by_item.setdefault(name, {})[version] = answers
        margin = self.of.settings.margin
        bests = [
            best_of(item, sampled[item.id], self.stages.rewrites(item), by_item.get(item.id, {}), margin)
            for item in picked
        ]
        texts = [(one.id, [prompt for prompt, _ in one.versions]) for one in bests]
        parts = parted(texts, self.of.settings.validation, self.of.settings.seed)
        return [replace(one, part=parts[one.id]) for one in bests]

    def _compare(self, bests: Sequence[Best]) -> Any:  # noqa: ANN401 - a Comparison or None
        items = {item.id: item for item in self.items}
        held = [one for one in bests if one.part == "validation"]
        cases = [Case(items[one.id], "original", one.original) for one in held]
        cases += [Case(items[one.id], "improved", one.improved) for one in held if one.is_improved]
        found = self.stages.answer("comparison", cases)
        pairs = []
        for one in held:
            before = found[one.id, "original"].score
            after = found[one.id, "improved"].score if one.is_improved else None
            if before is not None and (after is not None or not one.is_improved):
                pairs.append((before, after))
        return compared(pairs, self.of.settings.seed)

    def _report(self, bests: Sequence[Best]) -> Report:
        answers = [*self.stages.answer("samples", ()).values(), *self.stages.answer("scores", ()).values()]
        rewrites = [one for item in self.items for one in self.stages.rewrites(item)]
        counts = Counts.of((len(self.items), self.dropped), answers, rewrites, bests)
        before = first_words(one.original for one in bests)
        after = first_words(one.improved for one in bests if one.is_improved)
        return Report(counts, self.of.settings, self.purse.by_stage(), before, after)


def read_best(folder: str | os.PathLike[str]) -> tuple[Best, ...]:
    """Return what a run's folder holds.

    Raises:
        BadInput: it is no such folder, or the run has not come so far.
        StoreError: the file is damaged.
    """
    path = Path(folder).expanduser()
    if not (path / "run.json").exists():
        msg = f"{path}: is no folder of a distill run; give the one that `llm-optimize distill --folder` was given"
        raise BadInput(msg)
    if not (path / BEST).exists():
        msg = f"{path}: the run has chosen nothing yet; run the same `llm-optimize distill` again to go on"
        raise BadInput(msg)
    records, _ = read_lines(path / BEST)
    return tuple(map(Best.of, records))


def _begin(path: Path, items: Sequence[Item], models: Models, settings: Settings) -> float:
    """Write what the folder is begun with, or compare it; return when it was begun, in seconds since the epoch.

    Raises:
        BadInput: it was begun with something else.
    """
    wanted = {
        "format": _FORMAT,
        "version": _VERSION,
        "settings": settings.recorded(),
        "model": llm.model_name(models.target),
        "rewriter": llm.model_name(models.rewriter),
        "items": {item.id: item.digest for item in items},
    }
    file = path / "run.json"
    with contextlib.suppress(FileNotFoundError):
        return _same(file, json.loads(json.dumps(wanted)))
    born = time.time()
    write_whole(file, [json.dumps({**wanted, "born": born}, indent=2).encode() + b"\n"])
    return born


def _same(file: Path, wanted: dict[str, Any]) -> float:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        born = float(held["born"])
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{file}: cannot be read ({error}): give another folder"
        raise BadInput(msg) from None
    changed = [name for name in wanted if held.get(name) != wanted[name] and name != "settings"]
    before, now = held.get("settings", {}), wanted["settings"]
    changed += [f"{name} ({before.get(name)!r}, not {now[name]!r})" for name in now if before.get(name) != now[name]]
    if changed:
        msg = f"folder: {file.parent} was begun with other {', '.join(changed)}: give another folder, or the same again"
        raise BadInput(msg)
    return born
