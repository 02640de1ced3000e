"""The design's rules that a program can check: floors, cycles, weight of the import, broad excepts, size, docstrings.

ruff, its formatter and mypy run here too, so that one command proves all.
"""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "llm_optimize"

FLOORS = {
    **dict.fromkeys(("cli", "__main__"), 6),
    **dict.fromkeys(("sweep", "distill", "export", "finetune", "serve"), 5),
    **dict.fromkeys(("optimize", "eval_utils", "constants"), 4),
    **dict.fromkeys(("targets", "toolbox", "report"), 3),
    **dict.fromkeys(("proposers", "scorers"), 2),
    **dict.fromkeys(("llm", "sandbox", "stores", "parallel", "text", "retrieval"), 1),
    **dict.fromkeys(("core", "errors"), 0),
}
FREE = {"", "testing"}  # the package's list of names, and what ships for tests, may import everything

BROAD = {
    "llm_optimize.core.scoring": "a user's scorer may raise anything; what it raised is told to the model",
    "llm_optimize.core.journal": "an observer may raise anything; it is logged and the study goes on",
    "llm_optimize.core.workers": "an executor hands what was raised to the future's owner, and swallows nothing",
    "llm_optimize.cli": "a command ends with a line and an exit code, not with a traceback",
    "llm_optimize.llm.tools": "a tool is a user's function and may raise anything; what it raised is told to the model",
    "llm_optimize.proposers.constraints": "a user's function may raise anything; a text that makes it do so is refused",
    "llm_optimize.parallel.evaluators": "an engine has errors of its own; whatever it raises is handed to the future",
    "llm_optimize.sandbox.pickled": "copies objects whose classes may raise anything while they are copied",
    "llm_optimize.sandbox.program": "runs a stranger's program inside the jail; whatever it raises is the result",
}

HEAVY = (
    *("cloudpickle", "dask", "distributed", "mpi4py", "ray"),
    *("cmaes", "datasets", "flask", "genai_prices", "jinja2", "jsonschema", "matplotlib", "mcp", "numpy", "openai"),
    *("opentelemetry", "optuna", "pandas", "peft", "psutil", "psycopg", "pyarrow", "pydantic", "rapidfuzz"),
    *(
        "requests",
        "sacrebleu",
        "scipy",
        "sentence_transformers",
        "sklearn",
        "starlette",
        "tenacity",
        "tiktoken",
        "torch",
    ),
    *("transformers", "trl", "usearch", "uvicorn"),
)


