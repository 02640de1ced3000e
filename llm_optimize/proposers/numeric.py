"""Tunes the numbers in the best text so far; asks no model."""

from __future__ import annotations

import itertools
import math
import random
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llm_optimize.core.types import Draft, Proposal
from llm_optimize.proposers.constraints import as_constraints, first_objection
from llm_optimize.proposers.engines import check_engine, choose_engine, suggest
from llm_optimize.proposers.structures import NUMERIC, Group, StructureIndex
from llm_optimize.text.domains import Choice, Integer, Tune, parse_tune
from llm_optimize.text.tunables import describe, rewrite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.text.domains import Domain, Value
    from llm_optimize.text.tunables import Hole

__all__ = ["NumericProposer"]

_ATTEMPTS = 2
_FAILED = 0.1  # how far below the worst score a failure counts, as a share of the range of scores
_RANDOM_ATTEMPTS = 64
_LISTABLE = 20_000  # a space with at most that many combinations is searched to the last one
_NOTHING = "nothing to tune: no evaluated candidate has a number marked; add '# tune: name=low..high' or pass tune="
_EXHAUSTED = "every combination of the tunable values was tried"


@dataclass(frozen=True, slots=True)
class NumericProposer:
    """Proposes new values for the numbers and options that may be tuned in the best text so far.

    All trials that differ from that text in tunable values only are the engine's data. A failure counts as somewhat
    worse than the worst score seen (by a tenth of the range of scores), so the engine turns away from it. Values
    under evaluation are kept away from, and no text is proposed that the study knows. The first values that a new
    structure is given are those of the best text, where names and kinds are the same (origin ``numeric:inherited``).

    Attributes:
        tune: what may be tuned besides what comments mark; see :func:`~llm_optimize.text.domains.parse_tune`.
        engine: one of :data:`~llm_optimize.proposers.engines.ENGINES`.
        constraints: what a text must be like to be worth an evaluation; values that make another are passed over. See
            :mod:`llm_optimize.proposers.constraints`.

    Raises:
        BadInput: ``tune``, ``engine`` or a constraint cannot work, or a package that the engine needs is missing.

    Example:
        >>> from llm_optimize.text.domains import Box
        >>> proposer = NumericProposer(tune=Box(-10, 10))
    """

    tune: object = None
    engine: str = "auto"
    constraints: Sequence[Any] = ()
    _index: StructureIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check both settings now, before anything is spent."""
        check_engine(self.engine)
        tune: Tune = parse_tune(self.tune)
        object.__setattr__(self, "tune", tune)
        object.__setattr__(self, "constraints", as_constraints(self.constraints))
        object.__setattr__(self, "_index", StructureIndex(tune))

    @property
    def structures(self) -> StructureIndex:
        """The trials of a history sorted by structure, for mixing with other proposers."""
        return self._index

    def propose(self, history: History, n: int) -> Proposal:
        """Return up to ``n`` drafts with other values in the text of the best trial that has any to tune."""
        group = self._index.best(history)
        return Proposal((), note=_NOTHING) if group is None else self.refine(history, group, n)

    def refine(self, history: History, group: Group, n: int) -> Proposal:
        """Return up to ``n`` drafts with other values in the texts of one structure."""
        data = _Data.of(group)
        engine = choose_engine(self.engine, data.domains, len(group.told))
        drafts: list[Draft] = []
        for i in range(n):
            attempt = _Attempt(history, group, tuple(draft.text for draft in drafts), self._index, self.constraints)
            inherited = self._inherited(attempt) if not (i or group.tuned_count) else iter(())
            invented = _new(attempt, engine, data, (abs(history.seed), history.slot, i))
            found = next(itertools.chain(inherited, invented), None)
            if found is None:
                break
            name, values = found
            data = data.without(values)
            text = rewrite(group.base.text, group.holes, values)
            drafts.append(Draft(text, describe(group.holes, values), f"{NUMERIC}{name}", group.base.id))
        return Proposal(tuple(drafts), note="" if drafts else _EXHAUSTED)

    def _inherited(self, attempt: _Attempt) -> Iterator[tuple[str, tuple[Value, ...]]]:
        """Yield the values of the same names in the best text, where that is of another structure.

        A model that writes a new structure seldom knows what its predecessors' numbers were tuned to.
        """
        best, holes = self._index.best(attempt.history), attempt.group.holes
        if best is None or best.key == attempt.group.key or best.base.score is None:
            return
        tuned = {hole.name: hole for hole in best.holes}
        values = tuple(_taken_over(hole, tuned.get(hole.name)) for hole in holes)
        if values != tuple(hole.current for hole in holes) and attempt.accepts(values):
            yield "inherited", values


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Judges whether values make a text that is new, and still of the structure that it was made for."""

    history: History
    group: Group
    drafted: tuple[str, ...]
    index: StructureIndex
    constraints: Sequence[Any] = ()

    def accepts(self, values: Sequence[Value]) -> bool:
        text = rewrite(self.group.base.text, self.group.holes, values)
        if text in self.drafted or self.history.seen(text) is not None:
            return False
        if first_objection(self.constraints, text, self.history.problem.start) is not None:
            return False
        # Two assignments of one name that become equal would be one tunable from then on: another structure.
        return self.index.matches(self.group.key, text)


