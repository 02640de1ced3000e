"""Training on a tiny Llama with random weights: the loss really falls, and what is saved is what was trained."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

import pytest
import tuning_data
from tuning_data import SETTINGS

from llm_optimize import finetune
from llm_optimize.errors import BadInput
from llm_optimize.finetune.hardware import Hardware, choose
from llm_optimize.finetune.measuring import held_out_losses
from llm_optimize.finetune.merging import load_tuned
from llm_optimize.finetune.templates import INST, PLAIN
from llm_optimize.finetune.training import load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("needs_libraries"), pytest.mark.xdist_group("finetune")]
CPU = Hardware("cpu")
QUICK = replace(SETTINGS, epochs=2)


def test_the_loss_falls(tuned: finetune.Tuned):
    """In 30 steps of 8 items the training loss falls to less than a tenth."""
    first, last = tuned.trained.log[0][1], tuned.trained.log[-1][1]
    assert tuned.trained.steps == 30
    assert last < first / 10


def test_held_out_items_tell_the_tuned_from_the_untuned(tuned: finetune.Tuned):
    """On prompts that were not trained on, loss and the user's score are better by more than their intervals."""
    assert (tuned.items, tuned.held_out) == (42, 8)
    assert tuned.loss is not None
    assert tuned.score is not None
    assert fmean(tuned.loss.tuned) < fmean(tuned.loss.untuned) / 10
    assert 0 < tuned.loss.low <= tuned.loss.improvement <= tuned.loss.high
    assert (set(tuned.score.untuned), set(tuned.score.tuned)) == ({0.0}, {1.0})
    assert tuned.score.low > 0
    assert "better: improvement" in str(tuned.loss)


def test_the_report_is_on_disk(tuned: finetune.Tuned):
    """report.json holds the comparison item by item, the losses of training and what is to be said."""
    report = json.loads((tuned.adapter.parent / "report.json").read_text())
    assert report["loss"]["tuned"] == list(tuned.loss.tuned)
    assert report["score"]["improvement"] == 1.0
    assert len(report["trained"]["log"]) == 30
    assert any("no chat template" in said for said in report["said"])


def test_adapter_and_merged_model_say_the_same(tuned: finetune.Tuned, base: Path):
    """The adapter loads beside the base, the merged model alone, and their numbers agree; the untuned differ."""
    import torch  # noqa: PLC0415 - needs the extra
    import transformers  # noqa: PLC0415 - as above

    beside = load_tuned(str(base), tuned.adapter, CPU)
    alone = transformers.AutoModelForCausalLM.from_pretrained(tuned.merged).eval()
    ids = transformers.AutoTokenizer.from_pretrained(tuned.merged)("rain", return_tensors="pt")["input_ids"]
    with torch.inference_mode(), beside.disable_adapter():
        untuned = beside(ids).logits
    with torch.inference_mode():
        assert torch.allclose(beside(ids).logits, alone(ids).logits, atol=1e-3)
        assert not torch.allclose(untuned, alone(ids).logits, atol=0.1)


def test_the_measured_loss_is_that_of_the_trainer(base: Path, tmp_path: Path):
    """The untuned loss of items is what TRL reports for its first step on the same items."""
    data = tuning_data.chats(tmp_path / "four.jsonl", 4)
    settings = replace(SETTINGS, epochs=1, batch=4, held_out=0)
    out = finetune.train(data, base, tmp_path / "out", settings)
    items = finetune.read_items(data)
    model, tokenizer = load_tuned(str(base), out.adapter, CPU), load_tokenizer(str(out.adapter), items)
    measured = held_out_losses(model, tokenizer, items, settings)
    assert measured is not None
    assert math.isclose(fmean(measured.untuned), out.trained.log[0][1], rel_tol=1e-3)
    assert (out.loss, out.held_out) == (None, 0)


def test_pairs_are_learnt_by_dpo(base: Path, tmp_path: Path):
    """The loss of DPO begins at ln 2 and falls to less than half, also on pairs that were held out."""
    settings = replace(SETTINGS, epochs=2, batch=4, learning_rate=5e-3)
    out = finetune.train(tuning_data.pairs(tmp_path / "pairs.jsonl"), base, tmp_path / "out", settings)
    assert math.isclose(out.trained.log[0][1], math.log(2), rel_tol=1e-3)
    assert out.trained.log[-1][1] < math.log(2) / 2
    assert out.loss is not None
    assert out.loss.name == "dpo loss"
    assert set(out.loss.untuned) == {math.log(2)}
    assert out.loss.low > 0


