"""Trains a Llama of some 100 million random weights where a GPU can be had: ``python gpu_check.py [--hidden 768]``.

No test: it prints the device, the loss before and after, and tokens per second, and ends with 1 unless the loss fell.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import fmean

import tiny_base
import tuning_data

from llm_optimize import finetune
from llm_optimize.finetune.hardware import choose
from llm_optimize.finetune.measuring import token_ids
from llm_optimize.finetune.training import load_tokenizer


def main() -> int:
    """Train, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=768, help="width; 768 with 12 layers is 94 million weights")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    lora = finetune.Lora(rank=64, alpha=64)
    settings = finetune.Settings(
        epochs=args.epochs, batch=16, accumulation=1, learning_rate=3e-3, lora=lora, log_every=1
    )
    with tempfile.TemporaryDirectory() as folder:
        return check(Path(folder), args, settings)


def check(folder: Path, args: argparse.Namespace, settings: finetune.Settings) -> int:
    """Train in ``folder`` and print what came of it."""
    weights = tiny_base.make(folder / "base", args.hidden, args.layers, spread=0.05)
    data = tuning_data.chats(folder / "chats.jsonl", args.rows)
    hardware = choose(args.device, settings)
    say(f"{weights:,} weights on {hardware.device}, {'bf16' if hardware.bf16 else 'fp32'}")
    tuned = finetune.train(data, folder / "base", folder / "out", settings, device=args.device, say=say)
    items = finetune.read_items(data)
    tokenizer = load_tokenizer(str(folder / "base"), items)
    tokens = fmean(len(token_ids(tokenizer, item, item.answer)[0]) for item in items) * tuned.items * settings.epochs
    first, last = tuned.trained.log[0][1], tuned.trained.log[-1][1]
    say(f"training loss {first:.4f} -> {last:.4f} in {tuned.trained.steps} steps")
    say(f"{tokens / tuned.trained.seconds:,.0f} tokens/s over {tuned.trained.seconds:.1f} s")
    say(str(tuned.loss))
    return 0 if tuned.loss is not None and tuned.loss.low > 0 and last < first / 2 else 1


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
