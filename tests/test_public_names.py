"""What the package offers by name: complete, sorted, and loaded on first use."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import llm_optimize

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(llm_optimize.__path__, "llm_optimize.")
    if not module.name.endswith("__main__")
)

EXPECTED = [
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


def test_the_package_offers_what_users_rely_on() -> None:
    """No name that users import disappears by accident, and a new one is a decision."""
    assert sorted(llm_optimize.__all__) == sorted(EXPECTED)


@pytest.mark.parametrize("name", llm_optimize.__all__)
def test_each_name_of_the_package_resolves(name: str) -> None:
    """Each offered name is there, found lazily, and is the object that its home module holds."""
    value = getattr(llm_optimize, name)
    home = getattr(value, "__module__", None)
    if home is not None:
        assert getattr(importlib.import_module(home), name) is value


def test_dir_lists_the_offered_names() -> None:
    """Completion in a shell shows the offered names, sorted, and nothing else."""
    assert dir(llm_optimize) == sorted(llm_optimize.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as it does for any module."""
    with pytest.raises(AttributeError, match="no attribute 'optimise'"):
        _ = llm_optimize.optimise


@pytest.mark.parametrize("name", ["llm_optimize", *MODULES])
def test_a_module_lists_its_public_names(name: str) -> None:
    """``__all__`` is sorted, has no doubles, and holds every public name that the module defines."""
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])
    assert list(names) == _sorted_as_ruff(names)
    assert len(set(names)) == len(names)
    assert [one for one in names if not hasattr(module, one)] == []
    assert _defined(Path(str(module.__file__))) - set(names) == set()


def _sorted_as_ruff(names: list[str]) -> list[str]:
    """Constants first, then classes, then the rest: the order that ruff's RUF022 keeps."""
    return sorted(names, key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name))


def _defined(path: Path) -> set[str]:
    """Return public functions, classes and annotated or plain constants of a file's top level."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return {name for name in found if not name.startswith("_") and not (len(name) == 1 and name.isupper())}
