"""What every proposer must do; inherit the class, give it a proposer, and pytest runs the suite.

Example::

    class TestMine(ProposerContract):
        @pytest.fixture
        def proposer(self):
            return MyProposer()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem, Proposal, Usage

if TYPE_CHECKING:
    from llm_optimize.core.protocols import Proposer

__all__ = ["ProposerContract"]


class ProposerContract:
    """The suite. The proposer must be able to answer for numbers in the text ``a = 2.0  # tune: a=0..10``."""

    start = "a = 2.0  # tune: a=0..10"

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
        assert len(proposal.drafts) <= 2  # noqa: PLR2004 - two were asked for
        texts = [draft.text.strip() for draft in proposal.drafts]
        assert all(texts)
        assert len(set(texts)) == len(texts)
        assert all(history.seen(text) is None for text in texts)

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
        history = self.past()
        before = (history.next_id, len(history.trials), history.pending, history.best)
        proposer.propose(history, 1)
        assert before == (history.next_id, len(history.trials), history.pending, history.best)
