"""Write the model of ``tiny_llama.py`` as a GGUF file for llama.cpp: ``python tiny_gguf.py FOLDER FILE.gguf``.

Run in an environment with torch, transformers and gguf. The project's own converter is part of llama.cpp's repository,
not of a package; what a plain Llama needs of it fits here. Names and layout: ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """Reorder a query or key matrix: llama.cpp rotates neighbouring pairs, transformers the two halves of a head."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def add_words(out: gguf.GGUFWriter, folder: str) -> None:
    """Write the tokenizer."""
    words = PreTrainedTokenizerFast.from_pretrained(folder)
    saved = json.loads((Path(folder) / "tokenizer.json").read_text("utf-8"))
    added = {token["id"]: token for token in saved["added_tokens"]}
    texts = [words.convert_ids_to_tokens(number) for number in range(len(words))]
    kinds = [gguf.TokenType.NORMAL] * len(texts)
    for number, token in added.items():
        kinds[number] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
    merges = saved["model"]["merges"]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(texts)
    out.add_token_types(kinds)
    out.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    out.add_eos_token_id(words.eos_token_id)
    out.add_pad_token_id(words.eos_token_id)
    out.add_add_bos_token(False)  # noqa: FBT003 - takes no keyword
    out.add_chat_template(words.chat_template)


def main(folder: str, file: str) -> None:
    """Convert."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = model.config
    out = gguf.GGUFWriter(file, "llama")
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_block_count(config.num_hidden_layers)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    out.add_vocab_size(config.vocab_size)
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_words(out, folder)
    names = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output"}
    names |= {"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}
    names |= {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    whole = {"model.embed_tokens.weight": "token_embd", "model.norm.weight": "output_norm", "lm_head.weight": "output"}
    for name, tensor in model.state_dict().items():
        values = tensor.numpy().astype(np.float32)
        if name in whole:
            out.add_tensor(f"{whole[name]}.weight", values)
            continue
        _, _, layer, *_, part, _ = name.split(".")
        if part in ("q_proj", "k_proj"):
            values = permuted(values, config.num_attention_heads)
        out.add_tensor(f"blk.{layer}.{names[part]}.weight", values)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
