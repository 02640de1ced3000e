"""The pipeline on the three kinds of files, end to end over HTTP: what is counted, kept, said and capped."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from llm_optimize import distill, llm
from llm_optimize.distill.asking import rewriting
from llm_optimize.distill.pipeline import read_best
from llm_optimize.errors import BadInput, ModelError, NoCandidate, StudyOwned
from llm_optimize.testing.server import Answer, Fault, ScriptedServer

QUICK = distill.Settings(samples=2, wrong=2)


@pytest.fixture
def items(server, fixtures):
    """All items of the three fixtures."""
    judged = distill.Judged(f"{server.url}#judge")
    return [
        *distill.read_items("mmlu", fixtures / "mmlu.csv"),
        *distill.read_items("alpaca", fixtures / "alpaca.json", open_scorer=judged),
        *distill.read_items("humaneval", fixtures / "humaneval.jsonl"),
    ]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_three_files_from_hard_items_to_the_best_of_each(items, server, world, tmp_path):
    """Every figure of the report is what the scripted world makes it, and the server was asked for exactly that."""
    done = distill.run(items, tmp_path / "run", f"{server.url}#scripted", settings=QUICK, parallel=16)
    counts = done.report.counts
    identities = [world.find(item.asked(item.prompt))[0] for item in items]
    easy = sum(map(world.is_easy, identities))
    stubborn = sum(map(world.is_stubborn, identities))
    hard = len(items) - easy
    assert (counts.items, counts.sampled, counts.hard) == (66, 66, hard)
    assert counts.rewrites == 6 * hard
    assert (counts.new, counts.unchanged, counts.duplicates) == (2 * hard, hard, hard)
    assert (counts.gives_away, counts.none, counts.answer_shown) == (hard, hard, 0)
    assert (counts.improved, counts.kept) == (hard - stubborn, stubborn)
    assert counts.train + counts.validation == hard
    groups = len({one.original for one in done.bests})  # items with one instruction are not parted
    assert len({one.original for one in done.bests if one.part == "validation"}) == round(groups * 0.2)
    assert done.report.total.calls == server.counts()["charged"] == len(server.requests)
    assert done.report.total.tokens_in == server.counts()["tokens_in"]
    assert dict(done.report.words_after) == {"think": counts.improved}
    assert "what" in dict(done.report.words_before)
    kept = [one for one in done.bests if not one.is_improved]
    assert all(one.improved == one.original and one.margin == 0 for one in kept)
    assert str(done).count("\n") >= 8
    assert read_best(tmp_path / "run") == done.bests
    assert json.loads((tmp_path / "run" / "report.json").read_text())["counts"]["hard"] == hard


def test_the_comparison_is_of_fresh_answers_on_held_out_items(items, server, tmp_path):
    """Held-out items are answered anew, and the difference carries an interval that holds it."""
    settings = replace(QUICK, validation=0.9)
    done = distill.run(items[:14], tmp_path / "run", f"{server.url}#scripted", settings=settings)
    found = done.report.comparison
    held = [one for one in done.bests if one.part == "validation"]
    improved = sum(one.is_improved for one in held)
    assert (found.items, found.changed) == (len(held), improved)
    assert found.before == 0
    assert found.difference == pytest.approx(improved / len(held))
    assert found.low < found.difference < found.high
    assert found.is_clear
    assert str(found) in str(done)
    fresh = lines(tmp_path / "run" / "comparison.jsonl")
    assert len(fresh) == len(held) + improved
    assert done.report.usage["comparison"].calls == 2 * len(fresh)


def test_begun_again_it_asks_nothing_and_says_the_same(items, server, tmp_path):
    """A run that is done is its files."""
    first = distill.run(items[:6], tmp_path / "run", f"{server.url}#scripted", settings=QUICK)
    asked = len(server.requests)
    assert distill.run(items[:6], tmp_path / "run", f"{server.url}#scripted", settings=QUICK) == first
    assert len(server.requests) == asked


def test_defaults_make_two_rewrites_in_three_rounds(items, server, tmp_path):
    """With the usual settings the record holds six rewrites of each hard item, two in each of three rounds."""
    done = distill.run(items[:3], tmp_path / "run", f"{server.url}#scripted")
    made = Counter((one["id"], one["round"]) for one in lines(tmp_path / "run" / "rewrites.jsonl"))
    assert set(made.values()) == {2}
    assert {round_ for _, round_ in made} == {1, 2, 3}
    assert {name for name, _ in made} == {one.id for one in done.bests}


def test_later_rounds_are_shown_scores_and_excerpts(items, server, tmp_path):
    """The first round shows the original's own score and answers, a later one the versions scored before."""
    distill.run(items[:1], tmp_path / "run", f"{server.url}#scripted", settings=QUICK)
    asked = [
        one.body["messages"][-1]["content"]
        for one in server.requests
        if "rewrite" in one.body["messages"][0]["content"]
    ]
    assert all('<original score="0.00">' in text and "<answer>No idea, really.</answer>" in text for text in asked)
    assert sum("<earlier" in text for text in asked) == 4
    assert all("Think carefully." in text for text in asked[2:])


