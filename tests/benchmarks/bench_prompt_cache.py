"""What prompts cost by layout, with a provider's prompt cache: ``python bench_prompt_cache.py [--quick]``.

One run each of 200 steps on an x of 1,500 characters, through the real loop with a scripted model: the predecessor's
chat (whole history in every prompt), the window and the epochs layout, and both of these with four chains in flight.
Printed: tokens of the prompts at steps 10, 50, 100 and 200 and their sum; the share of prompt tokens in a prefix that
an earlier prompt had (one of the last four where four are in flight); the share that OpenAI's rule would serve (from
1,024 tokens on, in steps of 128); and dollars by the prices that ship with genai-prices for models whose cached tokens
cost 50, 25 and 10 %. Limits: the epochs layout's prompts stay within the allowance, and 60 % of their tokens repeat.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, field
from os.path import commonprefix

from llm_optimize import Reply, ScriptedModel, Usage, optimize
from llm_optimize.core.chat import Message
from llm_optimize.llm.prices import PriceBook
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.proposers import prompts
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.testing.answers import count_tokens
from llm_optimize.testing.prefixes import PrefixCache

ALLOWANCE = 12_000
CHARACTERS = 1_500
PRICED = ("gpt-4o", "gpt-4.1", "gpt-5")
LIMIT = 0.60
PER_MESSAGE = 4  # tokens, as TokenCounter counts
TASK = "Write the instruction for a support assistant. It is scored on 200 real questions; answers must be short."
QUESTION = "Which instruction makes the assistant answer more of the questions right?"
WORDS = (
    "answer the customer in a short and friendly way name order number first then state what happens next never "
    "promise a refund before checking policy quote exact rule when in doubt ask one question only keep sentences plain "
    "mention deadline opening hours delivery address invoice payment return label warranty account password language"
)


class Script:
    """A model that changes a few words of its last candidate, and the scorer of what it writes."""

    def __init__(self, characters: int = CHARACTERS) -> None:
        """Begin with the same text at each run."""
        self._draw = random.Random(4)
        self._words: list[str] = []
        while len(" ".join(self._words)) < characters:
            self._words.append(self._draw.choice(WORDS.split()))
        self.start = " ".join(self._words)

    def reply(self, _: object = None) -> str:
        """Return a brief reason and the whole new candidate."""
        for _ in range(6):
            self._words[self._draw.randrange(len(self._words))] = self._draw.choice(WORDS.split())
        reason = "The last attempt lost points on questions about deadlines; this one says them first. " * 2
        return f"{reason}\n\n```\n{' '.join(self._words)}\n```"

    def score(self, text: str) -> tuple[float, str]:
        """Return a score, and feedback of the usual length."""
        wrong = random.Random(text).sample(range(200), 8)
        return random.Random(text).random(), "Wrong on: " + ", ".join(f"question {n} (too long)" for n in wrong)


def predecessors(steps: int) -> list[tuple[Message, ...]]:
    """Return the prompts of the predecessor's chat: each holds all that was said before, x twice for each attempt."""
    script = Script()
    asked = prompts.HUMAN_OPTIMIZATION_PROMPT

    def human(text: str) -> Message:
        values = {"x": text, "fx": script.score(text)[1], "task_question": QUESTION}
        return Message("user", prompts.fill(asked, values))

    chat = [Message("system", prompts.fill(prompts.SYSTEM_PROMPT, {"task_description": TASK})), human(script.start)]
    sent = []
    for _ in range(steps):
        sent.append(tuple(chat))
        reply = script.reply()
        chat += [Message("assistant", reply), human(reply.split("```")[1].strip())]
    return sent


def ours(steps: int, layout: str, parallel: int = 1, allowance: int = ALLOWANCE) -> list[tuple[Message, ...]]:
    """Return the prompts of a run through the loop."""
    script = Script()
    model = ScriptedModel(lambda _: Reply(script.reply(), usage=Usage(calls=1)))
    optimize.run(
        TASK, QUESTION, script.score, script.start, steps, verbose=False, store=None, parallel=parallel,
        proposer=ChatProposer(model, layout=layout, allowance=allowance),
    )  # fmt: skip
    return [request.messages for request in model.requests]


