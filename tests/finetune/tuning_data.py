"""Training files of each shape, written by the tests that read them; their prompts are those of a run of the loop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llm_optimize import finetune, llm, optimize
from llm_optimize.core.chat import Reply

if TYPE_CHECKING:
    from pathlib import Path

    from llm_optimize.core.chat import Request

TOPICS = ("rain", "tea", "cats", "maps", "bread", "bees", "ships", "snow", "glass", "songs")
BETTER = "```\nExplain the rain to a child in forty words.\n```"
WORSE = "No."
TASK, QUESTION = "Improve a prompt.", "Which prompt is clearest?"

SETTINGS = finetune.Settings(
    epochs=5,
    batch=8,
    accumulation=1,
    learning_rate=1e-2,
    lora=finetune.Lora(rank=16, alpha=32),
    save_every=10,
    log_every=1,
    answer_length=32,
)


class Listener:
    """A chat model that keeps what it is asked."""

    name = "listener"

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        return Reply(BETTER)


def messages_of_a_run(start: str) -> list[dict[str, str]]:
    """Return what the loop asks a model that is to improve on ``start``."""
    model = Listener()
    priced = llm.connect(model, prices={model.name: (0, 0)})
    optimize.run(TASK, QUESTION, score, start, max_steps=1, model=priced, store=None, verbose=False)
    return [{"role": message.role, "content": message.content} for message in model.asked[0].messages]


def score(text: str) -> float:
    """Score a prompt: it must name a length."""
    return float("forty words" in text)


def prompts(count: int) -> list[str]:
    """Return different prompts that could be better."""
    return [f"Make this better ({number}): tell {TOPICS[number % len(TOPICS)]}" for number in range(count)]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def chats(path: Path, count: int = 50) -> Path:
    """Write what the loop asks for different starts, each with the better prompt for its answer."""
    said = {"role": "assistant", "content": BETTER}
    starts = [f"tell {TOPICS[number % len(TOPICS)]} {number}" for number in range(count)]
    return write(path, [{"messages": [*messages_of_a_run(start), said]} for start in starts])


def pairs(path: Path, count: int = 24) -> Path:
    """Write pairs of a chosen and a rejected answer."""
    return write(path, [{"prompt": prompt, "chosen": BETTER, "rejected": WORSE} for prompt in prompts(count)])


def texts(path: Path, count: int = 12) -> Path:
    """Write the published shape: one column, both prompts in the template of Llama 2."""
    return write(path, [{"text": f"<s>[INST] {prompt} [/INST] {BETTER} </s>"} for prompt in prompts(count)])


def is_learnt(text: str) -> float:
    """Score an answer: is it the one that the data teaches?"""
    return float(text.strip() == BETTER)