def test_the_preset_trains_on_the_published_shape(base: Path, tmp_path: Path):
    """Promptimal's settings run on ``[INST]`` texts; what a CPU cannot do, and what was cut off, is said."""
    preset = replace(finetune.preset("promptimal"), length=40)
    out = finetune.train(tuning_data.texts(tmp_path / "texts.jsonl"), base, tmp_path / "out", preset)
    assert out.trained.steps == 2
    assert "the base is not loaded in 4 bits: the device is cpu, not cuda" in out.said
    assert any("longer than 40 tokens" in said for said in out.said)
    assert (out.merged / "chat_template.jinja").read_text() == INST
    asked = json.loads((tmp_path / "out" / "asked.json").read_text())
    assert asked["settings"]["lora"] == {"rank": 80, "alpha": 16, "dropout": 0.1, "layers": None}
    adapter = json.loads((out.adapter / "adapter_config.json").read_text())
    assert (adapter["r"], adapter["lora_alpha"], adapter["lora_dropout"]) == (80, 16, 0.1)
    assert set(adapter["target_modules"]) == {"q_proj", "v_proj"}


def test_the_inst_template_is_the_published_text(base: Path, tmp_path: Path):
    """A row of the published file is, token by token, what its prompt and answer come to in the template."""
    import transformers  # noqa: PLC0415 - needs the extra

    items = finetune.read_items(tuning_data.texts(tmp_path / "texts.jsonl", 1))
    tokenizer = load_tokenizer(str(base), items)
    said = [{"role": "user", "content": items[0].prompt[0].content}, {"role": "assistant", "content": items[0].answer}]
    row = json.loads((tmp_path / "texts.jsonl").read_text())["text"]
    assert tokenizer.apply_chat_template(said, tokenize=False) == row
    assert transformers.AutoTokenizer.from_pretrained(base).chat_template is None


def test_plain_texts_are_learnt_whole(base: Path, tmp_path: Path):
    """Rows without a prompt train as they are; a scorer of answers is refused, since nothing is asked."""
    data = tuning_data.write(tmp_path / "plain.jsonl", [{"text": f"{n}: the rain is wet"} for n in range(12)])
    out = finetune.train(data, base, tmp_path / "out", QUICK)
    assert out.loss is not None
    assert out.loss.low > 0
    with pytest.raises(BadInput, match="no answers can be scored"):
        finetune.train(data, base, tmp_path / "out", QUICK, scorer=len, resume=True)


def test_a_scorer_may_ask_for_the_item(base: Path, chats: Path, tuned: finetune.Tuned, tmp_path: Path):
    """A scorer with two arguments gets the held-out item, in order, for both models; nothing is trained for it."""
    seen = []
    shutil.copytree(tuned.adapter.parent, tmp_path / "out")
    again = finetune.train(
        chats, base, tmp_path / "out", SETTINGS, resume=True, scorer=lambda text, item: seen.append(item) or 1.0
    )
    assert again.trained == tuned.trained
    assert len(seen) == 16
    assert seen[:8] == seen[8:]
    assert again.score is not None
    assert again.score.improvement == 0
    assert "within the noise" in str(again.score)


def test_bf16_on_a_cpu(base: Path, tmp_path: Path):
    """16-bit numbers are used where they are asked for, and by ``auto`` on a GPU only."""
    data = tuning_data.chats(tmp_path / "few.jsonl", 16)
    out = finetune.train(data, base, tmp_path / "out", replace(QUICK, precision="bf16"))
    assert json.loads((out.merged / "config.json").read_text())["dtype"] == "bfloat16"
    assert choose("cpu", QUICK) == CPU


def test_a_template_of_the_base_stays(base: Path, tmp_path: Path):
    """A base with a chat template keeps it; one without gets roles on lines, and the saved model carries it."""
    items = finetune.read_items(tuning_data.chats(tmp_path / "one.jsonl", 1))
    own = load_tokenizer(str(base), items)
    assert own.chat_template == PLAIN
    own.chat_template = "{{ messages[0]['content'] }}"
    own.save_pretrained(tmp_path / "with")
    assert load_tokenizer(str(tmp_path / "with"), items).chat_template == "{{ messages[0]['content'] }}"


def test_what_cannot_be_loaded_is_said(base: Path, chats: Path, tmp_path: Path):
    """A base that is no model, and a device that is not here, are bad input in one line."""
    (tmp_path / "none").mkdir()
    with pytest.raises(BadInput, match=r"base: the tokenizer of '.*none' cannot be loaded"):
        finetune.train(chats, tmp_path / "none", tmp_path / "out", QUICK)
    with pytest.raises(BadInput, match="device is 'tpu': give one of auto, cpu, cuda, mps"):
        finetune.train(chats, base, tmp_path / "other", QUICK, device="tpu")
