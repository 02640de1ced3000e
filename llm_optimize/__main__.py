"""``python -m llm_optimize`` is the command ``llm-optimize``."""

from __future__ import annotations

from llm_optimize.cli import entry

if __name__ == "__main__":
    entry()
