"""Training files out of studies and distill runs: for OpenAI's fine-tuning, for TRL, for DPO, for Llama 2's template.

::

    from llm_optimize import export

    export.write(export.from_distill("better"), "train.jsonl", "chat")
    export.write(export.from_distill("better"), "pairs.jsonl", "dpo")
"""

from __future__ import annotations

from llm_optimize.export.checking import Checked, check_chat
from llm_optimize.export.files import Exported, read_file, read_pairs, read_rows, write
from llm_optimize.export.formats import FORMATS, Format, Options, pair_of, rows
from llm_optimize.export.improvements import Improvement, from_distill, from_study, split

__all__ = [
    "FORMATS",
    "Checked",
    "Exported",
    "Format",
    "Improvement",
    "Options",
    "check_chat",
    "from_distill",
    "from_study",
    "pair_of",
    "read_file",
    "read_pairs",
    "read_rows",
    "rows",
    "split",
    "write",
]
