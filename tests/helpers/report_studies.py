"""Three real studies to report on: a program that gets shorter, a text that a judge marks, a sweep of 10,000 pairs."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize import Budget, Draft, Evaluation, Failure, MaxSteps, Problem, Proposal, ScriptedModel, Study, optimize
from llm_optimize.core.types import Usage
from llm_optimize.testing.server import ScriptedServer

if TYPE_CHECKING:
    from types import ModuleType

    from llm_optimize import History, SQLiteStore

EXAMPLES = Path(__file__).parents[2] / "examples"

SHORTER = [
    f"Hypothesis: {claim}\n```python\n{program}\n```"
    for claim, program in {
        "groupby saves the loop.": "from itertools import groupby\n"
        "def f(s):\n    return ''.join(k+(str(n) if (n:=len(list(g)))>1 else '') for k,g in groupby(s))",
        "a regular expression is shorter still.": "import re\n"
        "f=lambda s:re.sub(r'(.)\\1+',lambda m:m[1]+str(len(m[0])),s,flags=16)",
        "the flag is not needed.": "import re\nf=lambda s:re.sub(r'(.)\\1+',lambda m:m[1]+str(len(m[0])),s)",
        "the inline flag saves a keyword.": "import re\n"
        "f=lambda s:re.sub(r'(?s)(.)\\1+',lambda m:m[1]+str(len(m[0])),s)",
        "returning the text is enough.": "f=lambda s:s",
    }.items()
]
POEMS = [
    """The valley looks the lowest from the hill,
you step, you slip, you think that you are there;
but fog conceals a deeper valley still,
and downhill is the way to everywhere.""",
    "I like numbers.\nThey go up.\nThey go down.\nThe end.",
    """A ball rolls down and calls the hollow home,
and shakes itself, and finds a lower floor;
so we, with every step of chalk and chrome,
go down to rise, and then go down some more.""",
]
WANTED = "The tide rises twice a day because the Earth turns under two bulges of water."
OTHER = "Water goes up and down, which has to do with the Moon, the Sun and the wind as well."
PROMPTS = ("Why does the tide rise {{often}}?", "Explain the tides in one sentence.", "Tides: why?", "Tell of the sea.")
TEMPERATURES = [round(0.1 * step, 1) for step in range(10)]
TOP_P = [round(0.1 * step, 1) for step in range(1, 11)]
PENALTIES = [-1.0, -0.5, 0.0, 0.5, 1.0]
TOP_K = [1, 5, 10, 20, 40]


def example(name: str) -> ModuleType:
    """Load an example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def golf(store: SQLiteStore) -> str:
    """Run the code golf example with a scripted model and return the study's name."""
    task = example("code_golf")
    optimize.run(
        task.TASK, task.QUESTION, task.score, task.x0, len(SHORTER), ScriptedModel(SHORTER), verbose=False, store=store,
        study="code-golf",
    )  # fmt: skip
    return "code-golf"


def rubric(store: SQLiteStore) -> str:
    """Run the rubric example with a writer and a noisy judge behind a server and return the study's name."""
    written = iter(POEMS)
    worth = {"valley": 1.6, "hollow": 1.9, "numbers": 0.2}

    def answer(body: dict, index: int) -> str:
        shown = body["messages"][-1]["content"]
        if "<<<CANDIDATE" not in shown:
            return f"Hypothesis: a picture that one can see helps.\n```\n{next(written)}\n```"
        mark = next((mark for word, mark in worth.items() if word in shown.partition("END CANDIDATE")[0]), 0.5)
        marks = {
            name: {"reason": "So it reads.", "mark": mark + 0.1 * (index % 2)}
            for name in ("form", "picture", "truth", "joy")
        }
        return json.dumps({"fence_code": shown.partition("<<<CANDIDATE ")[2][:16], **marks})

    with ScriptedServer(answer, models=("scripted", "judge")) as server:
        os.environ["JUDGE"] = f"{server.url}#judge"
        task = example("text_rubric")
        del os.environ["JUDGE"]
        optimize.run(
            task.TASK, task.QUESTION, task.score, task.x0, len(POEMS), f"{server.url}#scripted", verbose=False,
            store=store, study="rubric", noise="auto",
        )  # fmt: skip
    return "rubric"


@dataclass(frozen=True, slots=True)
class Grid:
    """Proposes the points of the grid in order."""

    def propose(self, history: History, n: int) -> Proposal:
        drafts = tuple(Draft(point(history.next_id + k), origin="grid") for k in range(n))
        return Proposal(drafts)


def point(number: int) -> str:
    """Return the candidate of a place in the grid of 10,000."""
    values = []
    for choices in (TEMPERATURES, TOP_P, PENALTIES, TOP_K, PROMPTS):
        values.append(choices[number % len(choices)])
        number //= len(choices)
    names = ("temperature", "top_p", "presence_penalty", "top_k")
    body = {
        "prompt": values[4],
        "system_prompt": "You are a teacher.",
        "settings": dict(zip(names, values, strict=False)),
    }
    return json.dumps(body, sort_keys=True, indent=2, ensure_ascii=False)


def answered(text: str) -> Evaluation | Failure:
    """Answer as a model might whose answers depend smoothly on the settings, and compare with what is wanted."""
    body = json.loads(text)
    settings, dice = body["settings"], hashlib.sha256(text.encode()).digest()
    if dice[0] == 0:
        return Failure("timeout", "the endpoint did not answer in 60 s", Usage(calls=1, tokens_in=20))
    share = 1 - 0.9 * abs(settings["temperature"] - 0.3) - 0.35 * abs(settings["top_p"] - 0.8)
    share -= 0.12 * settings["presence_penalty"] ** 2 + 0.06 * PROMPTS.index(body["prompt"])
    good, bad = WANTED.split(), OTHER.split()
    words = [good[k] if dice[k + 1] / 255 < share or k >= len(bad) else bad[k] for k in range(len(good))]
    answer = " ".join(words)
    usage = Usage(
        calls=1, tokens_in=20 + len(body["prompt"]) // 4, tokens_out=len(answer) // 4, dollars=1e-5, seconds=0.4
    )
    same = sum(one == other for one, other in zip(words, good, strict=True)) / len(good)
    return Evaluation(round(same, 6), usage=usage, answers=(answer,))


def sweep(store: SQLiteStore, pairs: int = 10_000) -> str:
    """Run the sweep and return the study's name."""
    settings = {
        "sweep": {
            "wanted": [WANTED], "inputs": [{"often": "twice a day"}], "model": "teacher-7b",
            "base_url": "http://127.0.0.1:11434/v1",
            "dimensions": {"temperature": {"values": TEMPERATURES}}, "no_effect": ["top_k"],
        }
    }  # fmt: skip
    study = Study(
        Problem("Which prompt and settings come closest to the wanted answer?"), Grid(), answered, store=store,
        name="sweep", stop=MaxSteps(pairs), budget=Budget(evaluations=pairs), settings=settings, ideas=100,
    )  # fmt: skip
    study.run()
    return "sweep"
