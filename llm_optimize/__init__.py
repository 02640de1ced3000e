"""Make a text better when you can score it.

>>> from llm_optimize import optimize  # doctest: +SKIP
>>> best_score, scores, best_x = optimize.run(TASK, QUESTION, score, x0="...")  # doctest: +SKIP

The names below load on first use (PEP 562), so that the import itself costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_optimize import constants, core, errors, eval_utils, llm, optimize, proposers, sandbox, scorers, stores
    from llm_optimize.core.budget import Budget
    from llm_optimize.core.chat import Message, Reply, Request
    from llm_optimize.core.history import History
    from llm_optimize.core.noise import Noise
    from llm_optimize.core.stopping import AllOf, AnyOf, MaxSteps, Plateau, StopFile, Suspicious, TargetScore, WallClock
    from llm_optimize.core.study import Study
    from llm_optimize.core.types import Candidate, Draft, Evaluation, Failure, Problem, Proposal, Trial, Usage
    from llm_optimize.errors import LLMOptimizeError
    from llm_optimize.llm.fake import ScriptedModel
    from llm_optimize.optimize import Result
    from llm_optimize.proposers.chat import ChatProposer
    from llm_optimize.proposers.mixing import Hybrid
    from llm_optimize.proposers.numeric import NumericProposer
    from llm_optimize.sandbox import Finished, Limits, Sandbox
    from llm_optimize.scorers.combining import Minimize
    from llm_optimize.stores.memory import MemoryStore
    from llm_optimize.stores.sqlite import SQLiteStore
    from llm_optimize.text.tunables import Box

__all__ = [
    "AllOf",
    "AnyOf",
    "Box",
    "Budget",
    "Candidate",
    "ChatProposer",
    "Draft",
    "Evaluation",
    "Failure",
    "Finished",
    "History",
    "Hybrid",
    "LLMOptimizeError",
    "Limits",
    "MaxSteps",
    "MemoryStore",
    "Message",
    "Minimize",
    "Noise",
    "NumericProposer",
    "Plateau",
    "Problem",
    "Proposal",
    "Reply",
    "Request",
    "Result",
    "SQLiteStore",
    "Sandbox",
    "ScriptedModel",
    "StopFile",
    "Study",
    "Suspicious",
    "TargetScore",
    "Trial",
    "Usage",
    "WallClock",
    "constants",
    "core",
    "errors",
    "eval_utils",
    "llm",
    "optimize",
    "proposers",
    "sandbox",
    "scorers",
    "stores",
]

_HOMES = {
    "core.budget": ("Budget",),
    "core.chat": ("Message", "Reply", "Request"),
    "core.history": ("History",),
    "core.noise": ("Noise",),
    "core.stopping": ("AllOf", "AnyOf", "MaxSteps", "Plateau", "StopFile", "Suspicious", "TargetScore", "WallClock"),
    "core.study": ("Study",),
    "core.types": ("Candidate", "Draft", "Evaluation", "Failure", "Problem", "Proposal", "Trial", "Usage"),
    "errors": ("LLMOptimizeError",),
    "llm.fake": ("ScriptedModel",),
    "optimize": ("Result",),
    "proposers.chat": ("ChatProposer",),
    "proposers.mixing": ("Hybrid",),
    "proposers.numeric": ("NumericProposer",),
    "sandbox": ("Finished", "Limits", "Sandbox"),
    "scorers.combining": ("Minimize",),
    "stores.memory": ("MemoryStore",),
    "stores.sqlite": ("SQLiteStore",),
    "text.tunables": ("Box",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        return getattr(import_module(f"llm_optimize.{_HOME_OF[name]}"), name)
    if name in __all__:
        return import_module(f"llm_optimize.{name}")
    msg = f"module 'llm_optimize' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
