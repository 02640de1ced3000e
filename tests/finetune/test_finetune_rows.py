"""Rows of every shape become items, a wrong one is named by its line, and no prompt is on both sides of a split."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import tuning_data

from llm_optimize import finetune
from llm_optimize.errors import BadInput
from llm_optimize.finetune.methods import method_for
from llm_optimize.finetune.rows import Item, Turn, split_items

if TYPE_CHECKING:
    from pathlib import Path

USER = {"role": "user", "content": "q"}
SAID = {"role": "assistant", "content": "a"}
REFUSED = {"role": "assistant", "content": "b"}
ASKED = (Turn("user", "q"),)


@pytest.mark.parametrize(
    ("row", "item"),
    [
        ({"messages": [USER, SAID]}, Item(ASKED, "a")),
        ({"prompt": "q", "completion": "a"}, Item(ASKED, "a")),
        ({"prompt": [USER], "completion": [SAID]}, Item(ASKED, "a")),
        ({"text": "<s>[INST] q [/INST] a </s>"}, Item(ASKED, "a", kind="inst")),
        ({"text": "just a text"}, Item((), "just a text", kind="text")),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, Item(ASKED, "a", "b", "pair")),
        ({"prompt": [USER], "chosen": [SAID], "rejected": [REFUSED]}, Item(ASKED, "a", "b", "pair")),
        (
            {"input": {"messages": [USER]}, "preferred_output": [SAID], "non_preferred_output": [REFUSED]},
            Item(ASKED, "a", "b", "pair"),
        ),
    ],
)
def test_every_shape_is_read(tmp_path: Path, row: dict, item: Item):
    """One row of each published shape is the item that it says."""
    assert finetune.read_items(tuning_data.write(tmp_path / "rows.jsonl", [row])) == (item,)


def test_a_conversation_teaches_each_answer_that_counts(tmp_path: Path):
    """An answer of weight 0 is context; the others are items, with all before them as the prompt."""
    turns = [USER, {**SAID, "weight": 0}, {"role": "user", "content": "and?"}, REFUSED]
    (item,) = finetune.read_items(tuning_data.write(tmp_path / "rows.jsonl", [{"messages": turns}]))
    assert (item.answer, len(item.prompt)) == ("b", 3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: is no JSON"),
        ("[1]", "line 2: is no object"),
        ('{"question": "q"}', "line 2: has 'question': give messages"),
        ('{"prompt": "q", "completion": " "}', "line 2: completion holds no answer"),
        ('{"prompt": "q", "chosen": "a", "rejected": "a"}', "line 2: chosen and rejected are the same"),
        ('{"messages": [{"role": "user", "content": "q"}]}', "line 2: no answer of the assistant"),
        ('{"messages": [{"role": "robot", "content": "q"}]}', "line 2: messages holds a message without a text"),
        ('{"prompt": [], "completion": "a"}', "line 2: prompt is no list of messages"),
        ('{"text": ""}', "line 2: text is empty"),
        ('{"text": "plain"}', "line 2: a row of kind text among rows of kind chat"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, line: str, message: str):
    """The error names file, line and what to do."""
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"prompt": "q", "completion": "a"}) + "\n" + line + "\n")
    with pytest.raises(BadInput, match=message):
        finetune.read_items(file)


def test_an_empty_or_missing_file_is_named(tmp_path: Path):
    """Neither is trained on."""
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(BadInput, match="holds no rows"):
        finetune.read_items(tmp_path / "empty.jsonl")
    with pytest.raises(BadInput, match="cannot be read"):
        finetune.read_items(tmp_path / "none.jsonl")


def test_no_prompt_is_on_both_sides():
    """85/15 by seed: the share holds, twins stay together, and neither order nor run changes who is where."""
    items = [Item((Turn("user", f"q{n // 2}"),), f"a{n}") for n in range(200)]
    learnt, held = split_items(items, 0.15, seed=1)
    assert (len(learnt), len(held)) == (170, 30)
    assert not {item.prompt for item in learnt} & {item.prompt for item in held}
    assert set(split_items(items[::-1], 0.15, seed=1)[1]) == set(held)
    assert set(split_items(items, 0.15, seed=2)[1]) != set(held)
    assert split_items(items, 0, seed=1) == (tuple(items), ())
    with pytest.raises(BadInput, match="one prompt only"):
        split_items(items[:2], 0.15, seed=1)


def test_the_method_is_what_the_data_is_made_for():
    """Pairs are for DPO, single answers for SFT; the other way round is refused with the rows that it needs."""
    single, pair = Item(ASKED, "a"), Item(ASKED, "a", "b", "pair")
    assert (method_for([single], None), method_for([pair], None)) == ("sft", "dpo")
    with pytest.raises(BadInput, match="needs rows with prompt, chosen and rejected"):
        method_for([single], "dpo")
    with pytest.raises(BadInput, match="needs rows with one answer"):
        method_for([pair], "sft")
    with pytest.raises(BadInput, match="give one of sft, dpo"):
        method_for([pair], "ppo")


def test_the_preset_has_the_published_settings():
    """Promptimal's settings as its code has them."""
    got = finetune.preset("promptimal")
    assert (got.lora.rank, got.lora.alpha, got.lora.dropout) == (80, 16, 0.1)
    assert (got.epochs, got.batch, got.accumulation, got.rate("sft"), got.schedule) == (2, 4, 4, 2e-4, "cosine")
    assert (got.warmup, got.weight_decay, got.clip, got.length) == (0.1, 0.035, 1.0, 100)
    assert (got.held_out, got.group_by_length, got.four_bit, got.loss, got.log_every) == (0.15, True, True, "all", 15)
    assert (finetune.Settings().rate("sft"), finetune.Settings().rate("dpo")) == (2e-4, 5e-6)
    with pytest.raises(BadInput, match="there is promptimal"):
        finetune.preset("other")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs is 0: give a number above 0"),
        ({"batch": 0}, "batch is 0"),
        ({"held_out": 1.0}, "held_out is 1.0"),
        ({"schedule": "sine"}, "schedule is 'sine': give one of cosine, linear, constant"),
        ({"precision": "fp8"}, "precision is 'fp8'"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict, message: str):
    """The field is named, with what to give instead."""
    with pytest.raises(BadInput, match=message):
        finetune.Settings(**wrong)
    with pytest.raises(BadInput, match="lora rank is 0"):
        finetune.Lora(rank=0)


def test_without_the_extra_the_error_names_it(tmp_path: Path):
    """In an interpreter that finds no torch, training is refused with the command that installs it; nothing is made."""
    data = tuning_data.chats(tmp_path / "chats.jsonl", 10)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from llm_optimize.cli import main\n"
        f"sys.exit(main(['finetune', {str(data)!r}, '--base', 'b', '--output', 'o']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "torch is not installed" in done.stderr
    assert "pip install 'llm-optimize[finetune]'" in done.stderr
    assert not (tmp_path / "o").exists()


def test_importing_the_package_loads_no_library():
    """``from llm_optimize import finetune`` brings none of the libraries that training needs, nor openai."""
    heavy = "'torch', 'transformers', 'trl', 'peft', 'datasets', 'openai'"
    code = f"import sys; from llm_optimize import finetune; print(sorted({{{heavy}}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
