"""The same study on each engine, with two workers started here: same evaluations, same best, each counted once."""

from __future__ import annotations

import importlib
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec

import distributed
import pytest
from evaluation_log import LoggingScorer, began, ended, make_study, within

from llm_optimize.errors import BadInput
from llm_optimize.parallel import as_executor, executing
from llm_optimize.sandbox import Sandbox

ENGINES = ["processes?workers=2", "dask://local?workers=2"]
ENGINES += ["ray://local?workers=2"] if find_spec("ray") else []  # 200 MB, so not among what the tests install
STEPS = 30


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    with executing(request.param) as executor:
        yield executor


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The study on threads of this process."""
    one = make_study(LoggingScorer(str(tmp_path_factory.mktemp("threads") / "log")), None, STEPS)
    one.run()
    return one.last


def outcomes(history):
    return {(trial.text, trial.score) for trial in history.trials}


def test_an_engine_changes_nothing_but_the_place(engine, reference, tmp_path):
    """Same number of evaluations, same texts and scores, same best; the scorer's own log has each exactly once."""
    path = tmp_path / "log"
    one = make_study(LoggingScorer(str(path)), engine, STEPS)
    one.run()
    assert outcomes(one.last) == outcomes(reference)
    assert one.last.best.text == reference.best.text
    assert began(path) == ended(path) == dict.fromkeys(range(STEPS + 1), 1)
    assert one.last.evaluations == STEPS + 1


def test_workers_are_killed_and_nothing_is_lost_or_counted_twice(engine, reference, tmp_path):
    """SIGKILL every second at a worker within an evaluation: it is evaluated again, and counted once."""
    path = tmp_path / "log"
    one = make_study(LoggingScorer(str(path), seconds=0.15), engine, STEPS)
    over, killed = threading.Event(), []

    def kill():
        while not over.wait(1.0):
            if (pids := within(path)) and pids[-1] not in killed:
                killed.append(pids[-1])
                os.kill(pids[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        one.run()
    finally:
        over.set()
        killer.join()
    assert killed
    assert outcomes(one.last) == outcomes(reference)
    assert one.last.evaluations == STEPS + 1
    assert sorted(ended(path)) == list(range(STEPS + 1))
    assert sum(began(path).values()) <= STEPS + 1 + 2 * len(killed)  # only what a dead worker had begun is repeated


class Boxed:
    """Runs the candidate in a sandbox, and says which worker and which sandbox did."""

    def __init__(self):
        self.box = Sandbox()
        self.calls = 0

    def __call__(self, text):
        self.calls += 1
        done = self.box.run(f"x = len({text!r})", outputs=["x"])
        return done.values["x"], f"{os.getpid()} {self.calls}"


def test_each_worker_keeps_its_own_warm_sandbox(engine):
    """A sandbox travels as its settings; a worker opens it once and has it for all its evaluations."""
    scorer = Boxed()
    one = make_study(scorer, engine, 8)
    one.run()
    assert all(trial.score == len(trial.text) for trial in one.last.trials)
    seen = [tuple(map(int, trial.outcome.feedback.split())) for trial in one.last.trials]
    assert os.getpid() not in {pid for pid, _ in seen}
    assert max(calls for _, calls in seen) >= 9 / 2  # one scorer per worker, not one per evaluation
    assert scorer.calls == 0


def test_an_executor_of_the_standard_library_is_taken_as_it_is(reference, tmp_path):
    """A plain process pool gets what the named ones get: keys, and scorers that travel."""
    path = tmp_path / "log"
    with ProcessPoolExecutor(2) as pool:
        one = make_study(LoggingScorer(str(path)), as_executor(pool), STEPS)
        one.run()
    assert outcomes(one.last) == outcomes(reference)
    assert began(path) == ended(path) == dict.fromkeys(range(STEPS + 1), 1)


def test_a_scorer_of_no_module_travels(engine):
    """A function defined in place, with what it refers to, reaches workers that could not import it."""
    add = 3
    one = make_study(lambda text: len(text) + add, engine, 4)
    one.run()
    assert all(trial.score == len(trial.text) + 3 for trial in one.last.trials)


def test_a_module_that_no_worker_can_import_travels_whole(engine, tmp_path, monkeypatch):
    """A file of the user's and the one beside it go along as they are now, whatever the workers have."""
    (tmp_path / "beside_my_scorer.py").write_text("_table = {'bonus': 7}\ndef bonus(): return _table['bonus']\n")
    (tmp_path / "my_scorer.py").write_text(
        "import beside_my_scorer\ndef score(text): return len(text) + beside_my_scorer.bonus()\n"
    )
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        score = importlib.import_module("my_scorer").score
    one = make_study(score, engine, 2)
    one.run()
    assert [trial.score - len(trial.text) for trial in one.last.trials] == [7] * 3


def test_a_scorer_that_cannot_travel_is_named_with_the_remedy(engine):
    """What cannot be pickled is said in a line, before anything is evaluated."""
    lock = threading.Lock()
    one = make_study(lambda text: lock.locked(), engine)
    with pytest.raises(BadInput, match="executor: func cannot be sent"):
        one.run()
    assert one.last.evaluations == 0


def test_a_candidate_that_ends_its_workers_is_a_failure(engine):
    """One that ends every worker which evaluates it fails by itself; the study goes on."""

    def scorer(text):
        if "slot 1," in text:
            os.kill(os.getpid(), signal.SIGKILL)
        return len(text)

    one = make_study(scorer, engine, 6)
    one.run()
    failed = [trial for trial in one.last.trials if trial.score is None]
    assert [(trial.text, trial.outcome.kind) for trial in failed] == [("slot 1, draft 0", "killed")]
    assert len(one.last.trials) == 7


def test_a_dask_client_is_taken_as_it_is(reference, tmp_path):
    """A client that the user has made and will close is an executor."""
    with distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
        one = make_study(LoggingScorer(str(tmp_path / "log")), as_executor(client), STEPS)
        one.run()
        assert client.status == "running"
    assert outcomes(one.last) == outcomes(reference)