def test_the_right_answer_does_not_reach_the_rewriter(server, world, tmp_path):
    """Whatever is the right answer, the rewriter is asked the same; with show_answer it is told, which is flagged."""
    seen = {}
    for letter in "AB":
        row = f"Which is it?,one,two,three,four,{letter}\n"
        (tmp_path / f"{letter}.csv").write_text(row)
        items = distill.read_items("mmlu", tmp_path / f"{letter}.csv")

        def answer(body, _):
            return "<prompt>Which?</prompt>" if body["messages"][0]["role"] == "system" else "D"

        for shown in (False, True):
            settings = replace(QUICK, show_answer=shown)
            with ScriptedServer(answer) as own:
                done = distill.run(items, tmp_path / f"{letter}{shown}", f"{own.url}#m", settings=settings)
                bodies = [one.body["messages"] for one in own.requests if one.body["messages"][0]["role"] == "system"]
            seen[letter, shown] = bodies
            assert done.report.counts.answer_shown == (6 if shown else 0)
            records = lines(tmp_path / f"{letter}{shown}" / "rewrites.jsonl")
            assert all(one["answer_shown"] is shown for one in records)
            assert done.bests[0].answer_shown is shown
    assert seen["A", False] == seen["B", False]
    assert seen["A", True] != seen["B", True]
    assert "<right_answer>\nA) one\n</right_answer>" in seen["A", True][0][-1]["content"]


def test_a_rewrite_that_holds_the_answer_is_not_scored(server, fixtures, tmp_path):
    """What gives the answer away is counted and left alone, for each kind of item."""
    choice = distill.read_items("mmlu", fixtures / "mmlu.csv")[0]
    assert choice.gives_away("A hexagon has 6 sides. How many?")
    assert not choice.gives_away("How many sides are there? (16 is too many.)")
    distill.run([choice], tmp_path / "run", f"{server.url}#scripted", settings=QUICK)
    scored = {one["version"] for one in lines(tmp_path / "run" / "scores.jsonl")}
    given = {
        f"{one['round']}-{one['index']}"
        for one in lines(tmp_path / "run" / "rewrites.jsonl")
        if one["status"] == "gives_away"
    }
    assert given == {"3-0"}
    assert not scored & given


def test_an_item_is_hard_by_the_number_of_wrong_answers(tmp_path):
    """Wrong in two of four samples is hard at wrong=2 and not at wrong=3."""
    (tmp_path / "q.csv").write_text("Which?,one,two,three,four,B\n")
    item = distill.read_items("mmlu", tmp_path / "q.csv")

    def answer(body, index):
        return "<prompt>Now which?</prompt>" if body["messages"][0]["role"] == "system" else "AB"[index % 2]

    for wrong, hard in ((2, 1), (3, 0)):
        with ScriptedServer(answer) as server:
            settings = distill.Settings(samples=4, wrong=wrong, rounds=1)
            done = distill.run(item, tmp_path / str(wrong), f"{server.url}#m", settings=settings, parallel=1)
        assert done.report.counts.hard == hard


