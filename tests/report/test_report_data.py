"""The data of a report: everything from the log, JSON values alone."""

from __future__ import annotations

import json
import random
import zlib

import pytest

from llm_optimize import Draft, Evaluation, Failure, MaxSteps, MemoryStore, Problem, Proposal, Study
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput
from llm_optimize.report.data import report_data
from llm_optimize.report.effects import effects
from llm_optimize.report.lineage import lineage
from llm_optimize.report.log import read_log
from llm_optimize.report.texts import Texts


class Listed:
    """Proposes what it is told to, in order."""

    def __init__(self, *drafts):
        self._drafts = drafts

    def propose(self, history, n):
        return Proposal(self._drafts[history.slot : history.slot + 1])


def history_of(*drafts, score=len, **options):
    """Run the drafts and return the log of the study."""
    store = MemoryStore()
    Study(
        Problem("t", start="x"), Listed(*drafts), score, store=store, name="one", stop=MaxSteps(len(drafts)), **options
    ).run()
    return read_log(store, "one")


def test_the_data_holds_the_whole_study(small):
    """Figures, claims with what came of them, failures, prompts and replies, cost and commands come from the log."""
    data = report_data(read_log(*small))
    texts = data["texts"]
    assert json.loads(json.dumps(data, allow_nan=False))["format"] == 1
    assert (data["summary"]["best"], data["summary"]["best_score"], data["summary"]["start_score"]) == (1, 4, 2)
    assert (data["summary"]["evaluations"], data["summary"]["failed"]) == (4, 1)
    assert data["trials"]["id"] == [0, 1, 2, 3]
    assert data["trials"]["score"] == [2, 4, 2, None]
    assert [texts[number].strip() for number in data["trials"]["text"]][:2] == ["be brief", "be brief and kind"]
    assert [(one["id"], texts[one["claim"]], one["held"]) for one in data["claims"]] == [
        (1, "more words help.", True), (2, "fewer words help.", False), (3, "bad words help.", None),
    ]  # fmt: skip
    [failure] = data["failures"]
    assert (failure["kind"], failure["count"], failure["ids"]) == ("raised", 1, [3])
    assert "bad is not allowed" in texts[failure["example"]]
    assert [row[0] for row in data["exchanges"]["rows"]] == ["proposal/0", "proposal/1", "proposal/2"]
    _, _, about, _, messages, reply, *_ = data["exchanges"]["rows"][0]
    assert about == [1]
    assert [role for role, _ in messages] == ["system", "user"]
    assert "be brief and kind" in texts[reply]
    assert [row[:3] for row in data["cost"]] == [["proposer", "scripted", 3]]
    assert any("llm-optimize resume small" in command for _, command in data["reproduce"]["commands"])


def test_the_difference_rebuilds_the_best(small):
    """What the start and the best share, and what is new, is the best text; what is old, the start."""
    data = report_data(read_log(*small))
    assert data["study"]["kind"] == "prose"
    segments = data["difference"]["segments"]
    assert data["difference"]["by"] == "word"
    assert "".join(text for sign, text in segments if sign != "-") == "be brief and kind"
    assert "".join(text for sign, text in segments if sign != "+") == "be brief"


def test_the_course_counts_every_evaluation():
    """A row for each evaluation, repeated ones too: score, best so far, its interval, what was spent by then."""
    scores = iter([1.0, 3.0, 1.2, 3.2, 3.4, 2.9, 3.1, 1.1, 3.0, 3.3] * 5)
    log = history_of(Draft("y"), score=lambda text: Evaluation(next(scores), usage=Usage(tokens_in=10)), noise="auto")
    course = report_data(log)["course"]
    assert len(course["score"]) == log.history.evaluations > 4
    assert course["part"][:1] == [0]
    assert set(course["part"]) > {0}
    assert course["tokens"] == [10 * (row + 1) for row in range(len(course["score"]))]
    assert course["best"][0] == 1.0
    assert course["half"][0] is None
    assert course["half"][-1] > 0


def test_a_chain_of_ideas_keeps_its_lane():
    """The best one's ancestry is the first lane; a branch that led nowhere has another one."""
    log = history_of(Draft("xx", parent=0), Draft("x" * 9, parent=1), Draft("xxx", parent=0), Draft("x" * 10, parent=2))
    drawn = lineage(log.history)
    assert drawn["best"] == [0, 1, 2, 4]
    assert drawn["nodes"] == [[0, 0, 0, None], [1, 1, 0, 0], [2, 2, 0, 1], [3, 3, 1, 0], [4, 4, 0, 2]]
    assert drawn["linked"] == 4


