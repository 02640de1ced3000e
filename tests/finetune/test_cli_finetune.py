"""The command ``finetune``: flags become settings, results come for people and as JSON, mistakes in one line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import tuning_data
from provider import Provider

from llm_optimize.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("finetune")
QUICK = ["--epochs", "1", "--batch", "4", "--accumulation", "1", "--lr", "0.01", "--device", "cpu"]


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    rows = [{"prompt": prompt, "completion": tuning_data.BETTER} for prompt in tuning_data.prompts(12)]
    return tuning_data.write(tmp_path / "asked.jsonl", rows)


def test_training_from_the_command_line(base: Path, asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The command trains, says what came of it and what to do next, and with --resume only reports again."""
    (tmp_path / "judge.py").write_text("def length(text):\n    return len(text)\n")
    out = tmp_path / "out"
    command = ["finetune", str(asked), "--base", str(base), "--output", str(out), *QUICK, "--lora-r", "8"]
    assert main([*command, "--scorer", "judge:length"]) == 0
    shown = capsys.readouterr()
    assert "3 steps on 10 items" in shown.out
    assert "loss on 2 held-out items" in shown.out
    assert "score on 2 held-out items" in shown.out
    assert f"serve:   transformers serve {out / 'merged'} --port 8000" in shown.out
    assert f"--model http://127.0.0.1:8000/v1#{out / 'merged'}" in shown.out
    assert "step 1 of 3: loss" in shown.err
    assert json.loads((out / "adapter/adapter_config.json").read_text())["r"] == 8
    assert main(command) == 2
    assert "go on with resume (--resume)" in capsys.readouterr().err
    assert main([*command, "--resume", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["items"], told["held_out"], told["trained"]["steps"]) == ("finetune", 10, 2, 3)
    assert told["loss"]["improvement"] > 0
    assert told["score"] is None


def test_a_preset_with_a_flag_that_wins(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """--preset gives the settings, and a flag beside it changes one of them."""
    data = tuning_data.texts(tmp_path / "texts.jsonl")
    command = ["finetune", str(data), "--base", str(base), "--output", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*command, "--preset", "promptimal", "--lora-dropout", "0.2", "--epochs", "1"]) == 0
    asked = json.loads((tmp_path / "out/asked.json").read_text())["settings"]
    assert (asked["lora"]["rank"], asked["lora"]["dropout"], asked["epochs"], asked["batch"]) == (80, 0.2, 1, 4)
    assert "note: the base is not loaded in 4 bits" in capsys.readouterr().out


def test_a_hosted_job_from_the_command_line(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """--hosted starts a job and leaves; --resume follows it to the model's name, and starts no other."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with Provider() as provider:
        command = ["finetune", str(asked), "--base", "small", "--output", str(tmp_path / "job"), "--hosted"]
        command += ["--base-url", provider.url, "--poll", "0.01", "--epochs", "2"]
        assert main([*command, "--no-wait"]) == 0
        assert "ftjob-1 is validating_files; look again with --resume" in capsys.readouterr().out
        assert main([*command, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "ft:small:ftjob-1"
    assert len(provider.jobs) == 1
    assert provider.jobs[0]["method"]["supervised"]["hyperparameters"] == {"n_epochs": 2}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--hosted", "--lora-r", "8"], "--lora-r: a provider chooses that itself"),
        (["--hosted", "--preset", "promptimal"], "--preset: a provider chooses that itself"),
        (["--hosted", "--epochs", "1.5"], "--epochs is 1.5: give a whole number with --hosted"),
        (["--suffix", "x"], "--suffix: is for a provider's job"),
        (["--epochs", "0"], "epochs is 0.0: give a number above 0"),
        (["--method", "dpo"], "method is 'dpo', which needs rows with prompt, chosen and rejected"),
    ],
)
def test_mistakes_are_told_in_one_line(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
):
    """What does not go together ends with 2 before a library is loaded or a folder made."""
    out = tmp_path / "out"
    assert main(["finetune", str(asked), "--base", "b", "--output", str(out), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
