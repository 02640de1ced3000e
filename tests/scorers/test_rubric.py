"""The rubric judge: marks, medians, failures, the log, the cache, and what it costs."""

from __future__ import annotations

import json
import pickle
import statistics
import threading
from typing import TYPE_CHECKING, Any

import pytest

from llm_optimize import llm, optimize
from llm_optimize.core.budget import Budget
from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.errors import BadInput, BadReply, ModelUnavailable
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.scorers.combining import Minimize
from llm_optimize.scorers.rubric import Criterion, RubricJudge
from llm_optimize.testing.server import Answer, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TRUTH = Criterion("truth", "Is it right?", weight=3)
STYLE = Criterion("Good style!", "Is it a pleasure?", low=1, high=5)


def code_in(prompt: str) -> str:
    return prompt.partition("<<<CANDIDATE ")[2][:16]


def reply(prompt: str, **marks: float) -> str:
    given = {name: {"reason": f"Because of {name}.", "mark": mark} for name, mark in marks.items()}
    return json.dumps({"fence_code": code_in(prompt), **given})


def marker(marks: Sequence[float]) -> Callable[[dict[str, Any], int], str]:
    """Answer each request with the next mark for truth, and 3 for style."""
    return lambda body, index: reply(body["messages"][-1]["content"], truth=marks[index % len(marks)], good_style=3)


def test_the_score_is_the_weighted_mean_of_the_marks_on_a_stated_range() -> None:
    """Weights and scales count as stated, the feedback is the reasons, the metrics are the marks."""
    with ScriptedServer(marker([8])) as server:
        judge = RubricJudge([TRUTH, STYLE], model=f"{server.url}#judge", scale=(0, 100))
        outcome = judge("Water is wet.")
    assert isinstance(outcome, Evaluation)
    assert outcome.score == pytest.approx(100 * (3 * 0.8 + 1 * 0.5) / 4)
    assert outcome.metrics == {"truth": 8, "Good style!": 3}
    assert outcome.feedback == "truth: 8 of 10. Because of truth.\nGood style!: 3 of 5. Because of good_style."
    assert outcome.usage.calls == 1


def test_several_samples_are_asked_and_their_median_counts() -> None:
    """One wild mark among five does not move the score; the samples' spread is a private metric."""
    marks = [7, 7, 0, 8, 7]
    with ScriptedServer(marker(marks)) as server:
        outcome = RubricJudge([TRUTH, STYLE], model=f"{server.url}#judge", samples=5)("Water is wet.")
    assert isinstance(outcome, Evaluation)
    assert outcome.metrics["truth"] == 7
    assert outcome.metrics["_judge_noise"] == pytest.approx(statistics.stdev((3 * m / 10 + 0.5) / 4 for m in marks))
    assert outcome.usage.calls == 5


def test_samples_are_asked_for_at_once_and_their_order_does_not_matter() -> None:
    """No answer comes before all three are asked for; whichever comes first, mark and feedback are the same."""
    outcomes = []
    for order in ([4, 6, 8], [8, 4, 6], [6, 8, 4]):
        together = threading.Barrier(3)

        def answer(body: dict[str, Any], index: int, marks: Sequence[float] = order, all_in: Any = together) -> str:
            all_in.wait(timeout=60)
            return marker(marks)(body, index)

        with ScriptedServer(answer) as server:
            outcomes.append(RubricJudge([TRUTH, STYLE], model=f"{server.url}#judge", samples=3)("Water is wet."))
    assert {(one.score, one.feedback) for one in outcomes} == {(outcomes[0].score, outcomes[0].feedback)}
    assert outcomes[0].metrics["truth"] == 6


def test_samples_that_are_asked_for_at_once_keep_to_the_budget() -> None:
    """A cap on tokens holds, and what was spent is counted, when seven samples are in flight together."""
    with ScriptedServer(marker([6])) as server:
        judge = RubricJudge([TRUTH, STYLE], model=f"{server.url}#judge", samples=7, settings={"max_tokens": 100})
        spent = []
        for cap in (2_000, 20_000):
            proposer = ScriptedModel([f"```\ntext {number}\n```" for number in range(40)])
            ask: dict[str, Any] = {"max_steps": 40, "verbose": False, "store": None, "budget": Budget(tokens=cap)}
            result = optimize.run("t", "q", judge, x0="start", model=proposer, **ask)
            spent.append(result.usage.tokens)
            assert result.usage.tokens <= cap
            assert result.reason.startswith("budget tokens")
    assert spent[1] > 10_000


