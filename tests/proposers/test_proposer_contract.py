"""The published contract, kept by our proposers with each layout, parent policy and engine; and broken by bad ones."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import pytest

from llm_optimize.core.types import Draft, Proposal
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.angles import DIVERSE_ANGLES
from llm_optimize.proposers.best_of_n import BestOfN
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.escalation import Escalation
from llm_optimize.proposers.mixing import Hybrid
from llm_optimize.proposers.novelty import Novelty
from llm_optimize.proposers.numeric import NumericProposer
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.crossover import Crossover
from llm_optimize.proposers.parents.features import Feature
from llm_optimize.proposers.parents.islands import Islands
from llm_optimize.proposers.parents.mixed import Mixed
from llm_optimize.proposers.parents.pareto_front import ParetoFront
from llm_optimize.proposers.parents.restart import Restart
from llm_optimize.proposers.parents.softmax import Softmax
from llm_optimize.proposers.parents.tournament import Tournament
from llm_optimize.proposers.portfolio import Portfolio
from llm_optimize.proposers.windows.diverse import Diverse
from llm_optimize.proposers.windows.recent import Recent
from llm_optimize.proposers.windows.top import Top
from llm_optimize.testing.proposer_contract import ProposerContract, answer

FEATURES = (Feature("length", 10, 100, log=True), Feature("size", 0, 13))


def chat(**settings):
    """Return a chat proposer whose model's answer depends on the whole request."""
    return ChatProposer(ScriptedModel(answer), **settings)


PROPOSERS = {
    "window": chat,
    "epochs": lambda: chat(layout="epochs"),
    "best": lambda: chat(parent=Best()),
    "softmax": lambda: chat(parent=Softmax(), allowance=2_000),
    "tournament": lambda: chat(parent=Tournament()),
    "front": lambda: chat(parent=ParetoFront()),
    "islands": lambda: chat(parent=Islands(migrate_every=7)),
    "grid": lambda: chat(parent=Islands(count=2, features=FEATURES)),
    "restart": lambda: chat(parent=Restart(Softmax(), after=3)),
    "crossover": lambda: chat(parent=Crossover(ParetoFront(), rate=0.7), allowance=3_000),
    "mixed": lambda: chat(parent=Mixed(((0.5, Islands()), (0.5, Tournament(1))))),
    "numeric": NumericProposer,
    "hybrid": lambda: Hybrid(chat(), NumericProposer()),
    "recent": lambda: chat(window=Recent()),
    "top": lambda: chat(window=Top(), allowance=2_000),
    "diverse": lambda: chat(window=Diverse(), allowance=4_000),
    "angles": lambda: chat(angles=DIVERSE_ANGLES),
    "escalation": lambda: chat(escalation=Escalation()),
    "portfolio": lambda: Portfolio({"chat": chat(), "numbers": NumericProposer()}),
    "best of n": lambda: BestOfN(ScriptedModel(answer)),
}


class TestOurs(ProposerContract):
    """Each of our own, everything in it built anew where the suite asks for a fresh one."""

    scale = (1_000,)

    @pytest.fixture(params=PROPOSERS.values(), ids=PROPOSERS.keys())
    def make(self, request):
        """Return what makes the proposer."""
        return request.param

    @pytest.fixture
    def proposer(self, make):
        """Return a proposer."""
        return make()

    @pytest.fixture
    def fresh(self, make):
        """Return its maker."""
        return make


class TestByTheProposerAlone(ProposerContract):
    """A dataclass needs no second fixture."""

    scale = (1_000,)

    @pytest.fixture
    def proposer(self):
        """Return the default."""
        return chat()


def test_ours_answer_for_a_study_of_100_000_trials():
    """The last of the contract's tests at full length, for all in one test: such a study is made once a process.

    So is the index of texts by which chat proposers tell twins: it follows from the history alone, and the longest part
    of the test was to build the same one for each of them.
    """
    suite, novelty = TestOurs(), Novelty()
    suite.scale = (100_000,)
    for make in PROPOSERS.values():
        proposer = make()
        if isinstance(proposer, ChatProposer) and proposer.novelty == novelty:
            proposer = replace(proposer, novelty=novelty)
        suite.test_a_long_study_is_answered_within_the_allowance(proposer)


@dataclass(frozen=True)
class Counts:
    """Keeps state: a number that goes up with each proposal."""

    calls: itertools.count = field(init=False, default_factory=itertools.count, compare=False)

    def propose(self, history, n):
        return Proposal((Draft(f"a = {next(self.calls)}.5", origin="counting"),))


@dataclass(frozen=True)
class Remembers:
    """Keeps a cache that does not notice another history: its answer is of the first one that it saw."""

    seen: list = field(init=False, default_factory=list, compare=False)

    def propose(self, history, n):
        self.seen.append(len(history.trials))
        return Proposal((Draft(f"a = {self.seen[0]}.5", origin="remembering"),))


@dataclass(frozen=True)
class Identity:
    """Draws from what another process does not have: the place of an object in memory."""

    def propose(self, history, n):
        return Proposal((Draft(f"a = {id(history.trials[0])}.5", origin="drawing"),))


@dataclass(frozen=True)
class Verbose:
    """Shows all of the past."""

    allowance: int = 500

    def propose(self, history, n):
        return Proposal((), note="nothing")

    def describe(self, history):
        @dataclass
        class Prompt:
            messages: tuple = ("all",)
            tokens: int = len(history.trials)

        return Prompt()


@dataclass(frozen=True)
class Repeats:
    """Proposes what has been tried."""

    def propose(self, history, n):
        return Proposal((Draft(history.trials[0].text, origin="repeating"),))


BROKEN = {
    "same": (Counts(), "test_the_same_question_gets_the_same_answer"),
    "before": (Remembers(), "test_what_it_was_asked_before_does_not_matter"),
    "resumed": (Identity(), "test_a_resumed_study_goes_on_as_if_it_had_not_stopped"),
    "long": (Verbose(), "test_a_long_study_is_answered_within_the_allowance"),
    "new": (Repeats(), "test_it_gives_at_most_what_was_asked_for_each_of_them_new"),
}


@pytest.mark.parametrize(("broken", "test"), BROKEN.values(), ids=BROKEN.keys())
def test_the_suite_notices_a_proposer_that_breaks_it(broken, test, tmp_path):
    """Each rule has a proposer that breaks it and fails."""
    wanted = {"proposer": broken, "fresh": type(broken), "tmp_path": tmp_path}
    suite = TestByTheProposerAlone()
    method = getattr(suite, test)
    names = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    with pytest.raises(AssertionError):
        method(**{name: wanted[name] for name in names})
