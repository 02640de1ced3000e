"""LAYOUT in a task file, and what a user is told of the endpoint's prompt cache."""

from __future__ import annotations

import re

from llm_optimize.testing.server import ScriptedServer

_TASK = """
TASK = "Make the text long."
QUESTION = "What is longer?"
x0 = "start " * 1500
MAX_STEPS = 4
LAYOUT = "epochs"

def score(text):
    return len(text), f"it has {len(text)} characters"
"""
_SHARE = re.compile(r"tokens in, [\d,.k]+ of them \((\d+) %\) cached")


def test_a_task_file_chooses_the_growing_layout_and_the_cached_share_is_told(cli):
    """The chat grows from request to request; the end of a run and ``show`` say how much of it was cached."""
    with ScriptedServer(lambda _, index: f"```\n{'start ' * 1500} {index}\n```", prefix_cache=True) as server:
        done = cli("run", cli.write(_TASK), "--model", f"{server.url}#scripted", "--study", "s")
        assert done.returncode == 0, done.stderr
        chats = [received.body["messages"] for received in server.requests]
        assert chats[-1][: len(chats[-2]) - 1] == chats[-2][:-1]
        assert chats[-1][1]["content"].startswith("What is asked of you")
        expected = round(100 * server.tokens_cached / server.tokens_in)
    assert expected > 20
    for text in (done.stderr, cli("show", "s").stdout):
        assert int(_SHARE.search(text)[1]) == expected
