"""An MCP server over stdio, for tests: ``mcp_server.py [--hang | --die | --empty | --many]``."""

from __future__ import annotations

import os
import sys
import time

from mcp.server.mcpserver import Image, MCPServer

server = MCPServer("tests")
words = sys.argv[1:]

if "--hang" in words:
    time.sleep(600)
if "--die" in words:
    sys.exit("no licence found")


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def picture() -> Image:
    """Draw a picture."""
    return Image(data=b"\x89PNG" * 500, format="png")


def figures() -> dict[str, float]:
    """Return named numbers."""
    return {"mean": 1.5}


def refuse() -> str:
    """Fail."""
    message = "no luck"
    raise ValueError(message)


def die() -> str:
    """End the server."""
    os._exit(3)


def hang() -> str:
    """Never return in time."""
    time.sleep(600)
    return ""


def environment() -> str:
    """Name the variables of the environment, and the process."""
    return f"{' '.join(sorted(os.environ))} pid={os.getpid()}"


if "--empty" not in words:
    for function in (add, picture, figures, refuse, die, hang, environment):
        server.add_tool(function)
    server.add_tool(add, name="math.add")
    server.add_tool(add, name="math_add")

if __name__ == "__main__":
    server.run()
