"""Sweeps: which prompts and sampling settings bring an answer that is closest to the wanted one.

::

    from llm_optimize import sweep

    result = sweep.find_parameters(model="qwen3", prompt="Describe the harbour.", target="The harbour lies quiet ...")
    print(result.max)   # {'target': 0.93, 'params': {'temperature': 0.31, ...}}
"""

from __future__ import annotations

from llm_optimize.sweep.dimensions import parse_dimension
from llm_optimize.sweep.front import BOUNDS, MAX_TOKENS, MODEL, URL, NuxAI, find_parameters, optimize
from llm_optimize.sweep.options import More
from llm_optimize.sweep.outcome import SweepResult
from llm_optimize.sweep.plan import SEARCHES

__all__ = [
    "BOUNDS",
    "MAX_TOKENS",
    "MODEL",
    "SEARCHES",
    "URL",
    "More",
    "NuxAI",
    "SweepResult",
    "find_parameters",
    "optimize",
    "parse_dimension",
]
