"""Make a text better when you can score it.

>>> from llm_optimize import optimize  # doctest: +SKIP
>>> best_score, scores, best_x = optimize.run(TASK, QUESTION, score, x0="...")  # doctest: +SKIP

The names below load on first use (PEP 562), so that the import itself costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_optimize import (
        constants,
        core,
        distill,
        errors,
        eval_utils,
        export,
        finetune,
        llm,
        optimize,
        parallel,
        proposers,
        report,
        retrieval,
        sandbox,
        scorers,
        stores,
        sweep,
        targets,
    )
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
    from llm_optimize.proposers.bandit import Bandit, Weights
    from llm_optimize.proposers.best_of_n import BestOfN
    from llm_optimize.proposers.brief import Angle
    from llm_optimize.proposers.chat import ChatProposer
    from llm_optimize.proposers.escalation import Escalation
    from llm_optimize.proposers.forms.edits import Edits
    from llm_optimize.proposers.forms.full_text import FullText
    from llm_optimize.proposers.forms.typed_json import TypedJSON
    from llm_optimize.proposers.lessons import Lessons
    from llm_optimize.proposers.mixing import Hybrid, Quota
    from llm_optimize.proposers.novelty import Novelty
    from llm_optimize.proposers.numeric import NumericProposer
    from llm_optimize.proposers.parents.best import Best
    from llm_optimize.proposers.parents.crossover import Crossover
    from llm_optimize.proposers.parents.features import Feature
    from llm_optimize.proposers.parents.islands import Islands
    from llm_optimize.proposers.parents.pareto_front import ParetoFront
    from llm_optimize.proposers.parents.restart import Restart
    from llm_optimize.proposers.parents.softmax import Softmax
    from llm_optimize.proposers.parents.tournament import Tournament
    from llm_optimize.proposers.parents.widening import Widening
    from llm_optimize.proposers.population import PopulationProposer
    from llm_optimize.proposers.portfolio import Portfolio
    from llm_optimize.proposers.repair import Repair
    from llm_optimize.proposers.window import Window
    from llm_optimize.proposers.windows.diverse import Diverse
    from llm_optimize.proposers.windows.near import Near
    from llm_optimize.proposers.windows.recent import Recent
    from llm_optimize.proposers.windows.top import Top
    from llm_optimize.sandbox import Finished, Limits, Sandbox
    from llm_optimize.scorers.combining import Minimize
    from llm_optimize.scorers.command import CommandScorer
    from llm_optimize.stores.memory import MemoryStore
    from llm_optimize.stores.postgres import PostgresStore
    from llm_optimize.stores.sqlite import SQLiteStore
    from llm_optimize.sweep import SweepResult
    from llm_optimize.targets.document_qa import DocumentQA
    from llm_optimize.targets.prompt_population import PromptSearch
    from llm_optimize.text.tunables import Box

__all__ = [
    "AllOf",
    "Angle",
    "AnyOf",
    "Bandit",
    "Best",
    "BestOfN",
    "Box",
    "Budget",
    "Candidate",
    "ChatProposer",
    "CommandScorer",
    "Crossover",
    "Diverse",
    "DocumentQA",
    "Draft",
    "Edits",
    "Escalation",
    "Evaluation",
    "Failure",
    "Feature",
    "Finished",
    "FullText",
    "History",
    "Hybrid",
    "Islands",
    "LLMOptimizeError",
    "Lessons",
    "Limits",
    "MaxSteps",
    "MemoryStore",
    "Message",
    "Minimize",
    "Near",
    "Noise",
    "Novelty",
    "NumericProposer",
    "ParetoFront",
    "Plateau",
    "PopulationProposer",
    "Portfolio",
    "PostgresStore",
    "Problem",
    "PromptSearch",
    "Proposal",
    "Quota",
    "Recent",
    "Repair",
    "Reply",
    "Request",
    "Restart",
    "Result",
    "SQLiteStore",
    "Sandbox",
    "ScriptedModel",
    "Softmax",
    "StopFile",
    "Study",
    "Suspicious",
    "SweepResult",
    "TargetScore",
    "Top",
    "Tournament",
    "Trial",
    "TypedJSON",
    "Usage",
    "WallClock",
    "Weights",
    "Widening",
    "Window",
    "constants",
    "core",
    "distill",
    "errors",
    "eval_utils",
    "export",
    "finetune",
    "llm",
    "optimize",
    "parallel",
    "proposers",
    "report",
    "retrieval",
    "sandbox",
    "scorers",
    "stores",
    "sweep",
    "targets",
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
    "proposers.bandit": ("Bandit", "Weights"),
    "proposers.best_of_n": ("BestOfN",),
    "proposers.brief": ("Angle",),
    "proposers.chat": ("ChatProposer",),
    "proposers.escalation": ("Escalation",),
    "proposers.forms.edits": ("Edits",),
    "proposers.forms.full_text": ("FullText",),
    "proposers.forms.typed_json": ("TypedJSON",),
    "proposers.lessons": ("Lessons",),
    "proposers.mixing": ("Hybrid", "Quota"),
    "proposers.novelty": ("Novelty",),
    "proposers.numeric": ("NumericProposer",),
    "proposers.parents.best": ("Best",),
    "proposers.parents.crossover": ("Crossover",),
    "proposers.parents.features": ("Feature",),
    "proposers.parents.islands": ("Islands",),
    "proposers.parents.pareto_front": ("ParetoFront",),
    "proposers.parents.restart": ("Restart",),
    "proposers.parents.softmax": ("Softmax",),
    "proposers.parents.tournament": ("Tournament",),
    "proposers.parents.widening": ("Widening",),
    "proposers.population": ("PopulationProposer",),
    "proposers.portfolio": ("Portfolio",),
    "proposers.repair": ("Repair",),
    "proposers.window": ("Window",),
    "proposers.windows.diverse": ("Diverse",),
    "proposers.windows.near": ("Near",),
    "proposers.windows.recent": ("Recent",),
    "proposers.windows.top": ("Top",),
    "sandbox": ("Finished", "Limits", "Sandbox"),
    "scorers.combining": ("Minimize",),
    "scorers.command": ("CommandScorer",),
    "stores.memory": ("MemoryStore",),
    "stores.postgres": ("PostgresStore",),
    "stores.sqlite": ("SQLiteStore",),
    "sweep": ("SweepResult",),
    "targets.document_qa": ("DocumentQA",),
    "targets.prompt_population": ("PromptSearch",),
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