def test_the_schema_is_the_same_for_every_text_and_the_code_is_not() -> None:
    """An endpoint that compiles schemas does so once; the code in the fence differs from text to text."""
    with ScriptedServer(marker([8])) as server:
        judge = RubricJudge([TRUTH, STYLE], model=f"{server.url}#judge")
        judge("One."), judge("Two.")
    first, second = (received.body for received in server.requests)
    assert first["response_format"] == second["response_format"]
    codes = [code_in(body["messages"][-1]["content"]) for body in (first, second)]
    assert codes[0] != codes[1] != ""
    assert first["messages"][0] == second["messages"][0]


def test_a_reply_without_the_code_is_asked_for_again_and_then_not_used() -> None:
    """Marks that do not carry the code of the fence are nobody's; the candidate fails with the reason."""
    unsigned = json.dumps({"fence_code": "0123456789abcdef", "truth": {"reason": "So.", "mark": 10}})
    model = ScriptedModel([unsigned] * 2)
    outcome = RubricJudge([TRUTH], model=model)("Water is wet.")
    assert isinstance(outcome, Failure)
    assert outcome.kind == "unjudged"
    assert "must be the code of the fence" in outcome.message
    assert (len(model.requests), outcome.usage.calls) == (2, 2)


@pytest.mark.parametrize("mark", ["11", "-1", '"high"', "null", "NaN"])
def test_marks_beyond_the_scale_are_asked_for_again(mark: str) -> None:
    """The reply is bound to the schema: what is not a mark of the scale is shown to the judge as wrong."""
    bad = '{"fence_code": "CODE", "truth": {"reason": "So.", "mark": MARK}}'.replace("MARK", mark)
    turns = iter([bad, bad.replace(mark, "6", 1)])
    model = ScriptedModel(lambda request: next(turns).replace("CODE", code_in(request.messages[1].content)))
    outcome = RubricJudge([TRUTH], model=model)("Water is wet.")
    assert isinstance(outcome, Evaluation)
    assert outcome.score == 0.6
    assert "does not fit" in model.requests[1].messages[-1].content


def test_a_judge_that_declines_fails_the_candidate_and_not_the_run() -> None:
    """A refusal says something about the text; it is a Failure, never a score, and the other candidates go on."""

    def answer(body: dict[str, Any], _index: int) -> str | Answer:
        prompt = body["messages"][-1]["content"]
        return Answer(None, refusal="I will not read that.") if "| rude" in prompt else reply(prompt, truth=6)

    with ScriptedServer(answer) as server:
        judge = RubricJudge([TRUTH], model=f"{server.url}#judge")
        writer = ScriptedModel(["```\nrude\n```", "```\nkind\n```"])
        result = optimize.run("t", "q", judge, x0="start", max_steps=2, model=writer, verbose=False, store=None)
    kinds = [getattr(trial.outcome, "kind", trial.score) for trial in result.history.trials]
    assert kinds == [0.6, "unjudged", 0.6]
    assert "I will not read that" in result.history.trials[1].feedback


def test_a_minority_of_useless_samples_is_left_out() -> None:
    """Two of three samples suffice; one of three does not."""
    useless = Answer(None, refusal="No.")

    def answering(refusals: set[int]) -> Callable[[dict[str, Any], int], str | Answer]:
        return lambda body, i: useless if i in refusals else reply(body["messages"][-1]["content"], truth=5)

    for refusals, fails in (({1}, False), ({0, 2}, True)):
        with ScriptedServer(answering(refusals)) as server:
            outcome = RubricJudge([TRUTH], model=f"{server.url}#judge", samples=3)("Water is wet.")
        assert isinstance(outcome, Failure) is fails
        assert outcome.usage.calls == 3


