"""``llm-optimize prompt`` without a terminal: flags, keys, scorers, what is saved, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import threading

import pytest

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.stores.sqlite import SQLiteStore
from llm_optimize.testing.server import Answer, Quirks, ScriptedServer


def judged(body):
    """What a judge says: the longer the prompt, the better, up to 10; None where no judge is asked."""
    text = body["messages"][-1]["content"]
    found = re.search(r"<<<CANDIDATE ([0-9a-f]{16})>>>\n(.*?)\n<<<END CANDIDATE", text, re.DOTALL)
    if not found:
        return None
    names = re.findall(r"^- (\w+) \(0 worst", text, re.MULTILINE)
    mark = min(len(found[2]) // 12, 10)
    return json.dumps({"fence_code": found[1], **{name: {"reason": "Because.", "mark": mark} for name in names}})


def proposed(body):
    """A longer prompt than the current one, which depends on what was asked alone."""
    shown = re.findall(r"The current x:\n\n`+\n(.*?)\n`+\n", body["messages"][-1]["content"], re.DOTALL)
    told = sum(map(ord, body["messages"][-1]["content"])) % 1000
    return f"Longer.\n```\n{shown[-1]} Be exact ({told}).\n```"


def answer(body, _):
    """Judge or propose."""
    return judged(body) or proposed(body)


@pytest.fixture
def model():
    """A server that proposes and judges."""
    with ScriptedServer(answer) as scripted:
        yield scripted


_SMALL = ("--num_iters", 2, "--num_samples", 4, "--judge-samples", 1)
_START = "Sum up {text}."


def words(model, *more, prompt=_START):
    """The command line of a small search."""
    return ("prompt", "--prompt", prompt, "--model", f"{model.url}#scripted", *_SMALL, *more)


def events(cli, study="prompt-1", name=".llm_optimize/studies.db"):
    """The study's log."""
    return [event for _, event in SQLiteStore(cli.folder / name).read(study)]


def candidates(log):
    """All candidates of a log, by id."""
    return {one.id: one for event in log if isinstance(event, Proposed) for one in event.candidates}


def judgements(model):
    """The prompts that the judge was shown, in order."""
    bodies = [request.body["messages"][-1]["content"] for request in model.requests]
    found = [re.search(r"<<<CANDIDATE \w+>>>\n\| (.*?)\n<<<END CANDIDATE", text, re.DOTALL) for text in bodies]
    return [one[1] for one in found if one]


