"""Tools for the proposer that are ready to use.

::

    from llm_optimize import toolbox

    with toolbox.mcp_tools("npx", ["-y", "@modelcontextprotocol/server-filesystem", "."]) as files:
        tools = [toolbox.profile_table("train.csv", target="price"), toolbox.run_python(), *files, a_function_of_yours]
        optimize.run(..., tools=tools)
"""

from __future__ import annotations

from llm_optimize.toolbox.documents import search_documents
from llm_optimize.toolbox.mcp import mcp_tools
from llm_optimize.toolbox.profile import profile_table
from llm_optimize.toolbox.python import run_python

__all__ = ["mcp_tools", "profile_table", "run_python", "search_documents"]
