"""Make a tiny Llama that answers every chat with one of a few texts: ``python tiny_llama.py FOLDER ANSWERS.json``.

Run in an environment with torch and transformers. The model is randomly initialised and trained for some seconds on
one thing only: behind the token that opens an assistant's turn comes the first piece of one of the answers, behind each
piece the next, behind the last the end. So a real server really samples from a real model, and its replies are of use
to the loop. Pieces are short because llama-cpp-python shows no token of more than 32 bytes.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
STEPS, BATCH, LENGTH = 300, 4, 24
LONGEST_PIECE = 30


def pieces(answers: list[str]) -> list[list[str]]:
    """Cut each answer into pieces of a length of its own, so that no two answers share one."""
    cut = []
    for number, answer in enumerate(answers):
        size = LONGEST_PIECE - number
        cut.append([answer[start : start + size] for start in range(0, len(answer), size)])
    every = [piece for answer in cut for piece in answer]
    if len(set(every)) != len(every):
        raise SystemExit("two answers share a piece: change one of them")
    return cut


def tokenizer(answers: list[str], words: list[str]) -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer with one token for each of the words."""
    base = Tokenizer(models.BPE())
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, special_tokens=["<|end|>", *ROLES])
    base.train_from_iterator([Path(__file__).read_text("utf-8"), *answers], trainer)
    base.add_tokens([AddedToken(word, normalized=False) for word in words])
    made = PreTrainedTokenizerFast(tokenizer_object=base, eos_token="<|end|>", pad_token="<|end|>")
    made.chat_template = TEMPLATE
    return made


def train(model: LlamaForCausalLM, opening: int, answers: list[list[int]], end: int) -> float:
    """Teach it to answer; return the last loss."""
    numbers = random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(STEPS):
        rows = []
        for _ in range(BATCH):
            prompt = [numbers.randrange(model.config.vocab_size) for _ in range(LENGTH)]
            rows.append([*prompt, opening, *numbers.choice(answers), end])
        longest = max(map(len, rows))
        batch = torch.tensor([row + [end] * (longest - len(row)) for row in rows])
        labels = batch.clone()
        labels[:, : LENGTH + 1] = -100
        loss = model(input_ids=batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def main(folder: str, answers_file: str) -> None:
    """Make model and tokenizer and save them."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    answers = json.loads(Path(answers_file).read_text("utf-8"))
    cut = pieces(answers)
    words = tokenizer(answers, [piece for answer in cut for piece in answer])
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=16384,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.eos_token_id,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    ids = [[words.convert_tokens_to_ids(piece) for piece in answer] for answer in cut]
    loss = train(model, words.convert_tokens_to_ids("<|assistant|>"), ids, words.eos_token_id)
    model.generation_config.max_new_tokens = 64
    model.generation_config.do_sample = True
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    sys.stdout.write(f"loss {loss:.3f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
