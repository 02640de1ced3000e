"""Running text as a program, without trusting it: limits, walls, and values that cross as data only."""

from __future__ import annotations

from llm_optimize.sandbox.backends import available_backends
from llm_optimize.sandbox.base import REASONS, Backend, Call, Finished, Layers, Limits, Program
from llm_optimize.sandbox.box import Sandbox, describe
from llm_optimize.sandbox.checking import Case, Checked
from llm_optimize.sandbox.session import Session

__all__ = [
    "REASONS",
    "Backend",
    "Call",
    "Case",
    "Checked",
    "Finished",
    "Layers",
    "Limits",
    "Program",
    "Sandbox",
    "Session",
    "available_backends",
    "describe",
]
