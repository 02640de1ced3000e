"""Training files of each shape, written by the tests that read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TOPICS = ("rain", "tea", "cats", "maps", "bread", "bees", "ships", "snow", "glass", "songs")
BETTER = "```\nExplain the rain to a child in forty words.\n```"
WORSE = "No."


def prompts(count: int) -> list[str]:
    """Return different prompts that could be better."""
    return [f"Make this better ({number}): tell {TOPICS[number % len(TOPICS)]}" for number in range(count)]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def chats(path: Path, count: int = 50) -> Path:
    """Write chat messages."""
    return write(
        path,
        [
            {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": BETTER}]}
            for prompt in prompts(count)
        ],
    )


def pairs(path: Path, count: int = 24) -> Path:
    """Write pairs of a chosen and a rejected answer."""
    return write(path, [{"prompt": prompt, "chosen": BETTER, "rejected": WORSE} for prompt in prompts(count)])


def texts(path: Path, count: int = 12) -> Path:
    """Write the published shape: one column, both prompts in the template of Llama 2."""
    return write(path, [{"text": f"<s>[INST] {prompt} [/INST] {BETTER} </s>"} for prompt in prompts(count)])