@dataclass(frozen=True, slots=True)
class _Data:
    """What an engine is given: domains, (values, score), and values to keep away from."""

    domains: tuple[Domain, ...]
    told: tuple[tuple[tuple[Value, ...], float], ...]
    avoided: tuple[tuple[Value, ...], ...]

    @classmethod
    def of(cls, group: Group) -> _Data:
        domains = tuple(hole.domain for hole in group.holes)
        scores = [score for _, score in group.told if score is not None]
        if not scores:
            return cls(domains, (), (*(values for values, _ in group.told), *group.pending))
        worst, best = float(min(scores)), float(max(scores))
        failed = max(worst - _FAILED * ((best - worst) or 1.0), -sys.float_info.max)
        told = ((values, failed if score is None else float(score)) for values, score in group.told)
        return cls(domains, tuple(told), group.pending)

    def without(self, values: tuple[Value, ...]) -> _Data:
        return replace(self, avoided=(*self.avoided, values))


def _taken_over(hole: Hole, tuned: Hole | None) -> Value:
    if tuned is None or type(tuned.domain) is not type(hole.domain):
        return hole.current
    if isinstance(hole.domain, Choice) and tuned.current not in hole.domain.options:
        return hole.current
    return hole.domain.clip(tuned.current)


def _new(attempt: _Attempt, engine: str, data: _Data, seed: tuple[int, ...]) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """Yield (engine, values) that make a new text: by the engine, at random, and by going through all there are."""
    by_engine = [engine] * _ATTEMPTS + ["random"] * _RANDOM_ATTEMPTS
    for retry, name in enumerate(by_engine):
        values = suggest(name, data.domains, data.told, data.avoided, (*seed, retry))
        if attempt.accepts(values):
            yield name, values
    yield from (("random", values) for values in _every(data.domains, seed) if attempt.accepts(values))


def _every(domains: Sequence[Domain], seed: tuple[int, ...]) -> Iterator[tuple[Value, ...]]:
    """Yield all combinations in a random order; none when there are too many to go through."""
    if math.prod(domain.size for domain in domains) > _LISTABLE:
        return
    rng = random.Random(repr(seed))  # noqa: S311 - a search, not a secret
    columns = [list(_levels(domain)) for domain in domains]
    for column in columns:
        rng.shuffle(column)
    yield from itertools.product(*columns)


def _levels(domain: Domain) -> Sequence[Value]:
    if isinstance(domain, Choice):
        return domain.options
    return range(domain.low, domain.high + 1) if isinstance(domain, Integer) else ()
