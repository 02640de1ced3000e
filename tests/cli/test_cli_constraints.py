"""CONSTRAINTS in a task file: what breaks one is asked for again, and is not scored."""

from __future__ import annotations

from llm_optimize.testing.server import ScriptedServer

_TASK = """
TASK = "Make the text long."
QUESTION = "What is longer?"
x0 = "start"
MAX_STEPS = 1
CONSTRAINTS = ["max_chars:8", lambda text: "no q, please" if "q" in text else None]

def score(text):
    return len(text)
"""


def test_a_task_file_names_constraints(cli):
    """Three replies are asked for two proposals: the first breaks a name, the second a function."""
    replies = ["```\nmuch too long\n```", "```\nquick\n```"]
    with ScriptedServer(lambda _, index: replies[index]) as server:
        done = cli("run", cli.write(_TASK), "--model", f"{server.url}#scripted", "--study", "s")
        asked = [received.body["messages"][-1]["content"] for received in server.requests]
    assert done.returncode == 0, done.stderr
    assert "it is 13 characters long, and at most 8 are allowed" in asked[1]
    assert "no q, please" in cli("show", "s", "--json").stdout + done.stderr
