"""What an evaluation takes along and brings back: keys, caps, paid replies, costs."""

from __future__ import annotations

import logging
import os
import signal
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from evaluation_log import LoggingScorer, began, ended, make_study

from llm_optimize import Budget, Evaluation, SQLiteStore, eval_utils, llm, optimize
from llm_optimize.core.account import LOST
from llm_optimize.core.metering import Scope
from llm_optimize.core.scoring import evaluate
from llm_optimize.errors import BadInput
from llm_optimize.parallel import as_executor, evaluation_key, executing, open_executor
from llm_optimize.parallel.errand import Errand, Sealed
from llm_optimize.parallel.packing import pack
from llm_optimize.parallel.worker import perform, versions
from llm_optimize.testing.server import ScriptedServer

SECRET = "sk-this-must-stay-secret"


@pytest.fixture(scope="module")
def workers():
    with executing("processes?workers=2") as executor:
        yield executor


def last_number(reply):
    return float(reply.split()[-1])


def judge(server, key=None):
    model = llm.OpenAIChat("scripted", base_url=server.url, api_key=key)
    return eval_utils.get_llm_scorer("Grade this: {x}", last_number, model=model)


def graded(body, index):
    return f"I give it {len(body['messages'][0]['content'])}"


def test_what_a_judge_costs_on_a_worker_is_counted_here_once(workers, tmp_path):
    """Calls and tokens of the log are those that the server charged; the replies are kept with the study."""
    with ScriptedServer(graded) as server:
        store = SQLiteStore(tmp_path / "studies.db")
        one = make_study(judge(server), workers, 8, store=store)
        one.run()
        counts = server.counts()
    usage = one.last.usage
    assert (usage.calls, usage.tokens_in, usage.tokens_out) == (9, counts["tokens_in"], counts["tokens_out"])
    assert set(one.last.account.by_role()) == {"judge"}
    assert [trial.score for trial in one.last.trials] == [len("Grade this: ") + len(t.text) for t in one.last.trials]
    assert len(list(store.keys("study", "evaluation/3/"))) == 1


@dataclass(frozen=True)
class DiesBetween:
    """Asks twice; the first worker that is at the candidate dies between the two."""

    judge: object
    marks: str

    def __call__(self, text):
        first = self.judge(text)[0]
        mark = Path(self.marks, evaluation_key().rpartition("/")[2])
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return first + self.judge(text + "!")[0]


@pytest.mark.parametrize("spec", ["processes?workers=2", "dask://local?workers=2"])
def test_a_call_that_is_made_again_carries_the_same_key(spec, tmp_path):
    """The worker dies between two paid calls; the second attempt is known to the endpoint, and counts once.

    An endpoint that does not know it again has charged the first attempt as well, of which nobody else can tell: the
    log says what it may have cost.
    """
    with ScriptedServer(graded) as server, executing(spec) as executor:
        one = make_study(DiesBetween(judge(server), str(tmp_path)), executor, 2)
        one.run()
        counts = server.counts()
    assert (counts["requests"], counts["repeats"], counts["charged"]) == (9, 3, 6)
    roles = one.last.account.by_role()
    assert set(roles) == {"judge", LOST}
    assert (roles["judge"].calls, roles["judge"].tokens_in) == (6, counts["tokens_in"])
    assert (roles[LOST].calls, roles[LOST].estimated) == (0, True)
    assert roles[LOST].tokens_in >= roles["judge"].tokens_in


def test_a_cap_on_tokens_holds_on_the_workers(workers):
    """The judges' calls are refused before they would pass the cap, and never more is in flight than is left."""
    with ScriptedServer(graded, latency=0.02) as server:
        one = make_study(judge(server), workers, 1000, parallel=4, budget=Budget(tokens=1500))
        ending = one.run()
        counts = server.counts()
    spent = counts["tokens_in"] + counts["tokens_out"]
    assert ending.reason.startswith("budget tokens")
    assert one.last.usage.tokens == spent
    assert 1200 < spent <= 1500


def test_what_was_paid_in_an_attempt_that_was_too_short_of_money_is_not_paid_again(workers):
    """A candidate that costs far more than those before gets more money, and its first replies along with it."""

    def scorer(text):
        return sum(asked(f"{text} {i}")[0] for i in range(40 if "slot 3" in text else 1))

    with ScriptedServer(graded) as server:
        asked = judge(server)
        one = make_study(scorer, workers, 4, parallel=1, budget=Budget(tokens=3000))
        one.run()
        counts = server.counts()
    assert [trial.score is None for trial in one.last.trials] == [False] * 5
    assert counts["requests"] == counts["charged"] == one.last.usage.calls == 44
    assert one.last.usage.tokens_in == counts["tokens_in"]


def test_a_key_goes_to_workers_that_call_models_and_into_no_log(monkeypatch, caplog, capfd, tmp_path):
    """With the judge travels the key of the environment; the store, the logs and the streams never show it."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    caplog.set_level(logging.DEBUG)
    with ScriptedServer(graded) as server, executing("processes?workers=1") as executor:
        make_study(judge(server), executor, 2, store=SQLiteStore(tmp_path / "studies.db")).run()
        assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {SECRET}"}
        make_study(
            judge(server, SECRET + "2"), executor, 2, name="two", store=SQLiteStore(tmp_path / "studies.db")
        ).run()
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


class Spy:
    """An executor that keeps what it is given, and carries it out here."""

    def __init__(self):
        self.sent = []

    def submit(self, fn, /, *args):
        self.sent.append(args[0])
        future = Future()
        future.set_result(fn(*args))
        return future


def test_a_scorer_without_models_takes_no_key_along(monkeypatch):
    """The environment's key is sent with a scorer that holds a model, alone; what is sent prints without it."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    spy = Spy()
    make_study(len, as_executor(spy), 1).run()
    assert [sealed.opened().environment for sealed in spy.sent] == [{}, {}]
    with ScriptedServer(graded) as server:
        make_study(judge(server, SECRET), as_executor(spy), 0).run()
    assert spy.sent[-1].opened().environment["OPENAI_API_KEY"] == SECRET
    assert SECRET not in f"{spy.sent[-1]!r} {spy.sent[-1].opened().scorer!r}"
    assert repr(spy.sent[-1]) == "Sealed(name='evaluation/0 of study')"


