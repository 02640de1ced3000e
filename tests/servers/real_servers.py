"""Starts servers that were not written here, each in a process of its own, and ends them again.

They are installed by ``.ci/servers`` into ``.servers/`` (or where ``LLM_OPTIMIZE_SERVERS`` says): aimock from npm, the
LiteLLM proxy in a virtual environment of its own, ``transformers serve`` and llama-cpp-python with the tiny model of
``tiny_llama.py``. One that is not there is skipped, with the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HERE = Path(__file__).parent
SERVERS = Path(os.environ.get("LLM_OPTIMIZE_SERVERS") or HERE.parents[1] / ".servers").resolve()
ANSWERS: list[str] = json.loads((HERE / "answers.json").read_text("utf-8"))
PATIENCE_S = 300
NAMES = ("aimock", "litellm", "transformers", "llama_cpp")


@dataclass(frozen=True)
class RealServer:
    """A server that answers.

    Attributes:
        name: one of :data:`NAMES`.
        url: ends with ``/v1``.
        model: the name that it knows its model by.
        log: what it printed.
    """

    name: str
    url: str
    model: str
    log: Path

    @property
    def spec(self) -> str:
        return f"{self.url}#{self.model}"


def missing(name: str) -> str:
    """Return why a server cannot be started here, or an empty text."""
    needed = {
        "aimock": SERVERS / "aimock/node_modules/@copilotkit/aimock/dist/cli.js",
        "litellm": SERVERS / "litellm/bin/litellm",
        "transformers": SERVERS / "transformers/bin/transformers",
        "llama_cpp": SERVERS / "llama/bin/python",
    }[name]
    if not needed.exists():
        return f"{name} is not installed: run .ci/servers"
    if name == "aimock" and shutil.which("node") is None:
        return "aimock needs node"
    if name in ("transformers", "llama_cpp") and not (SERVERS / "tiny.gguf").exists():
        return "the tiny model is not made: run .ci/servers"
    return ""


@contextlib.contextmanager
def running(name: str, folder: Path) -> Iterator[RealServer]:
    """Start a server, wait until it answers, and end it afterwards; ``folder`` takes its files."""
    port = _free_port()
    log = folder / "server.log"
    command, environment, model, ready = _STARTERS[name](port, folder)
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=folder, start_new_session=True
        ) as process,
    ):
        try:
            _await(f"http://127.0.0.1:{port}{ready}", process, log)
            yield RealServer(name, f"http://127.0.0.1:{port}/v1", model, log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


Start = tuple["Sequence[str]", "Mapping[str, str]", str, str]


def _aimock(port: int, folder: Path) -> Start:
    fixtures = [
        {"match": {"userMessage": "as JSON", "sequenceIndex": 0}, "response": {"content": '{"points": "many"}'}},
        {"match": {"userMessage": "JSON"}, "response": {"content": '{"points": 7, "reason": "clear"}'}},
        {"match": {"toolCallId": "call_profile"}, "response": {"content": ANSWERS[3]}},
        {
            "match": {"toolName": "profile", "hasToolResult": False},
            "response": {"toolCalls": [{"name": "profile", "arguments": "{}", "id": "call_profile"}]},
        },
        *({"match": {"sequenceIndex": turn}, "response": {"content": text}} for turn, text in enumerate(ANSWERS)),
        {"match": {}, "response": {"content": ANSWERS[0]}},
    ]
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}), "utf-8")
    script = SERVERS / "aimock/node_modules/@copilotkit/aimock/dist/cli.js"
    command = ["node", str(script), "-p", str(port), "-f", str(folder / "fixtures.json"), "--log-level", "warn"]
    return command, _environment(), "gpt-4o-mini", "/v1/models"


def _litellm(port: int, folder: Path) -> Start:
    def mocked(name: str, text: str) -> dict[str, object]:
        how = {"model": "openai/gpt-4o-mini", "api_key": "none", "mock_response": text}
        return {"model_name": name, "litellm_params": how}

    models = [mocked("tiny", text) for text in ANSWERS] + [mocked("json", '{"points": 7, "reason": "clear"}')]
    models.append(mocked("limited", "litellm.RateLimitError"))
    settings = {
        "model_list": models,
        "general_settings": {"master_key": "sk-local-test"},
        "litellm_settings": {"num_retries": 0, "telemetry": False},
    }
    (folder / "config.yaml").write_text(json.dumps(settings), "utf-8")  # JSON is YAML
    command = [str(SERVERS / "litellm/bin/litellm"), "--config", str(folder / "config.yaml")]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    extra = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "NO_DOCS": "True"}
    return command, _environment(**extra), "tiny", "/health/liveliness"


def _transformers(port: int, folder: Path) -> Start:
    hub = folder / "hub"
    (hub / "hub").mkdir(parents=True)  # without it the server's list of models is an error
    command = [str(SERVERS / "transformers/bin/transformers"), "serve", str(SERVERS / "tiny"), "--device", "cpu"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    extra = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(hub), "OMP_NUM_THREADS": "1"}
    return command, _environment(**extra), str(SERVERS / "tiny"), "/health"


def _llama_cpp(port: int, folder: Path) -> Start:
    del folder
    command = [str(SERVERS / "llama/bin/python"), "-m", "llama_cpp.server", "--model", str(SERVERS / "tiny.gguf")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--n_ctx", "16384", "--n_threads", "1"]
    return command, _environment(), "tiny", "/v1/models"


_STARTERS = {"aimock": _aimock, "litellm": _litellm, "transformers": _transformers, "llama_cpp": _llama_cpp}


def _environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | more


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server says anything at all; a status of refusal is an answer too."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        else:
            return
    raise AssertionError(f"the server did not come up: {log.read_text('utf-8', 'replace')[-2000:]}")