@dataclass
class Figures:
    """What the prompts of a run come to.

    Attributes:
        tokens: the length of each.
        repeated: of each, the tokens in a prefix that one of the prompts before it has.
        served: of each, the tokens that OpenAI's rule would take from the cache, on the same scale as ``tokens``.
    """

    tokens: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    served: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, sent: list[tuple[Message, ...]], before: int = 1) -> Figures:
        """Count; a prompt is compared with the ``before`` ones sent before it."""
        figures, counter, cache = cls(), TokenCounter(), PrefixCache()
        for index, messages in enumerate(sent):
            figures.tokens.append(counter.count_messages(messages))
            earlier = sent[max(0, index - before) : index]
            figures.repeated.append(max((common(counter, one, messages) for one in earlier), default=0))
            body = [{"role": message.role, "content": message.content} for message in messages]
            # The cache counts as the scripted endpoint does; its share is what is taken over.
            whole = sum(count_tokens(message.content) + 4 for message in messages)
            figures.served.append(figures.tokens[-1] * cache.serve(body) / whole)
        return figures

    @property
    def share(self) -> float:
        """The share of prompt tokens that repeat, over the run."""
        return sum(self.repeated) / sum(self.tokens)

    @property
    def served_share(self) -> float:
        """The share of prompt tokens that OpenAI's rule would take from the cache, over the run."""
        return sum(self.served) / sum(self.tokens)

    def dollars(self, model: str) -> float:
        """Return the price of all prompts."""
        usage = Usage(calls=1, tokens_in=sum(self.tokens), tokens_cached=round(sum(self.served)))
        return PriceBook().dollars(model, usage)


def common(counter: TokenCounter, earlier: tuple[Message, ...], later: tuple[Message, ...]) -> int:
    """Return the tokens at the beginning of ``later`` that ``earlier`` begins with too."""
    tokens = 0
    for one, other in zip(earlier, later, strict=False):
        if one.role != other.role:
            break
        # By characters, which is what is wanted of texts.
        same = commonprefix([one.content, other.content])  # noqa: RUF071 - these are no paths
        tokens += counter.count(same) + PER_MESSAGE
        if one != other:
            break
    return tokens


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run: 30 steps; its figures say little")
    steps = 30 if parser.parse_args().quick else 200
    rows = {
        "predecessor": Figures.of(predecessors(steps)),
        "window": Figures.of(ours(steps, "window")),
        "epochs": Figures.of(ours(steps, "epochs")),
        "window, 4 at once": Figures.of(ours(steps, "window", 4), 4),
        "epochs, 4 at once": Figures.of(ours(steps, "epochs", 4), 4),
    }
    at = [step for step in (10, 50, 100, 200) if step <= steps]
    heads = [*(f"step {step}" for step in at), "sum", "repeats", "served", *(f"{model} $" for model in PRICED)]
    print(f"{'':18}" + "".join(f"{head:>11}" for head in heads))
    for name, row in rows.items():
        cells = [*(f"{row.tokens[step - 1]:,}" for step in at), f"{sum(row.tokens):,}"]
        cells += [f"{row.share:.1%}", f"{row.served_share:.1%}", *(f"{row.dollars(model):.3f}" for model in PRICED)]
        print(f"{name:18}" + "".join(f"{cell:>11}" for cell in cells))
    for name in ("epochs", "epochs, 4 at once"):
        row = rows[name]
        print(f"{name}: longest prompt {max(row.tokens) / ALLOWANCE:.2f} of the allowance (limit 1.00), "
              f"{row.share:.1%} repeats (limit {LIMIT:.0%})")  # fmt: skip


if __name__ == "__main__":
    main()
