"""From what a user names on the command line (a file, a module, an object) to the thing itself.

Their code runs here. Whatever it raises while it is loaded becomes one line with the place in their file.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.core.workers import Inline
from llm_optimize.errors import BadInput, LLMOptimizeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["is_object_name", "load_file", "load_named", "read_source"]

_OBJECT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_object_name(text: str) -> bool:
    """Return whether ``text`` is ``package.module:name`` and there is such a module.

    Names of models look alike (``phi:latest``), so the module must exist.
    """
    if not _OBJECT.fullmatch(text):
        return False
    _make_importable(Path.cwd())
    top = text.partition(":")[0].partition(".")[0]
    return importlib.util.find_spec(top) is not None


def load_named(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import ``package.module`` or ``package.module:name`` from the current folder or the installed packages.

    Raises:
        BadInput: there is none, or it cannot be imported.
    """
    module_name, _, attribute = name.partition(":")
    _make_importable(Path.cwd())
    found: Any = _run(name, importlib.import_module, module_name)
    for part in attribute.split(".") if attribute else ():
        if not hasattr(found, part):
            msg = f"{name}: {module_name} has no {attribute!r}"
            raise BadInput(msg)
        found = getattr(found, part)
    return found


def read_source(path: Path) -> str:
    """Return the text of a task file.

    Raises:
        BadInput: it cannot be read, or is not Python source.
    """
    try:
        source = path.read_text(encoding="utf-8-sig")
        compile(source, str(path), "exec", dont_inherit=True)
    except FileNotFoundError:
        msg = f"{path}: no such file; `llm-optimize init {path.name}` writes one to begin with"
        raise BadInput(msg) from None
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); give the path of a Python file"
        raise BadInput(msg) from None
    except SyntaxError as error:
        msg = f"{path}:{error.lineno}: syntax error: {error.msg}"
        raise BadInput(msg) from None
    except ValueError as error:
        msg = f"{path}: is not Python source in UTF-8 ({error})"
        raise BadInput(msg) from None
    return source


def load_file(path: Path) -> ModuleType:
    """Execute a file as a module; what lies beside it can be imported by it.

    Raises:
        BadInput: it raises, or exits.
    """
    _make_importable(path.parent)
    stem = path.stem
    taken = not stem.isidentifier() or stem in sys.modules or stem in sys.stdlib_module_names
    name = f"_task_{re.sub(r'[^0-9A-Za-z_]', '_', stem)}" if taken else stem
    loader = SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    if spec is None:  # the loader is ours, so there is always one; said for the type checker
        msg = f"{path}: cannot be loaded as a module"
        raise BadInput(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before its code runs: dataclasses and pickle look the module up by its name
    _run(str(path), loader.exec_module, module)
    return module


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _run(what: str, function: Callable[..., Any], argument: object) -> Any:  # noqa: ANN401 - the function's result
    try:
        future = Inline().submit(function, argument)  # hands an error over as a value, whatever it is
    except SystemExit as error:
        msg = f"{what}: exits when it is loaded; put what runs it behind `if __name__ == '__main__':`"
        raise BadInput(msg) from error
    raised = future.exception()
    if raised is None:
        return future.result()
    if isinstance(raised, LLMOptimizeError):
        raise raised
    msg = f"{_place(what, raised)}: {type(raised).__name__}: {raised}"
    raise BadInput(msg) from raised


def _place(what: str, error: BaseException) -> str:
    """Return the file with the line that was being executed, as far as the error passed through it."""
    path = what.partition(":")[0]
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f"{path}:{frames[-1].lineno}" if frames else what