@cache
def trees() -> dict[str, ast.Module]:
    """Every module of the package by its name."""
    return {_module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _imported(node: ast.AST) -> list[str]:
    """Return our own modules that an import statement names; absolute imports only, which another test keeps."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return []
    return [_longest(name) for name in names if name.split(".")[0] == PACKAGE.name]


def _longest(name: str) -> str:
    while name not in trees():
        name = name.rpartition(".")[0]
    return name


def _edges(*, at_run_time: bool = False) -> list[tuple[str, str, int]]:
    return [
        (module, target, node.lineno)
        for module, tree in trees().items()
        for node in _nodes(tree, at_run_time=at_run_time)
        for target in _imported(node)
        if target != module
    ]


def _nodes(tree: ast.AST, *, at_run_time: bool) -> list[ast.AST]:
    found = []
    for child in ast.iter_child_nodes(tree):
        if at_run_time and isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        found += [child, *_nodes(child, at_run_time=at_run_time)]
    return found


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_every_module_has_a_floor() -> None:
    """A new folder or top-level file stands on a floor of the design."""
    assert {_part(module) for module in trees()} <= {*FLOORS, *FREE}


def test_imports_go_down_or_stay_inside_their_folder() -> None:
    """No module imports from a floor above its own, or from another part of its own floor, not even for a type."""
    wrong = [
        f"{module}:{line} imports {target}"
        for module, target, line in _edges()
        if _part(module) not in FREE and _part(module) != _part(target) and not _lower(_part(module), _part(target))
    ]
    assert wrong == []


def _lower(here: str, there: str) -> bool:
    # The parts of the top three floors and of floor 0 know one another: DESIGN 4 names strangers on 1 and 2 only.
    floor, target = FLOORS[here], FLOORS.get(there)
    return target is not None and (target < floor or (target == floor and floor not in {1, 2}))


def test_nobody_imports_the_test_helpers_or_the_list_of_names() -> None:
    """The package does not depend on its own contract suites, nor on the names that it offers to users."""
    allowed = {"", "testing"}
    wrong = [f"{module} imports {target}" for module, target, _ in _edges() if _part(target) == "testing"]
    wrong += [f"{module} imports {target}" for module, target, _ in _edges() if target == PACKAGE.name]
    assert [line for line in wrong if _part(line.split()[0]) not in allowed] == []


def test_there_is_no_import_cycle() -> None:
    """Modules can be ordered so that each imports only earlier ones; imports for types alone do not count."""
    after: dict[str, set[str]] = {module: set() for module in trees()}
    for module, target, _ in _edges(at_run_time=True):
        after[module].add(target)
    while free := [module for module, targets in after.items() if not targets]:
        for module in free:
            del after[module]
        for targets in after.values():
            targets.difference_update(free)
    assert after == {}


def test_our_own_code_is_imported_at_the_top() -> None:
    """No function hides an import of the package's own code."""
    wrong = [
        f"{module}:{node.lineno}"
        for module, tree in trees().items()
        for function in _functions(tree)
        for node in ast.walk(function)
        if _imported(node)
    ]
    assert wrong == []


def test_imports_are_absolute() -> None:
    """An import says where its target lives."""
    nodes = [(module, node) for module, tree in trees().items() for node in ast.walk(tree)]
    wrong = [f"{module}:{node.lineno}" for module, node in nodes if isinstance(node, ast.ImportFrom) and node.level]
    assert wrong == []


@pytest.mark.parametrize(
    "statement",
    [
        "import llm_optimize",
        "from llm_optimize import optimize, eval_utils, llm, constants",
        "from llm_optimize import *",
        "import llm_optimize.cli",
    ],
)
def test_importing_loads_no_heavy_package(statement: str) -> None:
    """What costs time to import is imported on first use, by the file that owns it."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}} & set({HEAVY!r})))"
    assert _run("-c", code).stdout.split() == []


def test_broad_excepts_stand_at_the_borders_only() -> None:
    """Only listed files, each with its reason, catch everything."""
    wrong = [
        f"{module}:{node.lineno}"
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node) and module not in BROAD
    ]
    assert wrong == []


def _is_broad(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False  # it tidies up and lets everything pass
    if handler.type is None:
        return True
    names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"} for name in names)


def test_there_is_no_global_statement() -> None:
    """No function rebinds a module's name."""
    nodes = [(module, node) for module, tree in trees().items() for node in ast.walk(tree)]
    assert [f"{module}:{node.lineno}" for module, node in nodes if isinstance(node, ast.Global)] == []


def test_files_and_functions_are_short() -> None:
    """No file is longer than 400 lines and no function longer than 60."""
    files = [path for folder in ("llm_optimize", "examples", "tests") for path in (ROOT / folder).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}
    functions = {
        f"{module}.{function.name}": _body_lines(function)
        for module, tree in trees().items()
        for function in _functions(tree)
    }
    assert {name: lines for name, lines in functions.items() if lines > 60} == {}


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count lines without the docstring: a contract may be as long as it needs to be."""
    docstring = function.body[0] if ast.get_docstring(function) else None
    taken = (docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - taken


def test_every_public_definition_is_documented() -> None:
    """Each module, public class and public function of the package says what it is."""
    wrong = [module for module, tree in trees().items() if not ast.get_docstring(tree)]
    wrong += [
        f"{module}:{node.lineno} {node.name}"
        for module, tree in trees().items()
        for node in _public(tree)
        if not ast.get_docstring(node) and not _is_overload(node)
    ]
    assert wrong == []


def _public(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            found.append(node)
            found += _public(node) if isinstance(node, ast.ClassDef) else []
    return found


def _is_overload(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(decorator) in {"overload", "typing.overload"} for decorator in decorators)


def test_every_test_says_what_must_hold() -> None:
    """Each test has a docstring: one sentence that the test proves."""
    wrong = [
        f"{path.relative_to(ROOT)}:{function.lineno}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for function in _functions(ast.parse(path.read_text(encoding="utf-8")))
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert wrong == []


def test_names_of_test_files_are_unique() -> None:
    """Tests are no package, so two files of one name would be one module."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize(
    "arguments",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",)],
    ids=" ".join,
)
def test_static_checks_pass(arguments: tuple[str, ...]) -> None:
    """All of ruff's rules, its format, and mypy --strict hold for the whole checkout."""
    done = _run("-m", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_test_can_reach_the_network() -> None:
    """A connection to anything but this machine is refused before a packet leaves, and no key is at hand."""
    with socket.socket() as client, pytest.raises(RuntimeError, match=r"192\.0\.2\.1"):
        client.connect(("192.0.2.1", 80))
    assert [name for name in os.environ if name.startswith("OPENAI_")] == []
    assert os.environ["LLM_OPTIMIZE_NO_REQUESTS"] == "1"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=600
    )
