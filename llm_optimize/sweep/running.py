"""A sweep as a study: what is checked before the first call, the run, and what is kept of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.core.events import Opened
from llm_optimize.core.study import Study
from llm_optimize.core.types import Problem
from llm_optimize.errors import BadInput
from llm_optimize.llm.embedding import OpenAIEmbedding
from llm_optimize.llm.priced import Priced
from llm_optimize.optimize import conclude
from llm_optimize.parallel import as_executor, executing
from llm_optimize.retrieval.cached import CachedEmbedding
from llm_optimize.retrieval.lexical import LexicalEmbedding
from llm_optimize.retrieval.opening import open_embedding
from llm_optimize.stores.opening import default_path, open_store
from llm_optimize.sweep.comparing import inputs_of, measures_of, wanted_of
from llm_optimize.sweep.joining import joint_study
from llm_optimize.sweep.outcome import SweepResult
from llm_optimize.sweep.scoring import CallScorer
from llm_optimize.sweep.turns import Turns
from llm_optimize.sweep.watching import Lines, Rows
from llm_optimize.sweep.wording import words
from llm_optimize.targets.chat_call import check_slots
from llm_optimize.targets.fields import FIELDS
from llm_optimize.targets.probing import Finding, probe, probes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.protocols import ChatModel, EmbeddingModel, Executor, Store
    from llm_optimize.sweep.options import Options
    from llm_optimize.sweep.plan import Course, Plan
    from llm_optimize.sweep.space import Space
    from llm_optimize.targets.endpoint import Endpoint

__all__ = ["Sweep", "carry_out"]

_TASK = "Find the prompt and the settings of a chat request whose answer comes closest to the wanted one."
_VECTORS = "vectors.db"
_KILO, _MEGA = 1000, 1_000_000


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is to be run.

    Attributes:
        space: prompts and settings.
        plan: how to go through them.
        endpoint: whom to ask.
        wanted: what the user called and gave as the wanted answers.
        options: everything else.
    """

    space: Space
    plan: Plan
    endpoint: Endpoint
    wanted: tuple[str, object]
    options: Options


def carry_out(sweep: Sweep) -> SweepResult:
    """Check everything, say what it will cost, run it, and write the results.

    Raises:
        BadInput: a setting cannot work; nothing was asked.
        ModelError: the endpoint cannot be reached, refuses the key, or has no such model.
        StoreError: the log cannot be written.
    """
    ready = _Ready.of(sweep)
    ready.announce()
    rows = ready.rows()
    with executing(sweep.options.executor) as executor:
        study = ready.study(() if rows is None else (rows,), as_executor(executor, sweep.options.parallel))
        with sweep.options.around(study):
            ending = study.run()
        concluded = conclude(study, ending)
    result = SweepResult(
        concluded, sweep.endpoint.name, sweep.endpoint.base_url, ready.space.varied_settings,
        ready.inputs, ready.findings, sweep.options.language,
    )  # fmt: skip
    if rows is not None:
        files = ", ".join(map(str, [*result.save(rows.folder), rows.path]))
        ready.say(words(sweep.options.language).saved.format(files=files))
    if sweep.options.closing:
        ready.say(str(result))
    return result