def test_an_endpoint_in_trouble_is_no_score_and_no_failure() -> None:
    """What says nothing about the text passes through: a dead server, an answer that is no chat completion."""
    dead = ScriptedModel([ModelUnavailable("down")])
    with pytest.raises(ModelUnavailable):
        RubricJudge([TRUTH], model=dead)("Water is wet.")
    with pytest.raises(BadReply):
        RubricJudge([TRUTH], model=ScriptedModel([BadReply("an HTML page")]))("Water is wet.")


def test_a_text_that_would_flood_the_judge_costs_nothing() -> None:
    """A text beyond the limit is a failure that says so; the judge is not asked."""
    model = ScriptedModel([])
    outcome = RubricJudge([TRUTH], model=model, longest=10)("x" * 11)
    assert outcome == Failure("too_long", "the text has 11 characters; the judge reads at most 10: shorten it")
    assert model.requests == []


def test_the_judges_calls_are_booked_as_the_judges_and_held_to_the_budget() -> None:
    """A study's account knows the judge's share, and a cap on tokens ends the run."""
    with ScriptedServer(marker([6])) as server:
        judge = RubricJudge([TRUTH, STYLE], model=f"{server.url}#judge", samples=2)
        writer = ScriptedModel([f"```\ntext {n}\n```" for n in range(9)])
        ask: dict[str, Any] = {"x0": "start", "model": writer, "verbose": False, "store": None}
        result = optimize.run("t", "q", judge, max_steps=1, **ask)
        assert result.account.by_role()["judge"].calls == 4
        held = optimize.run("t", "q", judge, max_steps=8, budget=Budget(tokens=6000), **ask)
    assert held.usage.tokens <= 6000
    assert "token" in held.reason