def test_a_large_lineage_keeps_the_best_and_their_ancestors():
    """Of more candidates than a drawing holds, the best ones stay, each with all its ancestors."""
    drafts = [Draft("x" * (2 + number), parent=number) for number in range(30)]
    drawn = lineage(history_of(*drafts).history, most=10)
    kept = [node[0] for node in drawn["nodes"]]
    assert drawn["of"] == 31
    assert len(kept) == 10
    assert kept[-1] == 30
    assert (
        lineage(history_of(*[Draft("x" * (2 + n), parent=0) for n in range(30)]).history, most=10)["nodes"][0][0] == 0
    )


def test_a_setting_that_matters_is_told_from_one_that_does_not():
    """The shares of the variance are those of the surface, and the best value is named."""
    rows = [(t / 10, p / 5, k) for t in range(11) for p in range(6) for k in ("a", "b")]
    scores = [1 - 4 * (t - 0.3) ** 2 + 0.2 * p for t, p, _ in rows]
    columns = {
        "temperature": [row[0] for row in rows],
        "top_p": [row[1] for row in rows],
        "kind": [row[2] for row in rows],
    }
    found, explained = effects(columns, scores)
    assert [one.name for one in found] == ["temperature", "top_p", "kind"]
    assert explained == pytest.approx(1)
    assert sum(one.share for one in found) == pytest.approx(1)
    assert found[2].share == pytest.approx(0, abs=1e-9)
    assert max(found[0].steps, key=lambda step: step.mean).label == "0.3"
    assert max(found[1].steps, key=lambda step: step.mean).middle == 1.0


def test_effects_of_values_without_an_order_and_of_nothing():
    """Missing values and lists are categories; a constant setting, one score and equal scores do no harm."""
    found, _ = effects({"stop": [None, ["a"], None, ["a"]], "same": [1, 1, 1, 1]}, [0.0, 1.0, 0.0, 1.0])
    assert [(one.name, [step.label for step in one.steps]) for one in found] == [("stop", ['["a"]', "null"])]
    assert effects({"a": [1]}, [1.0]) == ([], 0.0)
    assert effects({"a": [1, 2]}, [1.0, 1.0])[1] == 0.0


def test_many_values_become_ranges():
    """A setting that was searched continuously is shown in ranges, each with its number of trials."""
    values = [number / 100 for number in range(100)]
    [found], _ = effects({"t": values}, values)
    assert len(found.steps) == 10
    assert sum(step.n for step in found.steps) == 100
    assert (
        found.steps[0].label == "0 to 0.09" or found.steps[0].label.startswith("0.0 to") or found.steps[0].middle < 0.1
    )


def test_texts_are_kept_once_and_the_first_ones_whole():
    """A text that comes again takes no room; without room a long text is cut, and its length is told."""
    texts = Texts(limit=100_000)
    long = [str(random.Random(number).getrandbits(9000)) for number in range(600)]  # digits that hardly compress
    numbers = [texts.add(text) for text in long]
    assert [texts.add(text) for text in long] == numbers
    assert texts.table[0] == long[0]
    assert 0 not in texts.cut
    assert texts.cut[599] == len(long[599])
    assert all(text.startswith(kept) for text, kept in zip(long, texts.table, strict=True))
    assert len(zlib.compress("".join(texts.table).encode())) < 200_000 < len(zlib.compress("".join(long).encode()))


def test_an_unknown_study_has_no_report():
    """The name of a study that is not there is told in one line."""
    with pytest.raises(BadInput, match="'nobody' is not in the store"):
        read_log(MemoryStore(), "nobody")


def test_a_study_without_a_score_has_data():
    """Nothing scored, nothing proposed: the data is there all the same."""
    store = MemoryStore()
    with Study(Problem("t"), Listed(Draft("y")), len, store=store, name="one") as study:
        [candidate] = study.ask()
        study.tell(candidate, Failure("timeout", "too slow"))
    data = report_data(read_log(store, "one"))
    assert data["summary"]["best"] is None
    assert data["difference"] is None
    assert data["failures"][0]["kind"] == "timeout"
    with Study(Problem("t"), Listed(), len, store=store, name="two") as study:
        assert study.ask() == []
    assert report_data(read_log(store, "two"))["trials"]["id"] == []
