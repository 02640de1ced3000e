"""A small model trained on better prompts: LoRA by SFT or DPO on this machine, or a job at a provider.

::

    from llm_optimize import finetune

    tuned = finetune.train("pairs.jsonl", "./llama", "tuned", finetune.preset("promptimal"))
    print(tuned.loss)                                      # against the untuned model, on held-out items
    job = finetune.start("pairs.jsonl", "gpt-4o-mini", "job")

Training needs the extra ``finetune``; a provider's job does not. What was saved in ``tuned/merged`` is served with
``transformers serve tuned/merged`` or ``vllm serve tuned/merged`` and proposes as any other model:
``optimize.run(..., model="http://127.0.0.1:8000/v1#tuned/merged")``.
"""

from __future__ import annotations

from llm_optimize.finetune.hosted import Hosted, HostedJob, start
from llm_optimize.finetune.measuring import Comparison
from llm_optimize.finetune.rows import Item, read_items
from llm_optimize.finetune.settings import PRESETS, Lora, Settings, preset
from llm_optimize.finetune.training import Trained
from llm_optimize.finetune.work import Tuned, train

__all__ = [
    "PRESETS",
    "Comparison",
    "Hosted",
    "HostedJob",
    "Item",
    "Lora",
    "Settings",
    "Trained",
    "Tuned",
    "preset",
    "read_items",
    "start",
    "train",
]