@dataclass(frozen=True, slots=True)
class _Ready:
    """A sweep of which everything has been checked that can be without a call, and the fields probed."""

    sweep: Sweep
    space: Space
    model: ChatModel
    store: Store
    name: str
    inputs: tuple[Mapping[str, Any], ...]
    wanted: tuple[tuple[str, ...], ...]
    scorer: CallScorer
    course: Course
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, sweep: Sweep) -> _Ready:
        options = sweep.options
        inputs = inputs_of(options.inputs)
        wanted = wanted_of(*sweep.wanted, len(inputs))
        named = [(f"user_prompts[{i}]", one) for i, one in enumerate(sweep.space.prompts)]
        named += [(f"system_prompts[{i}]", one) for i, one in enumerate(sweep.space.system_prompts)]
        check_slots(named, inputs)
        measures = measures_of(
            options.similarity, wanted, embedding=_embedding(options), judge=options.judge, take=options.take
        )
        sweep.plan.course(sweep.space, options)
        store = open_store(options.store)
        model = sweep.endpoint.connect()
        _check_budget(model, options)
        llm.requests.resume()
        llm.preflight(model)
        name = _named(store, options.study)
        findings = _found(sweep, _kept(store, name))
        space = sweep.space.without([one.field for one in findings if not one.works])
        course = sweep.plan.course(space, options)
        repeats = 1 if course.noise is not None else options.repeats
        return cls(
            sweep, space, model, store, name, inputs, wanted, CallScorer(model, inputs, measures, repeats), course,
            findings,
        )  # fmt: skip

    @property
    def calls(self) -> int:
        """How many requests all pairs take."""
        return self.course.evaluations * len(self.inputs) * self.scorer.repeats

    def say(self, line: str) -> None:
        if self.sweep.options.verbose:
            self.sweep.options.say(line)

    def announce(self) -> None:
        said = words(self.sweep.options.language)
        for one in self.findings:
            if one.effect != "effect":
                text = said.unclear if one.works else said.no_effect
                self.say(text.format(field=one.field, why=one.why))
        tokens, dollars = self._estimate()
        price = said.price_unknown if dollars is None else said.price.format(dollars=dollars)
        name, pairs = self.sweep.endpoint.name, self.course.pairs
        self.say(said.forecast.format(pairs=pairs, calls=self.calls, model=name, tokens=_short(tokens), price=price))

    def _estimate(self) -> tuple[int, float | None]:
        """Return the tokens and dollars of all calls: as one call with the first prompt and each set of inputs."""
        priced = next((one for one in llm.layers(self.model) if isinstance(one, Priced)), None)
        if priced is None:
            return 0, None
        first = self.space.decode([domain.at(0.5) for domain in self.space.domains])
        each = [priced.estimate(first.request(one)) for one in self.inputs]
        share = self.calls / len(each)
        tokens = sum(priced.counter.count(text) for row in self.wanted for text in row[:1])
        total = sum(one.tokens_in for one in each) + tokens
        known = priced.price_known()
        cost = priced.cost(sum(each[1:], each[0]))
        return round(share * total), share * cost.dollars if known else None

    def rows(self) -> Rows | None:
        folder = self.sweep.options.folder
        if folder is None:
            return None
        rows = Rows(Path(folder))
        rows.begin(event for _, event in self.store.read(self.name))
        return rows

    def study(self, watchers: Sequence[Any], executor: Executor | None) -> Study:
        options, course = self.sweep.options, self.course
        lines = (Lines(words(options.language), options.say),) if options.verbose else ()
        parts: dict[str, Any] = {
            "store": self.store, "budget": options.budget, "parallel": options.parallel, "seed": options.seed,
            "observers": (*lines, *watchers, *options.observers),
            "settings": {**options.noted, "sweep": self.settings()},
            "noise": course.noise, "executor": executor,
        }  # fmt: skip
        if options.improve_with is not None:
            return joint_study(
                self.space, self.scorer, options.improve_with, course.pairs, self.wanted, self.name, parts
            )
        return Study(
            Problem(_TASK, self.question()), course.proposer, self.scorer, name=self.name, stop=course.stop,
            order=Turns(workers=options.parallel), **parts,
        )  # fmt: skip

    def question(self) -> str:
        """Say what is wanted and searched, so that a study of that name about something else is not gone on with."""
        named = [f"{name}: {one}" for name, one in self.space.settings.items()]
        texts = [self.space.prompts, self.space.system_prompts, list(map(dict, self.inputs)), self.wanted]
        digest = hashlib.sha256(json.dumps(texts, default=str).encode()).hexdigest()[:12]
        shown = "\n".join(row[0] for row in self.wanted)
        return f"Wanted:\n{shown}\n\nSettings: {'; '.join(named) or 'none'}\nTexts: {digest}"

    def settings(self) -> dict[str, Any]:
        """Return what the log keeps of the sweep beside its trials."""
        return {
            "wanted": list(self.wanted[0]) if len(self.wanted) == 1 else [row[0] for row in self.wanted],
            "inputs": [dict(one) for one in self.inputs],
            "model": self.sweep.endpoint.name,
            "base_url": self.sweep.endpoint.base_url,
            "dimensions": {name: one.shown() for name, one in self.space.settings.items()},
            "no_effect": [one.field for one in self.findings if not one.works],
            "findings": [{"field": one.field, "effect": one.effect, "why": one.why} for one in self.findings],
            "search": self.sweep.plan.search,
            "repeats": self.sweep.options.repeats,
            "calls": self.calls,
        }


def _embedding(options: Options) -> EmbeddingModel | None:
    """Return the model for the cosine, its vectors kept beside the studies unless they cost nothing to make."""
    if options.similarity != "cosine":
        return None
    model = open_embedding("lexical" if options.embedding is None else options.embedding, OpenAIEmbedding)
    return model if isinstance(model, LexicalEmbedding) else CachedEmbedding(model, default_path().parent / _VECTORS)


def _found(sweep: Sweep, kept: Mapping[str, Any] | None) -> tuple[Finding, ...]:
    """Return what is known of the fields: from the log, declared, or by a probe."""
    if kept is not None:
        return tuple(Finding(**one) for one in kept.get("findings", ()))
    wanted, fields = sweep.options.probe, sweep.space.settings
    if not isinstance(wanted, bool):
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        unknown = next((one for one in names if one not in fields), None)
        if unknown is not None:
            msg = f"probe: {unknown} is no setting of this sweep: there are {', '.join(fields) or 'none'}"
            raise BadInput(msg)
        return tuple(Finding(one, "ignored", "declared to have none") for one in names)
    chat = sweep.endpoint.chat()
    if not wanted or chat is None or not fields:
        return ()
    ends = {name: one.ends for name, one in fields.items() if name in FIELDS or one.count != 1}
    if sweep.options.verbose:
        sweep.options.say(words(sweep.options.language).probing.format(calls=probes(len(ends))))
    return tuple(probe(chat, ends))


def _kept(store: Store, name: str) -> Mapping[str, Any] | None:
    """Return what the log of an earlier session says of the sweep, None for a new study."""
    first = next((event for _, event in store.read(name) if isinstance(event, Opened)), None)
    found = None if first is None else first.settings.get("sweep")
    if first is not None and not isinstance(found, dict):
        msg = f"study {name!r} is no sweep: give another name"
        raise BadInput(msg)
    return found


def _named(store: Store, study: str | None) -> str:
    known = set(store.studies())
    return study or next(name for i in range(1, len(known) + 2) if (name := f"sweep-{i}") not in known)


def _check_budget(model: ChatModel, options: Options) -> None:
    if options.budget is None or options.budget.dollars is None:
        return
    for layer in llm.layers(model):
        if isinstance(layer, Priced):
            layer.check_price()


def _short(tokens: int) -> str:
    if tokens >= _MEGA:
        return f"{tokens / _MEGA:.3g}M"
    return f"{tokens / _KILO:.3g}k" if tokens >= _KILO else str(tokens)
