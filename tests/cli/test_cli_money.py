"""What a run may cost is said before it begins, and who spent what after it."""

from __future__ import annotations

import json

import pytest

from llm_optimize.testing.server import ScriptedServer

_JUDGED = """
from llm_optimize import llm
from llm_optimize.eval_utils import get_llm_scorer

TASK, QUESTION, x0 = "Make the text long.", "What is longer?", "start"
judge = llm.connect("{url}#critic", prices={{"critic": (1, 1)}}, role="judge")
score = get_llm_scorer("Rate: {{x}}", lambda reply: float(reply.split("=")[1]), model=judge)
"""


def _answer(body, index):
    return f"score={index}" if body["model"] == "critic" else f"Longer.\n```\n{'long ' * (index + 1)}\n```"


@pytest.fixture
def office():
    """A server with a writer and a critic."""
    with ScriptedServer(_answer, models=("writer", "critic")) as server:
        yield server


def test_the_estimate_comes_before_and_the_account_after(cli, office):
    """With a price told the run is priced; each role has its line; show and JSON have the same account."""
    flags = ("--model", f"{office.url}#writer", "--price", "1,2", "--budget-tokens", 9000, "--max-steps", "none")
    done = cli("run", cli.write(_JUDGED.format(url=office.url)), *flags)
    assert done.returncode == 0, done.stderr
    first, second = (line for line in done.stderr.splitlines() if "candidates, about" in line)
    assert first.startswith("estimate: the budget buys about ")
    assert ", $" in first
    assert second.startswith("with what scoring x0 cost: the budget buys about ")
    assert "of which scoring" in second
    assert "ended: budget tokens: " in done.stderr
    assert "  proposer (writer): " in done.stderr
    assert "  judge (critic): " in done.stderr
    assert office.tokens_in + office.tokens_out <= 9000
    shown = cli("show", "task-1")
    assert "judge (critic): " in shown.stdout
    account = json.loads(cli("show", "task-1", "--json").stdout)["account"]
    assert {(row["role"], row["model"]) for row in account} == {("proposer", "writer"), ("judge", "critic")}
    assert sum(row["tokens_in"] + row["tokens_out"] for row in account) == office.tokens_in + office.tokens_out
    assert all(row["dollars"] > 0 for row in account)


def test_json_lines_end_with_the_account(cli, office):
    """The last line of a session names who spent what."""
    flags = ("--model", f"{office.url}#writer", "--max-steps", 1, "--json")
    done = cli("run", cli.write(_JUDGED.format(url=office.url)), *flags)
    last = json.loads(done.stdout.splitlines()[-1])
    assert [row["role"] for row in last["account"]] == ["judge", "proposer"]


def test_dollars_without_a_price_are_refused_with_the_flag_that_helps(cli, office):
    """Nothing is asked before the price is known."""
    flags = ("--model", f"{office.url}#writer", "--budget-usd", 1)
    done = cli("run", cli.write(), *flags)
    assert done.returncode == 2
    assert "the price of 'writer' is unknown" in done.stderr
    assert "--price IN,OUT" in done.stderr
    assert office.charged == 0
    assert cli("run", cli.write(), *flags, "--price", "1,2,0.1", "--max-steps", 1).returncode == 0


@pytest.mark.parametrize("price", ["1", "1,2,3,4", "a,b", "-1,2", "1,nan"])
def test_a_price_that_is_none_is_refused(cli, price):
    """The flag says what it wants."""
    done = cli("run", cli.write(), f"--price={price}")
    assert done.returncode == 2
    assert "is no price: give IN,OUT" in done.stderr
