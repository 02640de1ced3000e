"""A fine-tune that is killed goes on to the same end, and a folder holds one fine-tune only."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tuning_data import SETTINGS

from llm_optimize import finetune
from llm_optimize.errors import BadInput, StudyOwned

pytestmark = [pytest.mark.usefixtures("needs_libraries"), pytest.mark.xdist_group("finetune")]
SESSION = Path(__file__).parents[1] / "helpers/finetune_session.py"


def kill_at(line: str, base: Path, data: Path, out: Path) -> None:
    done = subprocess.run(
        [sys.executable, SESSION, base, data, out, line],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]


def test_killed_while_training_it_ends_where_it_would_have(
    base: Path, chats: Path, tuned: finetune.Tuned, tmp_path: Path
):
    """Killed in step 13 of 30 it goes on from the checkpoint of step 10; weights and losses are those of one run."""
    import safetensors.torch  # noqa: PLC0415 - needs the extra
    import torch  # noqa: PLC0415 - as above

    out = tmp_path / "out"
    kill_at("step 13 ", base, chats, out)
    assert not (out / "adapter").exists()
    unfinished = shutil.copytree(out / "checkpoints/checkpoint-10", out / "checkpoints/checkpoint-13")
    (unfinished / "whole").unlink()
    (unfinished / "adapter_model.safetensors").write_bytes(b"cut off")
    (out / "merged.part").mkdir()
    said: list[str] = []
    again = finetune.train(chats, base, out, SETTINGS, resume=True, say=said.append)
    assert said[0].startswith("step 11 of 30")
    assert (again.trained.resumed_at, again.trained.steps) == (10, 30)
    assert [step for step, _ in again.trained.log] == list(range(1, 31))
    assert [loss for _, loss in again.trained.log] == pytest.approx([loss for _, loss in tuned.trained.log], abs=1e-4)
    one, two = (safetensors.torch.load_file(t.adapter / "adapter_model.safetensors") for t in (tuned, again))
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)
    assert again.loss.tuned == pytest.approx(tuned.loss.tuned, abs=1e-4)


def test_a_finished_fine_tune_is_not_trained_again(base: Path, chats: Path, tuned: finetune.Tuned, tmp_path: Path):
    """With every stage on disk, resume measures and reports; without it the folder is refused."""
    out = shutil.copytree(tuned.adapter.parent, tmp_path / "out")
    said: list[str] = []
    again = finetune.train(chats, base, out, SETTINGS, resume=True, say=said.append)
    assert said == ["measuring on 8 held-out items"]
    assert (again.trained, again.loss) == (tuned.trained, tuned.loss)
    with pytest.raises(BadInput, match=r"a fine-tune was begun in .*--resume"):
        finetune.train(chats, base, out, SETTINGS)


def test_another_task_does_not_go_on_here(base: Path, chats: Path, tuned: finetune.Tuned, tmp_path: Path):
    """Other settings or other data are refused by the name of what differs, before anything is trained."""
    out = tuned.adapter.parent
    with pytest.raises(BadInput, match=r"settings.epochs is 7, but 5 in what was begun in "):
        finetune.train(chats, base, out, replace(SETTINGS, epochs=7), resume=True)
    other = tmp_path / "other.jsonl"
    other.write_bytes(chats.read_bytes() + b"\n")
    with pytest.raises(BadInput, match=r"data is '[0-9a-f]{64}', but '"):
        finetune.train(other, base, out, SETTINGS, resume=True)


def test_a_folder_has_one_owner(base: Path, chats: Path, tmp_path: Path):
    """A folder in which another process works, or with files of somebody else, is refused."""
    (tmp_path / "held").mkdir()
    with (tmp_path / "held/owner.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StudyOwned, match="another process works in"):
            finetune.train(chats, base, tmp_path / "held", SETTINGS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(BadInput, match="holds other files"):
        finetune.train(chats, base, tmp_path / "mine", SETTINGS)
    assert [path.name for path in (tmp_path / "mine").iterdir() if path.suffix != ".lock"] == ["letter.txt"]
