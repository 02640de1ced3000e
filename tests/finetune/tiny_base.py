"""A tiny Llama with random weights, and a tokenizer trained here: ``python tiny_base.py FOLDER``; no file is fetched.

Its weights are drawn wider than usual, so that an adapter beside frozen random layers has something to hold on to.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import tuning_data
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPREAD = 0.25


def tokenizer() -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer without a chat template."""
    base = Tokenizer(models.BPE())
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<s>", "</s>"],
        show_progress=False,
    )
    words = [tuning_data.BETTER, *(message["content"] for message in tuning_data.messages_of_a_run("tell rain"))]
    base.train_from_iterator(words * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=base, bos_token="<s>", eos_token="</s>")


def make(folder: Path, hidden: int = 48, layers: int = 2, spread: float = SPREAD) -> int:
    """Save model and tokenizer in ``folder``; return the number of parameters."""
    torch.manual_seed(0)
    words = tokenizer()
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=8192,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        tie_word_embeddings=False,
        initializer_range=spread,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return sum(weight.numel() for weight in model.parameters())


if __name__ == "__main__":
    sys.stdout.write(f"{make(Path(sys.argv[1])):,} parameters\n")