def test_a_search_prints_the_best_prompt_and_says_the_rest_on_stderr(cli, model) -> None:
    """Without a terminal stdout is the best prompt alone, stderr plain lines without any control character."""
    done = cli(*words(model, "--improve", "for children"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(_START)
    assert len(done.stdout) > len(_START)
    assert "\x1b" not in done.stdout + done.stderr
    assert "ended: generations: 2 after the first one are done" in done.stderr
    assert "judge (scripted): 9 model calls" in done.stderr


def test_every_child_that_is_made_is_judged_and_elites_only_once(here, model) -> None:
    """The initial prompt, the first population and all children are judged once each: none twice, none never."""
    assert here(*words(model)).returncode == 0
    texts = [one.text.strip() for one in candidates(events(here)).values()]
    assert len(texts) == 1 + 4 + 2 + 2
    assert sorted(judgements(model)) == sorted(texts)


def test_a_score_of_zero_is_a_score(here) -> None:
    """Elites that score 0 are not judged again either."""

    def zero(body, _):
        said = judged(body)
        return re.sub(r'"mark": \d+', '"mark": 0', said) if said else proposed(body)

    with ScriptedServer(zero) as model:
        done = here(*words(model))
    assert (done.returncode, done.stdout.strip()) == (0, _START)
    assert len(judgements(model)) == len(set(judgements(model))) == 9


def test_both_spellings_of_a_flag_mean_the_same(here, model) -> None:
    """Underscores as in the original and dashes as elsewhere are both understood."""
    base = ("prompt", "--prompt", _START, "--model", f"{model.url}#scripted")
    first = here(*base, "--num_iters", 0, "--num_samples", 1, "--judge_samples", 1, "--num_elites", 1, "--threshold", 1)
    second = here(*base, "--num-iters", 0, "--num-samples", 1, "--judge-samples", 1, "--num-elites", 1)
    assert (first.returncode, first.stdout) == (0, second.stdout)


def test_no_iterations_return_the_best_of_the_first_population(here, model) -> None:
    """With --num_iters 0 the first population is judged and its best prompt returned, not the initial one."""
    done = here(*words(model, "--num_iters", 0))
    assert done.returncode == 0
    assert "Be exact" in done.stdout
    assert len(judgements(model)) == 5


@pytest.mark.parametrize("size", [1, 2])
def test_populations_of_one_and_two_work(here, model, size) -> None:
    """The smallest populations have one child a generation."""
    done = here(*words(model, "--num_samples", size))
    assert done.returncode == 0, done.stderr
    assert len(judgements(model)) == 1 + size + 2


def test_the_threshold_ends_between_generations(here, model) -> None:
    """A score that reaches it ends the search when the whole generation is judged."""
    done = here(*words(model, "--threshold", 0.2))
    assert "ended: threshold: " in done.stderr
    assert len(judgements(model)) == 5
    assert sum(isinstance(event, Told) for event in events(here)) == 5


def test_a_backslash_and_an_n_are_a_line_end(here, model) -> None:
    r"""``\n`` typed as two characters becomes a newline, in the prompt and in the wish."""
    assert here(*words(model, "--improve", r"short\nclear", "--num_iters", 0, prompt=r"one\ntwo")).returncode == 0
    assert candidates(events(here))[0].text == "one\ntwo"
    assert "wishes of the new version: short clear" in next(iter(events(here))).problem.task


def test_the_judge_is_shown_wish_and_initial_prompt_in_their_places(here, model) -> None:
    """In the request as it was sent, for the initial prompt and for every other one."""
    here(*words(model, "--improve", "for children", "--num_iters", 0))
    sent = [request.body["messages"] for request in model.requests if judged(request.body)]
    assert len(sent) == 5
    for system, _ in sent:
        assert "Its owner wishes this of the new version: for children" in system["content"]
        initial = re.search(r"<<<TEXT \w+>>>\n(.*)\n<<<END TEXT", system["content"], re.DOTALL)[1]
        assert initial == f"| {_START}"


def test_the_key_comes_by_flag_or_by_environment(here, model) -> None:
    """Both reach the endpoint as they are; neither is written to the log."""
    assert here(*words(model, "--openai_api_key", "key-by-flag")).returncode == 0
    assert {request.headers.get("authorization") for request in model.requests} == {"Bearer key-by-flag"}
    first = len(model.requests)
    assert here(*words(model), env={"OPENAI_API_KEY": "key-by-environment"}).returncode == 0
    assert {one.headers.get("authorization") for one in model.requests[first:]} == {"Bearer key-by-environment"}
    stored = (here.folder / ".llm_optimize" / "studies.db").read_bytes()
    assert b"key-by" not in stored


def test_the_prompt_is_read_from_a_pipe(cli, model) -> None:
    """``--prompt -`` takes the prompt from stdin."""
    process = cli.start(*words(model, "--num_iters", 0, prompt="-"), stdin=-1)
    out, _ = process.communicate("Sum up {text}\nin German.\n", timeout=100)
    assert process.returncode == 0
    assert out.startswith("Sum up {text}\nin German.")


def test_json_is_one_object_per_line(here, model) -> None:
    """Every line of stdout is an object: candidates with both parents, judge texts, and the result at the end."""
    done = here(*words(model, "--json"))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert lines[-1]["kind"] == "result"
    assert lines[-1]["best_text"].strip().startswith(_START)
    made = [one for line in lines if line["kind"] == "proposed" for one in line["candidates"]]
    assert all(one["parent"] is not None and one["others"] for one in made if one["id"] > 4)
    assert all("Because." in line["feedback"] for line in lines if line["kind"] == "told")


def test_the_best_prompt_is_written_to_a_file(here, model) -> None:
    """``--output`` holds what stdout holds."""
    done = here(*words(model, "--output", "best.txt", "--quiet"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (here.folder / "best.txt").read_text(encoding="utf-8") == done.stdout


def test_everything_is_saved(here, model) -> None:
    """The log has each candidate with its parents, its score and what the judge said, and the flags."""
    here(*words(model, "--improve", "w", "--seed", 3, "--store", "s.db", "--study", "mine"))
    log = events(here, "mine", "s.db")
    made = candidates(log)
    assert [made[number].parent for number in range(5)] == [None, 0, 0, 0, 0]
    assert all(made[number].parent in made and set(made[number].others) <= set(made) for number in range(5, 9))
    assert any(made[number].others for number in range(5, 9))
    told = {event.candidate_id: event.outcome for event in log if isinstance(event, Told)}
    assert told.keys() == made.keys()
    assert all("clarity: " in outcome.feedback and "Because." in outcome.feedback for outcome in told.values())
    assert {event.arm for event in log if isinstance(event, Proposed)} == {
        "",
        *(f"generation-{number}" for number in range(3)),
    }
    opened = next(event for event in log if isinstance(event, Opened))
    assert (opened.seed, opened.settings["flags"]["improve"]) == (3, "w")


def lineage(cli, name):
    """Texts, origins and parents of a study."""
    return [(one.text, one.origin, one.parent, one.others) for one in candidates(events(cli, "study", name)).values()]


def test_a_seed_and_a_scripted_model_give_the_same_lineage(here, model) -> None:
    """Twice the same seed is twice the same search, however many judgements run at a time; another seed another one."""
    for name, seed, parallel in [("a", 1, 1), ("b", 1, 8), ("c", 2, 8)]:
        given = words(model, "--seed", seed, "--parallel", parallel, "--store", name, "--study", "study")
        assert here(*given).returncode == 0
    assert lineage(here, "a") == lineage(here, "b")
    assert lineage(here, "a") != lineage(here, "c")


def test_placeholders_are_in_every_prompt(here) -> None:
    """A model that loses {text} is asked again, and a prompt without it is never judged or returned."""

    def careless(body, index):
        said = judged(body)
        if said:
            return said
        return proposed(body) if index % 2 else "```\nI have lost what is to be summed up, but I am long.\n```"

    with ScriptedServer(careless) as model:
        done = here(*words(model))
    assert done.returncode == 0, done.stderr
    assert all("{text}" in one.text for one in candidates(events(here)).values())
    assert all("{text}" in text for text in judgements(model))


_UNKNOWN = ("n", "response_format", "tools", "tool_choice")
_IGNORANT = Quirks(ignores=frozenset(_UNKNOWN))
_STRICT = Quirks(refuses=dict.fromkeys(_UNKNOWN, "parameter"))


@pytest.mark.parametrize("quirks", [_IGNORANT, _STRICT], ids=["ignores", "refuses"])
def test_endpoints_without_n_or_schema_will_do(here, quirks) -> None:
    """Servers that refuse or ignore ``n`` and JSON schemas are asked in another way."""
    with ScriptedServer(answer, quirks=quirks) as model:
        done = here(*words(model, "--judge-samples", 2, "--num_iters", 0))
    assert done.returncode == 0, done.stderr
    assert len(candidates(events(here))) == 5


def test_a_script_scores_in_place_of_the_judge(here, model) -> None:
    """``--evaluator`` is run for each prompt, its lines are feedback, and no judge is asked."""
    here.write(
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--prompt')\n"
        "prompt = parser.parse_args().prompt\nprint('counted', len(prompt))\nprint(min(len(prompt) / 200, 1))\n",
        "evaluator.py",
    )
    done = here(*words(model, "--evaluator", "evaluator.py"))
    assert done.returncode == 0, done.stderr
    assert judgements(model) == []
    told = [event.outcome for event in events(here) if isinstance(event, Told)]
    assert len(told) == 9
    assert all(outcome.feedback.startswith("counted ") for outcome in told)


def test_a_script_that_fails_is_told_with_its_stderr(here, model) -> None:
    """A broken evaluator ends the run before a model is asked, with what it said, and exit code 1."""
    here.write("raise SystemExit('my evaluator is broken')", "evaluator.py")
    done = here(*words(model, "--evaluator", "evaluator.py"))
    assert done.returncode == 1
    assert "my evaluator is broken" in done.stderr
    assert model.charged == 0


def test_prompts_are_run_on_a_data_set(here) -> None:
    """With ``--data`` a prompt's score is its share of right answers, and nobody is asked for an opinion."""
    rows = [{"word": "cat", "answer": "3"}, {"word": "horse", "answer": "5"}]
    (here.folder / "d.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    def worker(body, _):
        asked = body["messages"][-1]["content"]
        if "The current x:" in asked or "is attempt #" in asked:
            return proposed(body)
        letters = re.search(r"letters of (\w+)", asked)[1]
        return str(len(letters)) if "Be exact" in asked else "4"

    with ScriptedServer(worker) as model:
        data = ("--data", "d.jsonl", "--expected", "answer", "--threshold", "1")
        done = here(*words(model, *data, prompt="Count the letters of {{word}}."))
    assert done.returncode == 0, done.stderr
    assert "from 0 (x0) to 1" in done.stderr
    assert "{{word}}" in done.stdout
    assert judgements(model) == []
    assert "target (scripted)" in done.stderr


def test_answers_without_a_right_one_are_judged(here) -> None:
    """A data set without right answers has its answers marked by the judge: the prompt itself is not."""
    (here.folder / "d.csv").write_text("word\ncat\nhorse\n", encoding="utf-8")

    def worker(body, _):
        asked = body["messages"][-1]["content"]
        return judged(body) or (proposed(body) if "is attempt #" in asked else f"ANSWER {asked}")

    with ScriptedServer(worker) as model:
        done = here(*words(model, "--data", "d.csv", "--num_iters", 0, prompt="Praise {{word}}."))
    assert done.returncode == 0, done.stderr
    assert judgements(model)
    assert all(text.startswith("ANSWER ") for text in judgements(model))


def test_a_budget_ends_the_search_with_the_best_so_far(here, model) -> None:
    """A cap on dollars at a price that was told is never passed, and the best so far is printed."""
    done = here(*words(model, "--price", "2.5,10", "--budget-usd", "0.04", "--json"))
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["reason"].startswith("budget dollars")
    assert 0 < result["usage"]["dollars"] <= 0.04
    assert result["best_text"]
    made = candidates(events(here))
    told = sum(isinstance(event, Told) for event in events(here))
    assert told == len(made), "what could not be judged was not made"


def test_mutation_and_an_evolving_instruction_can_be_switched_on(here) -> None:
    """The two switches reach the search: children of several operators, and instructions in the log."""

    def evolving(body, index):
        if "Write a better instruction" in body["messages"][-1]["content"]:
            return json.dumps({"instruction": "Be bolder."})
        return answer(body, index)

    with ScriptedServer(evolving) as model:
        done = here(*words(model, "--mutate", "--evolve"))
    assert done.returncode == 0, done.stderr
    log = events(here)
    assert len({one.origin for one in candidates(log).values() if one.id > 4}) > 1
    lessons = [event.lessons.texts for event in log if isinstance(event, Proposed) and event.lessons]
    assert lessons[-1][-1] == "Be bolder."


def test_an_interrupted_search_gives_the_best_so_far_and_goes_on(cli) -> None:
    """Ctrl-C prints the best so far, says so, exits with 130; ``resume`` goes on without judging anything twice."""
    waiting, go = threading.Event(), threading.Event()

    def slow(body, index):
        said = judged(body)
        if said and "current" not in body and len(model.requests) > 12 and not go.is_set():
            waiting.set()
            go.wait(60)
        return said or proposed(body)

    with ScriptedServer(slow) as model:
        process = cli.start(*words(model, "--parallel", 1, "--study", "mine", "--output", "best.txt"))
        assert waiting.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert out.startswith(_START)
        assert "interrupted by Ctrl-C; the best so far is #" in err
        assert (cli.folder / "best.txt").read_text(encoding="utf-8") == out
        go.set()
        done = cli("resume", "mine")
        assert done.returncode == 0, done.stderr
        assert len(candidates(events(cli, "mine"))) == 9
        texts = judgements(model)
        assert len(texts) - len(set(texts)) <= 1, "only the one judgement that was broken off is asked for again"
        again = cli("resume", "mine")
        assert (again.returncode, again.stdout) == (0, done.stdout)
        assert "the study is done already" in again.stderr


def test_an_endpoint_that_fails_ends_with_code_1_and_the_best_so_far(here) -> None:
    """Trouble on the way is an error; what was found is printed all the same."""

    def failing(body, index):
        if judged(body) is None and index > 8:
            return Answer("no more", status=401)
        return answer(body, index)

    with ScriptedServer(failing) as model:
        done = here(*words(model))
    assert done.returncode == 1
    assert done.stdout.startswith(_START)
    assert "no more" in done.stderr
