"""The account: cost by role and model, through the log and back."""

from __future__ import annotations

import pickle

from llm_optimize.core.account import Account
from llm_optimize.core.events import Opened, Proposed, Told, dump, load
from llm_optimize.core.history import History
from llm_optimize.core.metering import Scope
from llm_optimize.core.types import Candidate, Evaluation, Problem, ToolUse, Usage

ONE = Usage(1, 10, 0, 5, 0.01)


def test_rows_add_up_by_role_and_by_model():
    """The same costs are summed by role, by model and in all."""
    account = Account.of("proposer", "a", ONE) + Account.of("judge", "a", ONE) + Account.of("judge", "b", ONE)
    assert {role: usage.calls for role, usage in account.by_role().items()} == {"proposer": 1, "judge": 2}
    assert {model: usage.calls for model, usage in account.by_model().items()} == {"a": 2, "b": 1}
    assert account.total.calls == 3
    assert pickle.loads(pickle.dumps(account)) == account


def test_a_scope_books_a_call_to_its_own_role_unless_the_model_has_another():
    """In an evaluation a call is the scorer's, that of a model with a role is the role's."""
    scope = Scope("study", "evaluation/3")
    scope.add(ONE, "a")
    scope.add(ONE, "a", "judge")
    assert list(scope.account.rows) == [("scorer", "a"), ("judge", "a")]
    assert scope.usage == ONE + ONE


def test_the_log_keeps_the_account_and_the_tools():
    """What is dumped and loaded leads to the same history, account and all."""
    use = ToolUse("profile", "{}", "3 columns", ok=True, seconds=0.5)
    events = [
        Opened(Problem("task"), at=1.0),
        Proposed((Candidate(0, "x"),), ONE, 0, account=Account.of("proposer", "a", ONE), tools=(use,)),
        Told(0, Evaluation(1.0, usage=ONE), account=Account.of("judge", "b", ONE)),
    ]
    history = History.empty()
    for event in events:
        again = load(*dump(event))
        assert again == event
        history = history.after(again)
    assert history.account.total == history.usage
    assert list(history.account.rows) == [("proposer", "a"), ("judge", "b")]


def test_what_only_the_scorer_reports_belongs_to_the_scorer():
    """A usage without an account, as older logs and other processes give it, is the scorer's of an unknown model."""
    history = History.empty().after(Opened(Problem("task"))).after(Proposed((Candidate(0, "x"),)))
    history = history.after(Told(0, Evaluation(1.0, usage=ONE)))
    assert dict(history.account.rows) == {("scorer", ""): ONE}