@pytest.mark.parametrize(
    ("caps", "says"),
    [
        (distill.Caps(calls=20), "cap on calls: all 20 are made or under way"),
        (distill.Caps(tokens=6000), "budget tokens"),
        (distill.Caps(dollars=0.003), "budget dollars"),
    ],
)
def test_a_cap_holds_and_a_higher_one_goes_on(items, server, tmp_path, monkeypatch, caps, says):  # noqa: PLR0913, PLR0917 - fixtures
    """No call passes a cap; what is there is reported; with more money the run ends as one that was never capped."""
    (tmp_path / "prices.json").write_text('{"scripted": [1, 2], "judge": [1, 2]}')
    monkeypatch.setenv("LLM_OPTIMIZE_PRICES", str(tmp_path / "prices.json"))
    settings = replace(QUICK, answer_tokens=50)
    model = f"{server.url}#scripted"
    capped = distill.run(items[:10], tmp_path / "run", model, settings=settings, caps=caps)
    assert not capped.is_done
    assert says in capped.report.reason
    assert says in str(capped)
    spent = capped.report.total
    assert spent.calls <= (caps.calls or 10**9)
    assert spent.tokens <= (caps.tokens or 10**9)
    assert spent.dollars <= (caps.dollars or 10**9)
    assert spent.calls == server.counts()["charged"] > 0
    done = distill.run(items[:10], tmp_path / "run", model, settings=settings, caps=distill.Caps(dollars=5))
    whole = distill.run(items[:10], tmp_path / "whole", model, settings=settings)
    assert done.is_done
    assert done.bests == whole.bests
    assert done.report.total.calls == whole.report.total.calls
    assert server.counts()["charged"] == 2 * whole.report.total.calls
    assert done.report.total.dollars > 0


def test_a_cap_on_dollars_needs_every_price_before_the_first_call(items, server, tmp_path, monkeypatch):
    """An unknown price, also of the judge alone, is refused before anything is asked."""
    for prices, unknown in (("{}", "scripted"), ('{"scripted": [1, 2]}', "judge")):
        (tmp_path / f"{unknown}.json").write_text(prices)
        monkeypatch.setenv("LLM_OPTIMIZE_PRICES", str(tmp_path / f"{unknown}.json"))
        with pytest.raises(BadInput, match=f"price of '{unknown}' is unknown"):
            distill.run(items, tmp_path / "run", f"{server.url}#scripted", caps=distill.Caps(dollars=1))
    assert server.requests == []


def test_the_cost_is_said_before_and_after(items, server, tmp_path):
    """The forecast comes before the first call and bounds what follows; the cost comes last."""
    said = []

    def say(text):
        said.append((len(server.requests), text))

    pipeline = distill.Pipeline(items[:6], tmp_path / "run", f"{server.url}#scripted", settings=QUICK, say=say)
    expected = pipeline.forecast()
    done = pipeline.run()
    assert said[0][0] == 0
    assert str(expected) in said[0][1]
    assert "still to come" in said[1][1]
    assert said[-1][1] == done.report.spending
    assert done.report.total.calls <= expected.calls
    assert done.report.total.tokens <= expected.tokens


def test_enough_leaves_an_item_alone(items, server, world, tmp_path):
    """An item whose rewrite is good enough is not rewritten in the rounds that remain."""
    done = distill.run(items[:6], tmp_path / "run", f"{server.url}#scripted", settings=replace(QUICK, enough=1.0))
    made = Counter(one["id"] for one in lines(tmp_path / "run" / "rewrites.jsonl"))
    assert {made[one.id] for one in done.bests if one.is_improved} == {2}
    assert {made[one.id] for one in done.bests if not one.is_improved} <= {6}


def test_items_that_ask_the_same_are_one(server, tmp_path):
    """Case, spacing and punctuation do not make another question."""
    rows = "Which is it?,one,two,three,four,B\nwhich  is it,one,two,three,four,B\nWhich is it?,one,two,three,five,B\n"
    (tmp_path / "q.csv").write_text(rows)
    kept, left = distill.distinct(distill.read_items("mmlu", tmp_path / "q.csv"))
    assert ([one.id for one in kept], left) == (["mmlu-0", "mmlu-2"], 1)
    with ScriptedServer(lambda *_: "B") as own:
        done = distill.run(distill.read_items("mmlu", tmp_path / "q.csv"), tmp_path / "run", f"{own.url}#m")
    assert (done.report.counts.items, done.report.counts.duplicate_items) == (2, 1)


def test_a_timeout_is_asked_again_and_paid_once(serve, tmp_path):
    """An answer that does not come in time is asked for again under its key; a busy server too."""
    (tmp_path / "q.csv").write_text("Which?,one,two,three,four,B\n")
    items = distill.read_items("mmlu", tmp_path / "q.csv")
    stalled, busy = Answer("B", fault=Fault("stall")), Answer(status=503, text="busy", headers={"Retry-After": "0"})
    with serve(stalled, busy, "B") as own:
        llm.default_llm_options["timeout"] = 1.0
        done = distill.run(items, tmp_path / "run", f"{own.url}#m", settings=QUICK, parallel=1)
        counts = own.counts()
    assert counts["requests"] >= 4
    assert counts["charged"] == done.report.total.calls == 2


