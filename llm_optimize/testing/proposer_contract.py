"""What every proposer must do; inherit the class, give it a proposer, and pytest runs the suite.

Example::

    class TestMine(ProposerContract):
        @pytest.fixture
        def proposer(self):
            return MyProposer(ScriptedModel(answer))

:func:`answer` is a model's reply that depends on the whole request, so that equal drafts prove equal prompts. A
proposer that is no dataclass also gives the fixture ``fresh``, a function that makes an equal proposer which has
seen nothing; for a dataclass it is made by :func:`dataclasses.replace`, which is not enough where a policy in it keeps
an index: then give ``fresh`` too, and build everything anew there. A proposer with an allowance of tokens has the
attribute ``allowance`` and a method ``describe(history)`` that returns the prompt with its ``messages`` and ``tokens``.

Not in the suite: time. ``tests/benchmarks/bench_policies.py`` prints what a prompt costs at 1,000 and 100,000 trials.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import pytest

from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem, Proposal, Usage
from llm_optimize.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from llm_optimize.core.chat import Request
    from llm_optimize.core.events import Event
    from llm_optimize.core.protocols import Proposer
    from llm_optimize.core.types import Draft, Outcome

__all__ = ["START", "ProposerContract", "answer", "sample_study"]

START = "a = 2.0  # tune: a=0..10"
"""The start of the studies in the suite."""

_LENGTHS = (1, 2, 5, 16, 23, 37)  # of a study when it is resumed: before, at and behind the ends of epochs of 16
_TOGETHER = 50  # candidates of one proposal in a long study


def answer(request: Request) -> str:
    """Return a reply in the form that full texts have, with a number that any change of the messages changes."""
    asked = "\n".join(f"{message.role}: {message.content}" for message in request.messages)
    number = int.from_bytes(hashlib.sha256(asked.encode()).digest()[:6], "big") / 2**48 * 10
    return f"Another number.\n```\n{START.replace('2.0', f'{number:.12f}')}\n```"


def sample_study(trials: int, seed: int = 3) -> list[Event]:
    """Return the log of a study with so many trials: scores, failures, re-tests, guidance, parents, two in flight.

    Args:
        trials: told ones, at least 1.
        seed: of the study and of what happens in it.

    Each candidate is :data:`START` with another number; its score falls with the distance from 5, as do the scores on
    four examples.
    """
    draw = random.Random(seed)  # noqa: S311 - made-up data
    events: list[Event] = [Opened(Problem("Make it better.", "What is better?", START), seed=seed)]
    for first in range(0, trials, _TOGETHER):
        last = min(first + _TOGETHER, trials)
        events.append(Proposed(tuple(_candidate(n, draw) for n in range(first, last)), slot=first // _TOGETHER))
        for number in range(first, last):
            events += _told(number, draw)
    return [*events, Proposed((_candidate(trials, draw), _candidate(trials + 1, draw)), slot=trials // _TOGETHER + 1)]


def _candidate(number: int, draw: random.Random) -> Candidate:
    if not number:
        return Candidate(0, START, origin="start")
    text = START.replace("2.0", f"{number % 997 / 99.7:.3f}{number:06d}")
    return Candidate(number, text, f"idea {number}", "chat:model", draw.randrange(max(0, number - 60), number))


def _told(number: int, draw: random.Random) -> list[Event]:
    events: list[Event] = [Told(number, _outcome(number, draw), seconds=0.1)]
    if number % 40 == 8:  # noqa: PLR2004 - now and then
        events.append(Retold(number, Evaluation(draw.gauss(0, 1)), serial=number // 40))
    if number == 20:  # noqa: PLR2004 - once
        events.append(Guided("Keep the comment."))
    if number == 30:  # noqa: PLR2004 - once
        events.append(Guided("too long", act="reject", candidate_id=22))
    return events


def _outcome(number: int, draw: random.Random) -> Outcome:
    if number % 7 == 3 or draw.random() < 0.1:  # noqa: PLR2004 - some of them
        return Failure("raised", f"ValueError: number {number}")
    examples = tuple(-abs(number % 997 / 99.7 - 5) + draw.gauss(0, 1) for _ in range(4))
    metrics = {"size": float(number % 13)}
    return Evaluation(sum(examples) / 4, f"feedback {number}", metrics, examples)


def _folded(events: Iterable[Event]) -> History:
    history = History.empty()
    for event in events:
        history = history.after(event)
    return history


@lru_cache(2)
def _long_study(trials: int) -> History:
    return _folded(sample_study(trials))


def _values(history: History) -> tuple[object, ...]:
    told = (list(history.trials), history.pending, history.next_id, history.guidance, history.retests)
    return *told, history.usage, history.best, history.top(20), history.stale, history.seed, history.slot


def _answers(proposer: Proposer, history: History, n: int = 2) -> tuple[Sequence[Draft], str]:
    proposal = proposer.propose(history, n)
    return proposal.drafts, proposal.note


class ProposerContract:
    """The suite. The proposer must be able to answer for numbers in the text ``a = 2.0  # tune: a=0..10``.

    Attributes:
        start: the text.
        scale: numbers of trials at which it is asked in long studies; making one of 100,000 takes seconds, once.
    """

    start = START
    scale: ClassVar[Sequence[int]] = (1_000, 100_000)

    @pytest.fixture
    def proposer(self) -> Proposer:
        """Return the proposer under test; a subclass overrides this. A model in it must give equal answers."""
        msg = "override the fixture `proposer`"
        raise NotImplementedError(msg)

    @pytest.fixture
    def fresh(self, proposer: Proposer) -> Callable[[], Proposer]:
        """Return a function that makes an equal proposer which has seen nothing."""
        if not dataclasses.is_dataclass(proposer) or isinstance(proposer, type):
            msg = "the proposer is no dataclass: override the fixture `fresh` too"
            raise NotImplementedError(msg)
        known = proposer

        def make() -> Proposer:
            return dataclasses.replace(known)

        return make

    def past(self) -> History:
        """Return a history with a scored start, a failure, a better one, and one that is still pending."""
        history = History.empty().after(Opened(Problem("Make it better.", "What is better?", self.start), seed=3))
        outcomes = (Evaluation(1.0, "poor"), Failure("raised", "ValueError: no"), Evaluation(2.0, "fair"), None)
        for i, outcome in enumerate(outcomes):
            candidate = Candidate(i, self.start.replace("2.0", f"{i + 2}.0"), origin="" if i else "start")
            history = history.after(Proposed((candidate,), slot=i - 1))
            history = history.after(Told(i, outcome)) if outcome else history
        return history.assuming(0, slot=3)

    def test_it_gives_at_most_what_was_asked_for_each_of_them_new(self, proposer: Proposer) -> None:
        """Up to n drafts, none empty, none equal to a candidate that the history knows, none twice."""
        history = self.past()
        proposal = proposer.propose(history, 2)
        assert isinstance(proposal, Proposal)
        _check_new(proposal, history, 2)

    def test_no_drafts_come_with_a_note(self, proposer: Proposer) -> None:
        """A proposal without drafts says why."""
        proposal = proposer.propose(self.past(), 1)
        assert proposal.drafts or proposal.note

    def test_it_says_what_it_cost_and_who_it_was(self, proposer: Proposer) -> None:
        """Usage is given, and each draft names its origin."""
        proposal = proposer.propose(self.past(), 1)
        assert isinstance(proposal.usage, Usage)
        assert all(draft.origin for draft in proposal.drafts)

    def test_it_leaves_the_history_as_it_was(self, proposer: Proposer) -> None:
        """A history is a value: asking changes nothing in it."""
        history = _folded(sample_study(40))
        before = _values(history)
        proposer.propose(history, 1)
        assert _values(history) == before == _values(_folded(sample_study(40)))

    def test_the_same_question_gets_the_same_answer(self, proposer: Proposer, fresh: Callable[[], Proposer]) -> None:
        """Equal history, seed and slot: equal drafts and note, from the same object and from a fresh one."""
        history = _folded(sample_study(30))
        for slot in (4, 5):
            first = _answers(proposer, history.assuming(0, slot))
            assert _answers(proposer, history.assuming(0, slot)) == first
            assert _answers(fresh(), history.assuming(0, slot)) == first

    def test_what_it_was_asked_before_does_not_matter(self, proposer: Proposer, fresh: Callable[[], Proposer]) -> None:
        """One that followed the study, saw another one, and is asked for an older state, keeps nothing of it."""
        studies = {seed: [_folded(sample_study(length, seed)) for length in _LENGTHS] for seed in (3, 4)}
        grown = _grown(sample_study(_LENGTHS[-1]))
        for history in (*grown[::9], studies[4][-1], studies[3][2], grown[-1], grown[len(grown) // 2]):
            asked = history.assuming(0, 11)
            assert _answers(proposer, asked) == _answers(fresh(), asked)

    def test_a_resumed_study_goes_on_as_if_it_had_not_stopped(
        self, proposer: Proposer, fresh: Callable[[], Proposer], tmp_path: Path
    ) -> None:
        """A fresh proposer, given the log read back from disk, proposes what the one that followed would have."""
        for length in _LENGTHS:
            events = sample_study(length)
            with SQLiteStore(tmp_path / f"{length}.db") as store:
                for event in events:
                    store.append("study", event)
            with SQLiteStore(tmp_path / f"{length}.db") as store:
                resumed = _folded(event for _, event in store.read("study"))
            assert _answers(proposer, _folded(events).assuming(0, 7)) == _answers(fresh(), resumed.assuming(0, 7))

    def test_a_long_study_is_answered_within_the_allowance(self, proposer: Proposer) -> None:
        """At 1,000 and at 100,000 trials drafts are new, and a prompt takes up no more than its allowance."""
        for trials in self.scale:
            history = _long_study(trials)
            proposal = proposer.propose(history, 1)
            _check_new(proposal, history, 1)
            assert proposal.drafts or proposal.note
            describe, allowance = getattr(proposer, "describe", None), getattr(proposer, "allowance", None)
            if describe is not None and allowance is not None:
                prompt = describe(history)
                assert prompt.messages
                assert prompt.tokens <= allowance


def _grown(events: Sequence[Event]) -> list[History]:
    """Return all states of one study, which share what they have in common."""
    histories = [History.empty()]
    for event in events:
        histories.append(histories[-1].after(event))
    return [history for history in histories if history.trials]


def _check_new(proposal: Proposal, history: History, n: int) -> None:
    texts = [draft.text.strip() for draft in proposal.drafts]
    assert len(texts) <= n
    assert all(texts)
    assert len(set(texts)) == len(texts)
    assert all(history.seen(text) is None for text in texts)
