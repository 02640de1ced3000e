"""The pool of worker processes: standard futures, and workers that are replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, wait
from importlib import import_module
from pathlib import Path

import psutil
import pytest
from evaluation_log import LoggingScorer, began, ended, make_study

from llm_optimize.errors import BadInput
from llm_optimize.parallel import ProcessWorkers, as_executor, executing
from llm_optimize.parallel.processes import CallLost


@pytest.fixture
def pool():
    pool = ProcessWorkers(2, retries=1)
    yield pool
    pool.end()


def gone(pids):
    """Wait for processes of others to end; those of ours are waited for by whoever started them."""
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=20)
    return not alive


def test_calls_come_back_as_from_any_executor(pool):
    """Results, errors with their type, keyword arguments; two workers at most, reused."""
    futures = [pool.submit(pow, 2, n) for n in range(20)]
    assert [future.result(30) for future in futures] == [2**n for n in range(20)]
    assert len(pool.pids) <= 2
    with pytest.raises(ValueError, match="invalid literal"):
        pool.submit(int, "x").result(30)
    assert pool.submit(sorted, [1, 3, 2], reverse=True).result(30) == [3, 2, 1]
    assert pool.submit(os.getpid).result(30) in pool.pids


class Nameless:
    def __reduce__(self):  # noqa: D105 - a double: travels as something that no worker has
        return import_module, ("only_here",)


def test_what_cannot_be_pickled_is_an_error_of_its_call_alone(pool):
    """Neither an argument nor a result that cannot travel costs a worker."""
    pids = {pool.submit(os.getpid).result(30)}
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        pool.submit(lambda: 1).result(30)
    with pytest.raises(ModuleNotFoundError, match="only_here"):
        pool.submit(Nameless()).result(30)
    with pytest.raises(TypeError, match="result cannot be pickled"):
        pool.submit(threading.Lock).result(30)
    assert pids <= set(pool.pids)


def test_a_killed_worker_is_replaced_and_the_others_do_not_notice(pool):
    """Of twenty calls under way when workers are killed all come back; the standard pool fails all but a few."""
    futures = [pool.submit(subprocess.check_output, ["sleep", "0.1"]) for _ in range(20)]
    wait(futures[:2], 30)
    first = set(pool.pids)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    assert [future.result(60) for future in futures] == [b""] * 20
    assert not first & set(pool.pids)


def test_a_call_that_ends_its_workers_fails_in_the_end(pool, tmp_path):
    """After the retries it is the call's fault; the pool goes on."""
    script = f"echo x >> {tmp_path}/tries; kill -9 $PPID"
    with pytest.raises(CallLost, match="2 worker processes in a row, the last ended with signal 9"):
        pool.submit(os.system, script).result(60)
    assert (tmp_path / "tries").read_text() == "x\nx\n"
    assert pool.submit(sum, (20, 22)).result(30) == 42


def test_cancelling_ends_a_call_that_has_begun(pool, tmp_path):
    """The worker is ended with it, and not tried again; calls that wait are cancelled as everywhere."""
    os.mkfifo(tmp_path / "begun")
    future = pool.submit(subprocess.call, ["sh", "-c", f"echo $$ > {tmp_path}/begun; sleep 1000"])
    shell = int((tmp_path / "begun").read_text())
    (pid,) = pool.pids
    assert not future.cancel()
    with pytest.raises(CallLost, match="called off"):
        future.result(30)
    assert gone([pid, shell])
    assert pool.submit(sum, (20, 22)).result(30) == 42


def test_a_pool_that_is_shut_takes_no_calls(pool):
    """Calls submitted before are carried out, later ones refused, and the workers end."""
    future = pool.submit(os.getpid)
    pool.shutdown()
    assert gone([future.result(0)])
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(os.getpid)


def test_numbers_that_make_no_sense_are_refused():
    """Workers and retries are whole numbers."""
    with pytest.raises(BadInput, match="workers"):
        ProcessWorkers(0)
    with pytest.raises(BadInput, match="retries"):
        ProcessWorkers(1, retries=-1)


def test_workers_end_with_their_parent_however_it_ends(tmp_path):
    """A parent that is killed cannot say goodbye; its idle workers see the pipe close."""
    program = (
        "import os, time\nfrom llm_optimize.parallel import ProcessWorkers\npool = ProcessWorkers(2)\n"
        "[f.result() for f in [pool.submit(time.sleep, 0.2) for _ in range(2)]]\n"
        "print(*pool.pids, flush=True)\ntime.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    assert gone(pids)


def test_a_script_without_a_guard_is_not_run_again(tmp_path):
    """A scorer of the script itself travels by value, so no worker imports, and so runs, the script."""
    script = tmp_path / "script.py"
    script.write_text(
        "from llm_optimize import optimize, ScriptedModel\nprint('begun', flush=True)\n"
        "def score(text):\n    print('scored')\n    return len(text)\n"
        "model = ScriptedModel(['```\\nlonger text\\n```'])\n"
        "result = optimize.run('t', 'q', score, 'start', model=model, max_steps=1, store=None,\n"
        "    verbose=False, executor='processes?workers=2')\nprint(result.scores)\n"
    )
    done = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True, timeout=120)
    assert done.stdout == "begun\n[5, 13]\n", done.stderr
    assert done.stderr.count("scored") == 2


def test_a_candidate_that_is_too_slow_is_ended_with_its_worker(tmp_path):
    """After eval_timeout its process is ended, so that the worker is free for the next candidate."""
    path = tmp_path / "log"

    def scorer(text):
        LoggingScorer(str(path))(text)
        if "slot 0," in text:
            subprocess.call(["sleep", "1000"])
        return len(text)

    with executing("processes?workers=1") as executor:
        one = make_study(scorer, executor, 3, parallel=1, eval_timeout=4)
        one.run()
    assert [trial.outcome.kind for trial in one.last.trials if trial.score is None] == ["timeout"]
    assert len(one.last.trials) == 4
    assert began(path) == ended(path) == dict.fromkeys(range(4), 1)


def test_a_standard_pool_that_breaks_ends_the_session_in_order(tmp_path):
    """The standard pool is dead for good when a worker dies: that is said, and nothing is told of the candidate."""

    def scorer(text):
        os.kill(os.getpid(), signal.SIGKILL)

    with ProcessPoolExecutor(1) as pool:
        ending = (one := make_study(scorer, as_executor(pool), 2)).run()
    assert "executor: BrokenProcessPool" in str(ending.error)
    assert one.last.evaluations == 0
    assert Path(tmp_path).exists()
