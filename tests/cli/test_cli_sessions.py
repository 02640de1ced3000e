"""Two processes and one study: Ctrl-C, a second owner, guidance while it runs."""

from __future__ import annotations

import os
import select
import signal
import threading

import pytest

from llm_optimize.testing.server import ScriptedServer


def _begun(gate):
    """Wait until the scorer says that it has begun; a command that has ended before never does."""
    pipe = os.open(gate[0], os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert select.select([pipe], [], [], 60)[0], "no candidate has reached the scorer for a minute"
        assert os.read(pipe, 1) == b"x"
    finally:
        os.close(pipe)


def _let_go(gate):
    gate[1].write_text("go")


@pytest.fixture
def running(cli, server, gate, gated_task):
    """A run whose first candidate after x0 is in the scorer."""
    process = cli.start("run", gated_task, "--model", f"{server.url}#scripted")
    _begun(gate)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_ctrl_c_prints_and_saves_the_best_so_far(cli, running, gate, server):
    """SIGINT ends with 130, the best so far and how to go on; a resume evaluates what was pending, paid once."""
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, "start\n")
    assert "interrupted by Ctrl-C" in err
    assert "resume with: llm-optimize resume task-1" in err
    assert "Traceback" not in err
    assert len(server.requests) == 1
    resumed = cli.start("resume", "task-1", "--max-steps", "1")
    _begun(gate)
    _let_go(gate)
    out, err = resumed.communicate(timeout=60)
    assert (resumed.returncode, out) == (0, "longlong\n")
    assert "going on after 1 evaluations, best 5 (#0)" in err
    assert len(server.requests) == 1


def test_ctrl_c_while_the_model_is_thinking(cli):
    """SIGINT does not wait for a reply, also when several are awaited in threads."""
    asked, free = threading.Semaphore(0), threading.Event()

    def answer(*_):
        asked.release()
        free.wait()
        return "too late"

    with ScriptedServer(answer) as server:
        for parallel in (1, 2):
            process = cli.start("run", cli.write(), "--model", f"{server.url}#scripted", "--parallel", parallel)
            for _ in range(parallel):
                assert asked.acquire(timeout=60)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
            assert (process.returncode, out) == (130, "start\n")
        free.set()


def test_sigterm_ends_as_ctrl_c_does(running):
    """SIGTERM saves as well; the exit code is the shell's for it."""
    running.terminate()
    out, _ = running.communicate(timeout=60)
    assert (running.returncode, out) == (143, "start\n")


def test_a_second_owner_is_refused(cli, running):
    """While a process runs the study another one cannot, and is told which one does; reading is free."""
    second = cli("resume", "task-1")
    assert (second.returncode, second.stdout, second.stderr.count("\n")) == (1, "", 1)
    assert f"process {running.pid}" in second.stderr
    assert f"running (process {running.pid})" in cli("list").stdout
    assert "x0        score 5" in cli("show", "task-1").stdout


def test_guidance_reaches_the_next_prompt(cli, running, gate, server):
    """What another process says while the study runs is in the very next prompt."""
    said = cli("guide", "task-1", "prefer the letter q")
    assert (said.returncode, said.stderr) == (0, "heeded from the next prompt on\n")
    _let_go(gate)
    _begun(gate)
    assert "prefer the letter q" not in str(server.requests[0].body)
    assert "prefer the letter q" in str(server.requests[1].body)


def test_an_interrupted_run_in_json_ends_with_its_result(cli, server, gate, gated_task):
    """The last line is the result, with the best so far, also after SIGINT."""
    process = cli.start("run", gated_task, "--model", f"{server.url}#scripted", "--json")
    _begun(gate)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert '"interrupted":true' in out.splitlines()[-1]
    assert '"best_text":"start"' in out.splitlines()[-1]
