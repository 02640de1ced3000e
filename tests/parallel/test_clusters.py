"""Clusters that were there before: they grow and shrink, their workers know nothing of the study's folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import distributed
from evaluation_log import LoggingScorer, began, ended, make_study

from llm_optimize.core.events import Told
from llm_optimize.parallel import as_executor, executing
from llm_optimize.testing.server import ScriptedServer

_MOST = 3000  # far more steps than any of these takes


def processes(log):
    return {line.split()[2] for line in log.read_text().splitlines()} if log.exists() else set()


def test_a_study_follows_a_cluster_that_grows_and_shrinks(tmp_path):
    """Adaptive scaling: what waits for the one worker brings a second, more is kept in flight; then one goes again."""
    log, rooms = tmp_path / "log", []
    client = distributed.Client(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0")
    cluster = client.cluster
    with cluster, client:
        executor = as_executor(client)
        assert (executor.workers, executor.room()) == (1, 2)
        cluster.adapt(minimum=1, maximum=2, interval="100ms", target_duration="20ms")

        def watch(event):
            if not isinstance(event, Told):
                return
            rooms.append(executor.room())
            if rooms[-1] == 3 and len(processes(log)) == 2 and cluster.workers:
                cluster.scale(1)  # which ends the adapting

        def shrunk(history):
            return "it has shrunk" if 3 in rooms and rooms[-1] == 2 else None

        scorer = LoggingScorer(str(log), 0.05)
        one = make_study(scorer, executor, _MOST, parallel=None, observers=(watch,), stop=shrunk)
        ending = one.run()
    assert ending.reason == "it has shrunk"
    assert sorted(ended(log)) == list(range(one.last.evaluations))
    assert sum(began(log).values()) - one.last.evaluations <= 2  # the worker that went may have been within one
    assert len({trial.text for trial in one.last.trials}) == one.last.evaluations


@contextmanager
def started(*command, folder, **environment):
    """A program in a folder of its own, told to end afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, command)], cwd=folder, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_workers_in_other_folders(tmp_path):
    """Workers that were started elsewhere get the task file and the module beside it; each evaluation is made once."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    place, log = tmp_path / "scheduler.json", tmp_path / "log"
    (tmp_path / "lengths.py").write_text("def length(text): return len(text)\n")
    task = tmp_path / "task.py"
    task.write_text(
        "import os, lengths\nTASK = QUESTION = 'Longer.'\nx0 = 'start'\n"
        f"def score(text):\n    with open({str(log)!r}, 'a') as file:\n"
        "        file.write(f'{text.strip()} {os.getcwd()}\\n')\n    return lengths.length(text)\n"
    )
    worker = ("distributed.cli.dask_worker", "--scheduler-file", place, "--no-dashboard", "--nthreads", 1)
    with (
        started("distributed.cli.dask_scheduler", "--scheduler-file", place, "--port", 0, "--no-dashboard",
                "--host", "127.0.0.1", folder=tmp_path),
        started(*worker, folder=tmp_path / "one"),
        started(*worker, folder=tmp_path / "two"),
        distributed.Client(scheduler_file=str(place)) as client,
        ScriptedServer(lambda body, index: f"```\n{'longer' * (index + 1)}\n```") as server,
    ):  # fmt: skip
        client.wait_for_workers(2)
        address = json.loads(place.read_text())["address"].removeprefix("tcp://")
        scorer = LoggingScorer(str(tmp_path / "study"), 0.02)
        with executing(f"dask://{address}") as executor:
            assert (executor.workers, executor.room()) == (2, 3)
            one = make_study(scorer, executor, 20, parallel=None)
            one.run()
        command = ["run", task, "--executor", f"dask://{address}", "--max-steps", "2", "--store", tmp_path / "db"]
        command += ["--model", f"{server.url}#scripted"]
        done = subprocess.run(
            [sys.executable, "-m", "llm_optimize", *command], capture_output=True, text=True, check=False, cwd=tmp_path
        )
    assert began(tmp_path / "study") == ended(tmp_path / "study") == dict.fromkeys(range(21), 1)
    assert len(processes(tmp_path / "study")) == 2
    assert (done.returncode, done.stdout) == (0, "longerlonger\n"), done.stderr
    rows = [line.split() for line in log.read_text().splitlines()]
    assert {text for text, _ in rows} == {"start", "longer", "longerlonger"}
    assert {Path(folder).parent for _, folder in rows} == {tmp_path}


if find_spec("ray"):

    def free_port():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    _STUDY = """
import socket, sys, time
sys.path.insert(0, {helpers!r})
from evaluation_log import LoggingScorer, make_study
from llm_optimize.parallel import executing

with socket.socket() as probe:
    while probe.connect_ex(("127.0.0.1", {port})):  # its server is on its way
        time.sleep(0.1)
with executing("ray://127.0.0.1:{port}") as executor:
    one = make_study(LoggingScorer({log!r}), executor, 20, parallel=None)
    one.run()
    print(executor.workers, executor.room(), one.last.evaluations)
"""

    def test_a_ray_cluster_that_was_started_before(tmp_path):
        """``ray start --head`` in another folder, and a study that connects to it from a process of its own."""
        port, log = free_port(), tmp_path / "log"
        script = tmp_path / "script.py"
        script.write_text(_STUDY.format(helpers=str(Path(__file__).parent), port=port, log=str(log)))
        (tmp_path / "elsewhere").mkdir()
        head = ("ray.scripts.scripts", "start", "--head", "--block", "--node-ip-address=127.0.0.1", "--num-cpus=2")
        ports = (f"--port={free_port()}", f"--ray-client-server-port={port}", "--include-dashboard=false")
        with started(*head, *ports, folder=tmp_path / "elsewhere", RAY_AUTH_MODE="disabled"):
            environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
            done = subprocess.run(
                [sys.executable, script], capture_output=True, text=True, timeout=200, check=False, env=environment
            )
        assert done.stdout.splitlines()[-1:] == ["2 3 21"], done.stderr
        assert began(log) == ended(log) == dict.fromkeys(range(21), 1)
