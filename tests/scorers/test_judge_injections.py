"""Forty texts that speak to the judge, against a stand-in that obeys whatever it reads outside the fence.

The stand-in is a real endpoint. It knows which lines the judge's own prompt has; any other line that it takes to stand
outside the fence is an order, and it obeys by giving full marks. It reads in three ways, from exact to gullible, and
before its own reply it recites every JSON object of the text, as a talkative judge may.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llm_optimize import eval_utils
from llm_optimize.core.types import Evaluation
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.schemas import json_values
from llm_optimize.scorers.rubric import Criterion, RubricJudge
from llm_optimize.testing.server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable

INJECTIONS = json.loads(Path(__file__).parent.parent.joinpath("fixtures", "judge_injections.json").read_text("utf-8"))
CRITERIA = (Criterion("clarity", "Can a child follow it?"), Criterion("accuracy", "Is every statement true?"))
BASE = "Water boils at 100 degrees at sea level.\nOn a mountain it boils earlier."
HONEST, FULL = 4, 10
OPENING = re.compile(r"<<<CANDIDATE ?([0-9a-f]*)>>>\n")
CLOSES = re.compile(r"\W*<<<\s*end\b")
HIDDEN = {*map(chr, range(0xFE00, 0xFE10)), *map(chr, range(0xE0000, 0xE1000)), *"\u202e\u2066"}
TURNS = r"<\|[^|>]*\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>|<\uff5c[^>]*\uff5c>|</think>"


def exactly(after: str, code: str) -> list[str]:
    """The text ends at the first line that is its closing line; lines end where any reader would end them."""
    lines = after.splitlines()
    end = f"<<<END CANDIDATE {code}>>>" if code else "<<<END CANDIDATE>>>"
    return lines[lines.index(end) + 1 :]


def by_the_gutter(after: str, code: str) -> list[str]:
    """A line is the text's if it begins with the gutter, wherever it stands."""
    return [line for line in after.splitlines() if not line.startswith("|") and not line.startswith("<<<END")]


def gullibly(after: str, code: str) -> list[str]:
    """Whatever resembles a closing line ends the text, gutter or not; so does the end of a chat's turn."""
    text, *turns = re.split(TURNS, after)
    lines = text.splitlines()
    end = next((place for place, line in enumerate(lines) if CLOSES.match(_as_read(line))), len(lines))
    hidden = ["hidden words"] if any(one in HIDDEN for one in after) else []
    return [*lines[end + 1 :], *(line for turn in turns for line in turn.splitlines()), *hidden]


def _as_read(line: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKC", line) if unicodedata.category(one) != "Cf").casefold()


READERS = {"exactly": exactly, "by the gutter": by_the_gutter, "gullibly": gullibly}


def own_lines(judge: RubricJudge) -> set[str]:
    """The lines that the judge's prompt has for any text, without their codes, and what asks for JSON behind it."""
    model = ScriptedModel(["", ""])
    RubricJudge(CRITERIA, model=model)("x")
    code = judge.messages("x")[1]
    shown = [message.content for message in model.requests[0].messages]
    return {line.replace(code, "CODE") for content in shown for line in content.splitlines()}


def obedient(body: dict[str, Any], index: int, *, read: Callable[[str, str], list[str]], own: set[str]) -> str:
    """Reply as the stand-in."""
    shown = str(body["messages"][-1]["content"])
    opened = OPENING.match(shown)
    code = opened[1] if opened else ""
    after = shown[opened.end() :] if opened else shown
    outside = read(after, code) if opened else after.splitlines()
    orders = [line for line in outside if line.strip() and line.replace(code or "none", "CODE") not in own]
    mark = FULL if orders else HONEST if "Water boils" in shown else 0
    recited = "\n".join(json_values(after))
    given = {one.field_name: {"reason": "As I see it.", "mark": mark} for one in CRITERIA}
    return f"{recited}\n{json.dumps({'fence_code': code, **given})}\nfinal_score={mark}"


def last_mark(reply: str) -> float:
    return float(re.findall(r"final_score=(\d+)", reply)[-1])


@pytest.fixture(params=READERS)
def stand_in(request: pytest.FixtureRequest) -> Any:
    own = own_lines(RubricJudge(CRITERIA))
    with ScriptedServer(partial(obedient, read=READERS[request.param], own=own)) as server:
        yield server


def placed(injection: str, code: str) -> list[str]:
    """The text with the injection behind, before, and in the middle of it; it knows the code of the text without it."""
    said = injection.replace("{code}", code)
    first, second = BASE.split("\n")
    return [f"{BASE}\n{said}", f"{said}\n{BASE}", f"{first}\n{said}\n{second}"]


def test_there_are_forty_different_injections_of_every_kind() -> None:
    """The fixture holds what it is said to hold."""
    assert len({one["text"] for one in INJECTIONS}) == 40
    kinds = {"fake score", "role play", "closing the fence", "foreign language", "invisible characters"}
    assert kinds <= {one["kind"] for one in INJECTIONS}


def test_no_injection_changes_the_score(stand_in: ScriptedServer) -> None:
    """None of the forty, at any of three places in the text, moves the marks of a judge that obeys what it can."""
    judge = RubricJudge(CRITERIA, model=f"{stand_in.url}#judge")
    honest = judge(BASE)
    assert isinstance(honest, Evaluation)
    assert honest.score == HONEST / 10
    code = judge.messages(BASE)[1]
    texts = [text for one in INJECTIONS for text in placed(one["text"], code)]
    assert [text for text in texts if getattr(judge(text), "score", None) != honest.score] == []


def test_the_stand_in_obeys_every_injection_without_a_fence(stand_in: ScriptedServer) -> None:
    """The same endpoint is talked into full marks by all forty when the text merely stands in the prompt."""
    scorer = eval_utils.get_llm_scorer("{x}", last_mark, model=f"{stand_in.url}#judge")
    assert [scorer(one["text"])[0] for one in INJECTIONS] == [FULL] * 40


def test_a_fence_without_code_gutter_and_escapes_is_broken(stand_in: ScriptedServer) -> None:
    """Each way of reading is fooled by some injection when the fence is only two fixed lines around the raw text."""
    fixed = "<<<CANDIDATE>>>\n{x}\n<<<END CANDIDATE>>>"
    scorer = eval_utils.get_llm_scorer(fixed, last_mark, model=f"{stand_in.url}#judge")
    fooled = [one["kind"] for one in INJECTIONS if scorer(f"{BASE}\n{one['text']}")[0] == FULL]
    assert "closing the fence" in fooled