def test_a_large_scorer_is_sent_to_a_worker_once(workers):
    """Beyond 64 KB the scorer follows only where it is missing."""
    spy, data = Spy(), os.urandom(200_000)
    one = make_study(lambda text: len(text) + len(data), as_executor(spy), 5)
    one.run()
    assert [trial.score - len(trial.text) for trial in one.last.trials] == [200_000] * 6
    assert sum(len(sealed.body) > 200_000 for sealed in spy.sent) == 1
    with executing("dask://local?workers=2") as executor:
        one = make_study(lambda text: len(text) + len(data), executor, 5)
        one.run()
    assert [trial.score - len(trial.text) for trial in one.last.trials] == [200_000] * 6


def test_another_version_on_a_worker_is_named():
    """Bytes of another Python may do anything, so a worker refuses them, with the remedy."""
    spy = Spy()
    make_study(len, as_executor(spy), 0).run()
    errand: Errand = replace(spy.sent[0].opened(), versions=("3.5", versions()[1]))
    answer = perform(Sealed.of("evaluation/0", errand)).opened()
    assert isinstance(answer.error, BadInput)
    assert "the study Python 3.5" in str(answer.error)


def test_an_engine_that_fails_ends_the_session_and_a_resume_goes_on(tmp_path):
    """Trouble of the engine says nothing about a candidate: it stays pending, and is evaluated first next time."""

    class Broken:
        def submit(self, fn, /, *args):
            raise RuntimeError("cannot schedule new futures after shutdown")

    store, path = SQLiteStore(tmp_path / "studies.db"), tmp_path / "log"
    one = make_study(LoggingScorer(str(path)), as_executor(Broken()), 2, store=store)
    ending = one.run()
    assert "executor: RuntimeError: cannot schedule" in str(ending.error)
    assert one.last.evaluations == 0
    again = make_study(LoggingScorer(str(path)), None, 2, store=store)
    again.run()
    assert began(path) == ended(path) == {0: 1, 1: 1, 2: 1}


def test_an_idempotency_key_names_study_and_evaluation():
    """Its parts are the study's birth, its name and the unit of work; there is none outside a study."""
    assert evaluation_key() is None
    scope = Scope("poem", "retest/7", born=12.5)
    outcome, _ = evaluate(lambda text: (1.0, evaluation_key()), "x", scope)
    assert isinstance(outcome, Evaluation)
    assert outcome.feedback == "12.5/poem/retest/7"


def test_a_name_of_no_executor_is_refused():
    """A word that is none, a missing place and a number that is none are each said in a line."""
    for spec in ("dask", "dask://", "slurm://x", "threads?workers=2", "processes?worker=2", "ray://a/b", "processes:2"):
        with pytest.raises(BadInput, match=r"executor is .*give one of threads, processes"):
            open_executor(spec)
    for spec in ("processes?workers=0", "dask://local?workers=x", "processes?workers="):
        with pytest.raises(BadInput, match="workers is no whole number"):
            open_executor(spec)
    with pytest.raises(BadInput, match="executor is a int: give one of"):
        as_executor(3)
    with pytest.raises(BadInput, match=r"no Dask scheduler answers at 127\.0\.0\.1:9 "):
        open_executor("dask://127.0.0.1:9")


def test_one_argument_takes_a_run_elsewhere(tmp_path):
    """optimize.run and the command line take the executor's name; what it started is ended with the run."""
    path = tmp_path / "log"
    with ScriptedServer(lambda body, index: f"```\ncandidate {index}\n```") as server:
        result = optimize.run(
            "task", "question", LoggingScorer(str(path)), "start", model=f"{server.url}#scripted", store=None,
            max_steps=4, parallel=2, verbose=False, executor="processes?workers=2",
        )  # fmt: skip
    assert result.reason == "max_steps: 4 steps are done"
    assert began(path) == ended(path) == dict.fromkeys(range(5), 1)
    pids = {int(line.split()[2]) for line in path.read_text().splitlines()}
    assert os.getpid() not in pids
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_workers_that_would_have_nothing_to_do_are_named(caplog):
    """Who changes the executor alone is told that parallel says how much of it is used."""
    with executing("processes?workers=3") as executor:
        as_executor(executor, 3)
        assert caplog.text == ""
        as_executor(executor, 1)
    assert "parallel is 1, so 2 of the executor's 3 workers will have nothing to do: raise parallel to 3" in caplog.text


def test_a_parcel_says_whether_a_model_is_inside():
    """A model in a closure, in a field or in a list is found, since it needs a key."""
    model = llm.OpenAIChat("scripted", base_url="http://127.0.0.1:9/v1")
    assert not pack(len).asks
    assert pack(lambda text: model.name + text).asks
    assert pack([{"judge": model}]).asks
    assert pack(eval_utils.get_llm_scorer("{x}", last_number)).asks
