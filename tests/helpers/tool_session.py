"""A study whose model has tools of every kind, good and bad: ``tool_session.py STORE URL``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from llm_optimize import optimize
from llm_optimize.llm.tools import as_tool
from llm_optimize.toolbox import mcp_tools, profile_table, run_python

MCP_SERVER = Path(__file__).with_name("mcp_server.py")
ROWS = [{"size": size, "price": 3 * size} for size in range(20)]


def broken(word: str) -> str:
    """Look a word up.

    Args:
        word: what to look up.
    """
    message = f"the dictionary has no {word!r}"
    raise LookupError(message)


def endless() -> str:
    """Wait for something that never comes."""
    threading.Event().wait()
    return ""


def main(store: str, url: str, **options: object) -> optimize.Result:
    """Run the study to its end, if it is let."""
    with mcp_tools(sys.executable, [str(MCP_SERVER)], only=["add"]) as served:
        own = [profile_table(ROWS, target="price"), run_python(), broken, as_tool(endless, timeout=0.2)]
        return optimize.run(
            "Write a longer line.",
            "What is longer?",
            len,
            x0="start",
            max_steps=2,
            model=f"{url}#scripted",
            verbose=False,
            store=store,
            study="tools",
            tools=[*own, *served],
            **options,
        )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
