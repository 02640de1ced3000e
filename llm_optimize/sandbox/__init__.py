"""Running text as a program, without trusting it: limits, walls, and values that cross as data only."""

from __future__ import annotations

from llm_optimize.sandbox.base import REASONS, Backend, Call, Finished, Layers, Limits, Program
from llm_optimize.sandbox.box import Sandbox, available_backends, describe

__all__ = [
    "REASONS",
    "Backend",
    "Call",
    "Finished",
    "Layers",
    "Limits",
    "Program",
    "Sandbox",
    "available_backends",
    "describe",
]
