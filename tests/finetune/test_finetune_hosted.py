"""A job at a provider, over real HTTP: what is sent, what is kept, and that a restart sends nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tuning_data
from provider import Provider

from llm_optimize import finetune
from llm_optimize.errors import BadInput, ModelRefused, ModelUnavailable

SESSION = Path(__file__).parents[1] / "helpers/finetune_hosted_session.py"
KEY = "sk-secret-of-the-test"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return tuning_data.pairs(tmp_path / "pairs.jsonl")


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    rows = [{"prompt": prompt, "completion": tuning_data.BETTER} for prompt in tuning_data.prompts(20)]
    return tuning_data.write(tmp_path / "asked.jsonl", rows)


def test_a_file_becomes_a_model(asked: Path, tmp_path: Path):
    """Both parts are uploaded as chats, a supervised job is started on them and followed to the model's name."""
    said: list[str] = []
    with Provider() as provider:
        wanted = finetune.Hosted(epochs=2, held_out=0.2, seed=3, suffix="better")
        job = finetune.start(
            asked, "small", tmp_path / "job", wanted, base_url=provider.url, poll=0.01, say=said.append
        )
    assert job == finetune.HostedJob("ftjob-1", "succeeded", "ft:small:ftjob-1", "file-1", "file-2", 1234)
    assert [file["purpose"] for file in provider.files] == ["fine-tune", "fine-tune"]
    assert [len(provider.rows(number)) for number in (0, 1)] == [16, 4]
    for row in (*provider.rows(0), *provider.rows(1)):
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
    (started,) = provider.jobs
    assert (started["training_file"], started["validation_file"]) == ("file-1", "file-2")
    assert (started["model"], started["seed"], started["suffix"]) == ("small", 3, "better")
    assert started["method"] == {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
    assert [line for line in said if line.startswith("ftjob-1: ")] == [
        f"ftjob-1: {status}" for status in ("validating_files", "queued", "running", "succeeded")
    ]


def test_pairs_become_a_dpo_job(pairs: Path, tmp_path: Path):
    """Pairs go in OpenAI's words for preferences, and the job's method is dpo."""
    with Provider() as provider:
        finetune.start(pairs, "small", tmp_path / "job", base_url=provider.url, poll=0.01)
    row = provider.rows(0)[0]
    assert row.keys() == {"input", "preferred_output", "non_preferred_output"}
    assert row["preferred_output"] == [{"role": "assistant", "content": tuning_data.BETTER}]
    assert provider.jobs[0]["method"] == {"type": "dpo", "dpo": {"hyperparameters": {}}}


def test_earlier_answers_are_context(tmp_path: Path):
    """Of a conversation with two answers each is learnt once: in the longer row the first one has weight 0."""
    turns = [{"role": role, "content": f"{role} {n}"} for n in (1, 2) for role in ("user", "assistant")]
    data = tuning_data.write(tmp_path / "two.jsonl", [{"messages": turns}])
    with Provider() as provider:
        wanted = finetune.Hosted(held_out=0)
        job = finetune.start(data, "small", tmp_path / "job", wanted, base_url=provider.url, poll=None)
    assert (job.status, job.model, job.validation_file) == ("validating_files", None, None)
    short, long = (row["messages"] for row in provider.rows(0))
    assert [message.get("weight", 1) for message in short] == [1, 1]
    assert [message.get("weight", 1) for message in long] == [1, 0, 1, 1]


@pytest.mark.parametrize("line", ["training: file-1", "validation: file-2", "job: ftjob-1", "ftjob-1: running"])
def test_killed_anywhere_nothing_is_sent_twice(asked: Path, tmp_path: Path, line: str):
    """A process killed before an id is on disk, or while it waits: the next one finds what was made and goes on."""
    with Provider() as provider:
        killed = subprocess.run([sys.executable, SESSION, provider.url, asked, tmp_path / "job", line], check=False)
        assert killed.returncode == -signal.SIGKILL
        job = finetune.start(asked, "small", tmp_path / "job", base_url=provider.url, poll=0.01, resume=True)
        assert job.model == "ft:small:ftjob-1"
        again = finetune.start(asked, "small", tmp_path / "job", base_url=provider.url, poll=0.01, resume=True)
    assert again == job
    assert (len(provider.files), len(provider.jobs)) == (2, 1)


@pytest.mark.parametrize("path", ["/v1/files", "/v1/fine_tuning/jobs"])
def test_a_lost_answer_is_looked_for(asked: Path, tmp_path: Path, path: str):
    """Where the provider did what was asked but its answer was lost, the error says so and a restart finds it."""
    with Provider() as provider:
        for number in range(5):  # others' files and jobs, so that the lists have several pages
            provider.files.append(
                {**provider_file(number), "content": b""},
            )
            provider.start({"model": "other", "training_file": f"file-other-{number}"})
        provider.lose.add(path)
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            finetune.start(asked, "small", tmp_path / "job", base_url=provider.url, poll=0.01)
        finetune.start(asked, "small", tmp_path / "job", base_url=provider.url, poll=0.01, resume=True)
    assert (len(provider.files), len(provider.jobs)) == (7, 6)


def provider_file(number: int) -> dict[str, object]:
    file = {"id": f"file-other-{number}", "object": "file", "bytes": 1, "created_at": 0, "status": "processed"}
    return file | {"filename": f"other-{number}.jsonl", "purpose": "fine-tune"}


def test_a_failed_job_is_said(asked: Path, tmp_path: Path):
    """The provider's reason for a failure is the message of the error."""
    with Provider() as provider:
        provider.fail = "the data breaks our rules"
        with pytest.raises(ModelRefused, match="ftjob-1 is failed: the data breaks our rules"):
            finetune.start(asked, "small", tmp_path / "job", base_url=provider.url, poll=0.01)


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(asked: Path, tmp_path: Path):
    """Every request carries the environment's key, and no file of the job holds it; OpenAI is not asked without one."""
    with Provider() as provider:
        finetune.start(asked, "small", tmp_path / "job", base_url=provider.url, poll=0.01)
    assert set(provider.keys) == {f"Bearer {KEY}"}
    for path in (tmp_path / "job").iterdir():
        assert KEY not in path.read_text()
    assert json.loads((tmp_path / "job/hosted.json").read_text())["told"]["model"] == "ft:small:ftjob-1"


def test_without_a_key_nothing_is_sent(asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """OpenAI without a key is refused before anything is written or sent."""
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(BadInput, match="OPENAI_API_KEY is not set"):
        finetune.start(asked, "small", tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_plain_texts_are_no_chats(tmp_path: Path):
    """A row without a prompt cannot be a chat, and is refused before anything is sent."""
    data = tuning_data.write(tmp_path / "plain.jsonl", [{"text": "one"}, {"text": "two"}])
    with pytest.raises(BadInput, match="a hosted job learns chats"):
        finetune.start(data, "small", tmp_path / "job", base_url="http://127.0.0.1:9/v1")
