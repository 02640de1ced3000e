"""A world of scripted models for distill runs: who answers what depends on what is asked, and on nothing else.

The target gets easy items right, and others once their prompt says "carefully", but for stubborn ones. The rewriter's
six rewrites of an item are one that changes nothing, one that helps, one that repeats, one that does not help, one that
gives the answer away and a refusal.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path

import pytest

from llm_optimize.testing.server import Answer, ScriptedServer

FIXTURES = Path(__file__).parent.parent / "fixtures"
HELP = "Think carefully."


def drawn(text, sides):
    """Return a number below ``sides`` that depends on the text alone."""
    return hashlib.sha256(text.encode()).digest()[0] % sides


class World:
    def __init__(self):
        with (FIXTURES / "mmlu.csv").open() as file:
            self.choices = {self.options(row): row for row in csv.DictReader(file)}
        self.open = json.loads((FIXTURES / "alpaca.json").read_text())
        lines = (FIXTURES / "humaneval.jsonl").read_text().splitlines()
        self.programs = {row["entry_point"]: row for row in map(json.loads, lines)}

    @staticmethod
    def options(row):
        return "\n".join(f"{letter}) {row[letter]}" for letter in "ABCD")

    def __call__(self, body, _index):
        system, last = body["messages"][0]["content"], body["messages"][-1]["content"]
        if "impartial judge" in system:
            return self.judge(last)
        if "You rewrite prompts" in system:
            return self.rewriter(last)
        if "How many words" in last:
            return "about 30"
        return self.target(last)

    def find(self, text):
        """Return (identity, right answer, what gives it away) of the item that a text is about."""
        for options, row in self.choices.items():
            if options in text:
                return options, row["answer"], row[row["answer"]]
        for name, row in self.programs.items():
            if f"function `{name}`" in text:
                return name, f"```python\n{row['prompt']}{row['canonical_solution']}```", row["canonical_solution"]
        row = next(
            row for row in self.open if row["instruction"] in text and (not row["input"] or row["input"] in text)
        )
        return f"{row['instruction']}{row['input']}", f"GOOD {row['output']}", row["output"]

    def is_easy(self, identity):
        return drawn(identity, 4) == 0

    def is_stubborn(self, identity):
        return drawn(identity, 4) == 1

    def target(self, text):
        identity, right, _ = self.find(text)
        knows = self.is_easy(identity) or (HELP in text and not self.is_stubborn(identity))
        return right if knows else "No idea, really."

    @staticmethod
    def judge(text):
        code = re.search(r"<<<CANDIDATE (\S+)", text)[1].rstrip(">")[:16]
        mark = {"reason": "Seen.", "mark": 9 if "GOOD" in text else 1}
        return json.dumps({"fence_code": code, "correctness": mark, "fit": mark})

    def rewriter(self, text):
        original = re.search(r"<original score=\"[^\"]*\">\n(.*?)\n(?:<answer>|</original>)", text, re.DOTALL)[1]
        way = text.rsplit("\n\n", 1)[1]
        if way.startswith("Say plainly"):
            return f"<prompt>{original.upper()}!</prompt>"
        if way.startswith("Name the knowledge"):
            return f"<prompt>{HELP} {original}</prompt>"
        if way.startswith("Cut what distracts"):
            return f"Here it is: <prompt> {HELP.lower()} {original} </prompt>"
        if way.startswith("Say what a typical"):
            return f"<prompt>Please: {original}</prompt>"
        if way.startswith("Give the situation"):
            return f"<prompt>{original} It is: {self.find(text)[2]}</prompt>"
        return Answer(None, refusal="I would rather not.")


@pytest.fixture(scope="session")
def world():
    """What the scripted models know."""
    return World()


@pytest.fixture
def server(world):
    """A server where they are asked."""
    with ScriptedServer(world) as scripted:
        yield scripted


@pytest.fixture
def fixtures():
    """The folder with the files of questions."""
    return FIXTURES
