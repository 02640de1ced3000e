"""Attempts by what is left of them without their layout: twins have the same, and are found in O(1).

A cache, not state: everything here follows from the history alone, and is rebuilt when another history comes.
"""

from __future__ import annotations

import ast
import hashlib
import re
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Candidate, Trial

__all__ = ["TwinIndex", "code_key", "words"]

_WORD = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\w+|[^\w\s]")
_RUN = re.compile(r"(?<=\S)[ \t]+")
_TUNE = re.compile(r"#\s*tune:.*")
_LONGEST = 200_000  # characters that are parsed; the parser's memory is a multiple of them
_MOST = 8  # twins that are remembered of each key
_REACH = 10_000  # trials, the latest ones, among which twins are looked for
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.comprehension)
_TELLING = (ast.Call, ast.Lambda, ast.comprehension, ast.Subscript)


def words(text: str) -> list[str]:
    """Return the words, numbers and signs of a text, in order.

    Example:
        >>> words("Add 1.5e3, then stop.")
        ['Add', '1.5e3', ',', 'then', 'stop', '.']
    """
    return _WORD.findall(text)


def code_key(text: str, *, names: bool = False) -> str | None:
    """Return the syntax tree of a Python text as one line, without docstrings and layout; None for no Python.

    Words that happen to parse are no program: there must be a statement, a call, a lambda or the like. Comments that
    mark numbers to tune belong to a program, since they say what it may become.

    Args:
        text: any text.
        names: leave the names of variables and parameters out as well, numbering them in order of appearance.

    Example:
        >>> code_key("x = 1  # one") == code_key("x  =  (1)")
        True
        >>> code_key("well-known") is None
        True
    """
    if len(text) > _LONGEST:
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # what the parser says to a text that is no program
        return None
    nodes = list(ast.walk(tree))
    if all(isinstance(node, ast.Expr) or not isinstance(node, (*_TELLING, ast.stmt)) for node in nodes):
        return None
    for node in nodes:
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    if names:
        _number_names(tree, nodes)
    return "\n".join([ast.dump(tree), *_TUNE.findall(text)])


def _number_names(tree: ast.Module, nodes: list[ast.AST]) -> None:
    """Number the names that functions bind, but for those that the outside may know: of modules, classes, keywords."""
    known = _outer(tree) | {node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg is not None}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    inner = (bound | {node.arg for node in nodes if isinstance(node, ast.arg)}) - known
    number: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in inner:
            node.id = number.setdefault(node.id, f"_{len(number)}")
        elif isinstance(node, ast.arg) and node.arg in inner:
            node.arg = number.setdefault(node.arg, f"_{len(number)}")


def _outer(tree: ast.Module) -> set[str]:
    """Return the names that are bound outside of functions, or declared to be."""
    names: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        waiting += [child for child in ast.iter_child_nodes(node) if not isinstance(child, _SCOPES)]
    declared = (node.names for node in ast.walk(tree) if isinstance(node, ast.Global | ast.Nonlocal))
    return names.union(*declared)


def _flat(text: str) -> str:
    """Return a text with white space run together within its lines, and without empty lines; indentation stays."""
    lines = (_RUN.sub(" ", line.rstrip()) for line in text.strip().splitlines())
    return "\n".join(line for line in lines if line)


class TwinIndex:
    """The latest 10,000 trials of a history by key; each is looked at once. Safe to use from many threads."""

    def __init__(self, *, names: bool = False) -> None:
        """Leave the names of variables out of the keys if ``names``."""
        self._names = names
        self._lock = threading.Lock()
        self._forget()

    def __reduce__(self) -> tuple[Callable[..., TwinIndex], tuple[bool]]:
        """Pickle without what is remembered."""
        return _empty, (self._names,)

    def is_code(self, text: str) -> bool:
        """Return whether a text is a Python program."""
        return code_key(text) is not None

    def key(self, text: str) -> str:
        """Return what is left of a text without its layout; its hash is what is kept."""
        found = code_key(text, names=self._names)
        return f"text:{_flat(text)}" if found is None else found

    def twin(self, text: str, history: History) -> Candidate | None:
        """Return the shortest earlier attempt with the same key, of equals the first, or None; pending ones count."""
        key = self.key(text)
        with self._lock:
            self._follow(history)
            told = len(history.trials)
            positions = [
                position for position in self._by_key.get(_digest(key), ()) if told - _REACH <= position < told
            ]
            known = [self._trials[position][0].candidate for position in positions]
        known += [one for one in history.pending if self.key(one.text) == key]
        return min(known, key=lambda one: len(one.text.strip()), default=None)

    def layout_counts(self, history: History) -> bool:
        """Return whether two twins have scored differently in this history."""
        with self._lock:
            self._follow(history)
            told = len(history.trials)
            return any(position < told and other >= told - _REACH for position, other in self._differed)

    def _forget(self) -> None:
        self._trials: dict[int, tuple[Trial, bytes]] = {}
        self._told = 0
        self._by_key: dict[bytes, list[int]] = {}
        self._differed: list[tuple[int, int]] = []

    def _follow(self, history: History) -> None:
        trials = history.trials
        common = min(len(trials), self._told)
        known = self._trials.get(common - 1)
        if common and (known is None or not trials.holds(known[0].candidate, common - 1)):
            self._forget()
        begin = max(self._told, len(trials) - _REACH)
        for position, trial in enumerate(trials.onward(begin), begin):
            self._take(trial, position)
        self._told = max(self._told, len(trials))

    def _take(self, trial: Trial, position: int) -> None:
        key = _digest(self.key(trial.text))
        twins = [other for other in self._by_key.get(key, ()) if other in self._trials]
        outcome = _first_score(trial)
        differing = (other for other in reversed(twins) if _first_score(self._trials[other][0]) != outcome)
        if (other := next(differing, None)) is not None:
            self._differed = [pair for pair in self._differed if pair[1] >= position - _REACH] + [(position, other)]
        # What a further twin could add is a shorter text or another score; of a long row of them the first are enough.
        if len(twins) < _MOST:
            twins.append(position)
        self._by_key[key] = twins
        self._trials[position] = trial, key
        if (left := self._trials.pop(position - _REACH, None)) is not None:
            self._leave(left[1], position - _REACH)

    def _leave(self, key: bytes, position: int) -> None:
        """Forget a trial that is out of reach."""
        if twins := [other for other in self._by_key.pop(key, ()) if other != position]:
            self._by_key[key] = twins


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _first_score(trial: Trial) -> float | None:
    return getattr(trial.outcome, "score", None)


def _empty(names: bool) -> TwinIndex:  # noqa: FBT001 - pickle gives it by place
    return TwinIndex(names=names)