@pytest.mark.parametrize("own", [True, False])
def test_a_run_warns_where_the_judge_marks_its_own_proposals(
    own: bool,  # noqa: FBT001 - pytest gives it by name
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Judge and proposer are different models, or the run says at its beginning that they are not."""
    with ScriptedServer(marker([6])) as server:
        judge = RubricJudge([TRUTH, STYLE], model=f"{server.url}#judge")
        name = "judge" if own else "scripted"
        ask: dict[str, Any] = {"x0": "start", "max_steps": 0, "verbose": False, "store": None}
        optimize.run("t", "q", Minimize(judge), model=f"{server.url}#{name}", **ask)
    assert ["the model judge judges its own" in text for text in caplog.messages].count(True) == own


def test_a_resumed_study_pays_no_judgement_twice(tmp_path: Path) -> None:
    """A judgement that was paid for before the process died is found in the log: same text, same prompt, same key."""
    with ScriptedServer(marker([6])) as server:
        judge = RubricJudge([TRUTH, STYLE], model=f"{server.url}#judge", samples=3)

        def dies(text: str) -> Any:
            judge(text)
            raise BadReply("the process dies here")

        ask: dict[str, Any] = {"x0": "start", "max_steps": 0, "verbose": False, "study": "one"}
        with pytest.raises(BadReply, match="dies here"):
            optimize.run("t", "q", dies, model=ScriptedModel([]), store=tmp_path / "s.db", **ask)
        last = optimize.run("t", "q", judge, model=ScriptedModel([]), store=tmp_path / "s.db", **ask)
        assert last.best_score == pytest.approx((3 * 0.6 + 0.5) / 4)
        assert (server.charged, last.usage.calls) == (3, 3)


def test_the_cache_answers_for_a_text_that_comes_again() -> None:
    """At temperature 0 the same text is judged once in all studies that share a cache, each sample once."""
    with ScriptedServer(marker([6])) as server:
        judge = RubricJudge([TRUTH, STYLE], model=f"{server.url}#judge", samples=2, settings={"temperature": 0})
        for _ in range(2):
            ask: dict[str, Any] = {"x0": "start", "max_steps": 0, "verbose": False, "store": None}
            optimize.run("t", "q", judge, model=ScriptedModel([]), **ask)
        assert server.charged == 2


def test_calibration_reports_agreement_bias_and_the_judges_own_noise() -> None:
    """On texts with known scores: how near, how related, how much too generous, and how much one judgement varies."""
    marks = {"good": iter([9.0, 9.0]), "middling": iter([6.0, 8.0]), "bad": iter([1.0, 1.0])}

    def answer(body: dict[str, Any], _index: int) -> str:
        prompt = body["messages"][-1]["content"]
        text = next(name for name in marks if f"| {name}" in prompt)
        return reply(prompt, truth=next(marks[text]))

    with ScriptedServer(answer) as server:
        judge = RubricJudge([TRUTH], model=f"{server.url}#judge", settings={"temperature": 0})
        found = judge.calibrate([("good", 0.9), ("middling", 0.5), ("bad", 0.1)])
    assert (found.examples, found.repeats, found.unjudged, found.usage.calls) == (3, 2, 0, 6)
    assert found.agreement == pytest.approx(2 / 3)
    assert found.bias == pytest.approx(0.2 / 3)
    assert found.noise == pytest.approx((0.02 / 3) ** 0.5)
    assert found.correlation == pytest.approx(1.0)
    assert found.kappa is not None
    assert 0.8 < found.kappa < 1


def test_it_prints_pickles_and_composes() -> None:
    """A judge is a value: it travels to another process, and stands in other scorers."""
    with ScriptedServer(marker([8])) as server:
        judge = RubricJudge([TRUTH, STYLE], model=f"{server.url}#judge", samples=1)
        travelled = pickle.loads(pickle.dumps(judge))
        assert travelled == judge
        assert travelled("Water is wet.").score == judge("Water is wet.").score
        negated = Minimize(judge)("Water is wet.")
    assert isinstance(negated, Evaluation)
    assert negated.score == pytest.approx(-(3 * 0.8 + 0.5) / 4)
    assert "weight=3, low=0, high=10), Criterion(name='Good style!', description='Is it a pleasure?'" in repr(judge)
    assert f"model='{server.url}#judge', samples=1" in repr(judge)


def test_a_key_in_the_options_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that came from another process carries the options of that process, and does not show the key in them."""
    monkeypatch.setitem(llm.default_llm_options, "api_key", "sk-secret")
    judge = RubricJudge([TRUTH])
    assert "sk-secret" not in repr(judge) + repr(pickle.loads(pickle.dumps(judge)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"criteria": []}, "criteria"),
        ({"criteria": ["truth"]}, "criteria"),
        ({"criteria": [TRUTH, Criterion("Truth", "Again?")]}, "criteria"),
        ({"criteria": [Criterion("fence code", "?")]}, "criteria"),
        ({"samples": 0}, "samples"),
        ({"samples": True}, "samples"),
        ({"longest": 0}, "longest"),
        ({"scale": (1, 1)}, "scale"),
        ({"scale": (0, float("inf"))}, "scale"),
        ({"model": 7}, "model"),
    ],
)
def test_bad_input_names_the_field(change: dict[str, Any], named: str) -> None:
    """What cannot work is refused when the judge is made, in a line that names the field."""
    with pytest.raises(BadInput, match=f"^{named}"):
        RubricJudge(**{"criteria": [TRUTH], "model": ScriptedModel([]), **change})


@pytest.mark.parametrize(
    "wrong", [{"name": "?"}, {"description": " "}, {"weight": 0}, {"weight": float("nan")}, {"low": 10}, {"high": "5"}]
)
def test_a_criterion_that_cannot_be_marked_is_refused(wrong: dict[str, Any]) -> None:
    """Each criterion has a name, a description, a weight above 0 and a scale."""
    with pytest.raises(BadInput, match=r"^criterion"):
        Criterion(**{"name": "truth", "description": "Is it right?", **wrong})


def test_examples_off_the_scale_or_too_few_are_refused() -> None:
    """A calibration set needs two texts, with scores on the judge's scale."""
    judge = RubricJudge([TRUTH], model=ScriptedModel([lambda request: ""]))
    with pytest.raises(BadInput, match="number 1 is 7"):
        judge.calibrate([("a", 0.5), ("b", 7)])
    with pytest.raises(BadInput, match="at least two"):
        judge.calibrate([])