def test_an_endpoint_that_fails_ends_the_run_and_loses_nothing(tmp_path):
    """The error is the endpoint's; what was paid before it is on disk, and the run goes on from there."""
    (tmp_path / "q.csv").write_text("Which?,one,two,three,four,B\nWhat?,one,two,three,four,B\n")
    items = distill.read_items("mmlu", tmp_path / "q.csv")
    with ScriptedServer(lambda _, index: "B" if index < 2 else Answer(status=401, text="wrong key")) as own:
        with pytest.raises(ModelError):
            distill.run(items, tmp_path / "run", f"{own.url}#m", settings=QUICK, parallel=1)
        assert own.charged == 2
    with ScriptedServer(lambda *_: "B") as own:
        done = distill.run(items, tmp_path / "run", f"{own.url}#m", settings=QUICK)
        assert own.charged == 2
    assert done.report.total.calls == 4


def test_another_beginning_needs_another_folder(items, server, tmp_path):
    """Other settings, items or models are refused with their name; nothing is asked."""
    model = f"{server.url}#scripted"
    distill.run(items[:2], tmp_path / "run", model, settings=QUICK)
    asked = len(server.requests)
    for some, name, settings, says in (
        (items[:2], model, replace(QUICK, rounds=2), "rounds (3, not 2)"),
        (items[:3], model, QUICK, "items"),
        (items[:2], f"{server.url}#other", QUICK, "model, rewriter"),
        ([replace(items[0], right=0.5), items[1]], model, QUICK, "items"),
    ):
        with pytest.raises(BadInput, match="was begun with other") as error:
            distill.run(some, tmp_path / "run", name, settings=settings)
        assert says in str(error.value)
    assert len(server.requests) == asked


def test_one_process_at_a_time_works_in_a_folder(items, server, tmp_path):
    """A second run in the same folder is refused while the first has it."""
    refused = []

    def say(_):
        try:
            distill.run(items[:1], tmp_path / "run", f"{server.url}#scripted", settings=QUICK)
        except StudyOwned as error:
            refused.append(str(error))

    distill.run(items[:1], tmp_path / "run", f"{server.url}#scripted", settings=QUICK, say=say)
    assert refused
    assert all("another process works in this folder" in text for text in refused)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda path: distill.run([], path), "items: give at least one Item"),
        (lambda path: distill.Settings(samples=3, wrong=4), "wrong is 4"),
        (lambda path: distill.Settings(validation=1.0), "nothing would be left"),
        (lambda path: distill.Settings(enough=0.0), "enough is 0.0"),
        (lambda path: distill.Caps(calls=0), "cap on calls is 0"),
        (lambda path: distill.Caps(dollars=-1), "cap on dollars is -1"),
        (lambda path: distill.read_items("gsm8k", path), "kind is 'gsm8k'"),
        (lambda path: distill.read_items("alpaca", path), "open_scorer is None"),
        (distill.read_best, "is no folder of a distill run"),
        (lambda path: distill.Rewarded("http://127.0.0.1:1", {"text": "{text}"}), "no slot {prompt}"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, call, says):
    """Bad input names the field and the remedy before anything is asked."""
    with pytest.raises(BadInput) as error:
        call(tmp_path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_one_prompt_is_rewritten_without_a_forced_word(server):
    """The helper asks in the words of the training files and returns what the model says, whatever its first word."""
    with ScriptedServer(lambda *_: "Which city is the capital of France?") as own:
        assert distill.rewrite("capital france", f"{own.url}#m") == "Which city is the capital of France?"
        messages = own.requests[0].body["messages"]
    assert [one["role"] for one in messages] == ["system", "user"]
    assert messages[1]["content"] == "capital france"
    with ScriptedServer(lambda *_: Answer(None, refusal="no")) as own, pytest.raises(NoCandidate, match="refused"):
        distill.rewrite("capital france", f"{own.url}#m")


def test_the_original_is_kept_unless_a_rewrite_is_better_by_the_margin(items, server, tmp_path):
    """With a margin of 1 nothing is above the original by more, so every original is kept."""
    done = distill.run(items[:6], tmp_path / "run", f"{server.url}#scripted", settings=replace(QUICK, margin=1.0))
    assert done.report.counts.improved == 0
    assert done.report.counts.kept == done.report.counts.hard > 0


def test_ways_differ_within_a_round():
    """Two rewrites of one round are pointed to different ways, so that a steady model does not repeat itself."""
    attempt = distill.asking.Attempt("p", 0.0, ())
    assert rewriting(attempt, "", [], 0) != rewriting(attempt, "", [], 1)
