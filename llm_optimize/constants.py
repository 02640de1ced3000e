"""The two prompts under the predecessor's names; :mod:`llm_optimize.proposers.prompts` says what their slots are."""

from __future__ import annotations

from llm_optimize.proposers.prompts import HUMAN_OPTIMIZATION_PROMPT, SYSTEM_PROMPT

__all__ = ["HUMAN_OPTIMIZATION_PROMPT", "SYSTEM_PROMPT"]
