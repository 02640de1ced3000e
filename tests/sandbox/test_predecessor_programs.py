"""The programs that the predecessor's examples optimize, run as they are behind the sandbox's walls."""

from __future__ import annotations

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from llm_optimize import Limits, Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def factory(monkeypatch):
    """The paperclip server on a free port, and the example that talks to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("PAPERCLIP_PORT", str(port))
    server = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "paperclip_server.py")], stderr=subprocess.PIPE, env=dict(os.environ), text=True
    )
    for line in server.stderr:
        if "Running on" in line:
            break
    yield runpy.run_path(str(EXAMPLES / "paperclip.py")), port
    server.kill()
    server.communicate()


def test_the_classifier_is_fitted_in_the_jail_and_judged_outside():
    """The example's first candidate comes to the same accuracy, and never sees a label of the test images."""
    example = runpy.run_path(str(EXAMPLES / "sklearn_automl.py"))
    inputs = {"X_train": example["_X_train"], "y_train": example["_y_train"]}
    with (
        Sandbox(preload=["sklearn.svm"], limits=Limits(wall_s=60)) as box,
        box.session(example["x0"], inputs=inputs) as session,
    ):
        assert session.started.ok, session.started
        told = session.run("predicted = clf.predict(X_test)", {"X_test": example["_X_test"]}, ["predicted"])
    accuracy = (told.values["predicted"] == example["_y_test"]).mean()
    assert accuracy == example["score"](example["x0"]).score


def test_the_prime_function_is_checked_and_timed_in_the_jail():
    """The example's first candidate answers all hidden numbers rightly and gets a score."""
    example = runpy.run_path(str(EXAMPLES / "prime_speed.py"))
    assert isinstance(example["score"](example["x0"]).score, float)


def test_the_factory_is_reached_and_nothing_else(factory):
    """The script makes its three paperclips; another port of the host cannot be reached from the same sandbox."""
    example, _ = factory
    assert example["run_factory"](example["x0"])[0] == 3
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        script = f"import socket\nsocket.create_connection(('127.0.0.1', {other.getsockname()[1]}), timeout=2)"
        made, text = example["run_factory"](script)
    assert made == 0
    assert "Permission" in text or "refused" in text
