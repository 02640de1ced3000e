"""The tuned model behind a real server, ``transformers serve``, proposes in a run of the loop."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tuning_data

from llm_optimize import finetune, llm, optimize
from llm_optimize.core.chat import Message, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVE = Path(sys.executable).with_name("transformers")
ABSENT = [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
PATIENCE_S = 300
pytestmark = [
    pytest.mark.usefixtures("needs_libraries"),
    pytest.mark.xdist_group("finetune"),
    pytest.mark.skipif(bool(ABSENT), reason=f"{', '.join(ABSENT)} not installed: pip install 'transformers[serving]'"),
]


@contextmanager
def serving(merged: Path, folder: Path) -> Iterator[str]:
    """Start the server and yield its URL; end it afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "hub/hub").mkdir(parents=True)  # without it the server's list of models is an error
    command = [SERVE, "serve", merged, "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    settings = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub"), "OMP_NUM_THREADS": "1"}
    log = folder / "serve.log"
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | settings) as process:
        try:
            answers(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        else:
            return
    pytest.fail(f"the server did not come up: {log.read_text('utf-8', 'replace')[-2000:]}")


def test_the_tuned_model_is_served_and_proposes(tuned: finetune.Tuned, tmp_path: Path):
    """Served by its folder, it answers a chat with what it learnt, and its proposal is the best of a run."""
    with serving(tuned.merged, tmp_path) as url:
        model = f"{url}#{tuned.merged}"
        asked = [Message(m["role"], m["content"]) for m in tuning_data.messages_of_a_run("tell stones")]
        reply = llm.connect(model).complete(Request(tuple(asked)))
        result = optimize.run(
            tuning_data.TASK,
            tuning_data.QUESTION,
            tuning_data.score,
            "tell wool",
            max_steps=1,
            model=model,
            store=None,
            verbose=False,
        )
    assert reply.text.strip() == tuning_data.BETTER
    assert result.best_score == 1.0
    assert result.best_x.strip() == "Explain the rain to a child in forty words."
    assert result.usage.calls == 1
