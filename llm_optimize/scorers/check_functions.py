"""Tests that are a function, as in HumanEval: ``check(candidate)`` with ``assert`` statements.

The test's source holds the expected values, so it runs in one process and the candidate in another. Where the test
calls ``candidate(...)``, its process hands the arguments to the host and waits; the host puts them to the candidate's
process and hands the answer back. Answers travel as data, with tuples, sets and lists told apart; what they compare
equal to is decided by the built-in types of the test's process. Each ``assert`` of the function counts by itself, one
of a constant (``assert True``) not at all; a function without any is one test.

Source: Chen et al. 2021, arXiv:2107.03374 (the format); https://github.com/openai/human-eval.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput
from llm_optimize.sandbox.checking import Checked

if TYPE_CHECKING:
    from llm_optimize.sandbox import Finished, Sandbox, Session

__all__ = ["ENTRY", "check_by_function", "counted"]

ENTRY = "check"
"""Name of the function that a test defines."""

_SHAPES = """
def _pack(value):
    for kind, tag in ((tuple, "t"), (list, "l"), (set, "s"), (frozenset, "f")):
        if isinstance(value, kind):
            return [tag, [_pack(one) for one in value]]
    if isinstance(value, dict):
        return ["d", [[_pack(key), _pack(one)] for key, one in value.items()]]
    return ["v", value]

def _unpack(packed):
    tag, value = packed
    kind = {"t": tuple, "l": list, "s": set, "f": frozenset}.get(tag)
    if kind:
        return kind([_unpack(one) for one in value])
    return {_unpack(key): _unpack(one) for key, one in value} if tag == "d" else value
"""

_RELAY = """
import queue as _queue, random as _random, threading as _threading, traceback as _traceback

_asks, _answers, _results = _queue.SimpleQueue(), _queue.SimpleQueue(), {}

class CandidateError(Exception):
    pass

def _candidate(*args, **kwargs):
    _asks.put(["ask", dict(_results), [_pack(args), _pack(kwargs)]])
    ok, answer = _answers.get()
    if not ok:
        raise CandidateError(answer)
    return _unpack(answer)

def _count(number, error=None):
    if error is None:
        _results.setdefault(number, ["", ""])
    elif isinstance(error, CandidateError):
        _results[number] = ["candidate", str(error)]
    else:
        _results[number] = ["wrong", repr(error)]

def _all():
    error = ""
    try:
        check(_candidate)
    except BaseException:
        error = _traceback.format_exc()[-2000:]
    _asks.put(["end", dict(_results), error])

def _start():
    _random.seed(0)
    _threading.Thread(target=_all, daemon=True).start()
    return _asks.get()

def _step(ok, answer):
    _answers.put([ok, answer])
    return _asks.get()
"""


def counted(test: str) -> tuple[str, tuple[str, ...]]:
    """Return a test's source with each ``assert`` of its function counted, and the text of each.

    Args:
        test: source that defines ``check(candidate)``.

    Raises:
        BadInput: it is no Python, or defines no ``check``.
    """
    try:
        tree = ast.parse(test)
    except (SyntaxError, ValueError) as error:
        msg = f"tests: the test function is no Python: {error}"
        raise BadInput(msg) from None
    entry = next(
        (node for node in reversed(tree.body) if isinstance(node, ast.FunctionDef) and node.name == ENTRY), None
    )
    if entry is None:
        msg = f"tests: the source defines no function {ENTRY}: give 'def {ENTRY}(candidate): assert ...'"
        raise BadInput(msg)
    counter = _Counting()
    counter.visit(entry)
    if not counter.told:
        entry.body = [counter.noting(entry.body, f"{ENTRY}(candidate)")]
    return ast.unparse(ast.fix_missing_locations(tree)), tuple(counter.told)


class _Counting(ast.NodeTransformer):
    """Puts every assert into a ``try`` that notes how it went, so that the next one is tried too."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        if isinstance(node.test, ast.Constant):
            return node  # it asks nothing of the candidate, so there is nothing to be had for it
        return self.noting([node], ast.unparse(node))

    def noting(self, body: list[ast.stmt], words: str) -> ast.Try:
        number = len(self.told)
        self.told.append(words)
        noted = "try:\n    pass\nexcept Exception as _error:\n    _count({0}, _error)\nelse:\n    _count({0})"
        attempt = ast.parse(noted.format(number)).body[0]
        if not isinstance(attempt, ast.Try):
            raise TypeError  # it is written so above
        attempt.body = body
        return attempt


@dataclass(slots=True)
class _Seen:
    """What the host saw of a test: what its asserts noted, and how test and candidate failed, if they did."""

    results: dict[int, list[str]]
    failed: Finished | None = None
    error: str = ""
    reason: str = "not asked"


def check_by_function(box: Sandbox, source: str, name: str, test: str, *, reveal: bool = True) -> Checked:
    """Put a program to a test function; see the module's text.

    Args:
        box: where both processes run, each under its limits.
        source: the program.
        name: its function, which ``check`` gets as ``candidate``.
        test: source that defines ``check(candidate)``.
        reveal: whether the message shows the first assert that failed.

    Returns:
        What passed: one entry for each ``assert``, which inside a loop passes when it does each time. An assert that
        was never reached did not pass.

    Raises:
        BadInput: the test is none, or fails before it has asked the candidate anything.
        SandboxError: the sandbox itself failed.
    """
    prepared, told = counted(test)
    with box.session(source) as candidate:
        if not candidate.started.ok:
            return _never_begun(candidate.started, len(told), reveal=reveal)
        with box.session(f"{_SHAPES}{_RELAY}\n{prepared}") as judge:
            if not judge.started.ok:
                raise _unusable(judge.started.message)
            seen = _relayed(candidate, judge, name)
    return _checked(candidate.started, told, seen, reveal=reveal)


def _never_begun(started: Finished, number: int, *, reveal: bool) -> Checked:
    message = "the program itself failed before any test" + (f": {started.message}" if reveal else "")
    return Checked((False,) * number, ("not asked",) * number, message, (0.0,) * number, started)


def _relayed(candidate: Session, judge: Session, name: str) -> _Seen:
    """Carry questions and answers until the test ends."""
    script = f"{_SHAPES}\n_answer = _pack({name}(*_unpack(_args), **_unpack(_kwargs)))"
    seen, asked = _Seen({}), False
    said = judge.call("_start")
    while said.ok:
        kind, seen.results, rest = said.values["result"]
        if kind == "end":
            seen.error = rest
            break
        asked = True
        done = candidate.run(script, {"_args": rest[0], "_kwargs": rest[1]}, ["_answer"])
        seen.failed = seen.failed if done.ok else seen.failed or done
        said = judge.call("_step", done.ok, done.values["_answer"] if done.ok else f"{done.reason}: {done.message}")
    else:
        # what a candidate answers can make a test hang or eat memory, so this is its failure and not the sandbox's
        seen.error, seen.reason = said.message, said.reason
    if not asked:
        noted = (words for _, words in seen.results.values() if words)
        raise _unusable(seen.error or next(noted, "it never calls its candidate"))
    return seen


def _unusable(error: str) -> BadInput:
    return BadInput(f"tests: {ENTRY} fails by itself: {error.splitlines()[-1]}")


def _checked(started: Finished, told: tuple[str, ...], seen: _Seen, *, reveal: bool) -> Checked:
    reasons = [_reason(seen, number) for number in range(len(told))]
    if seen.error and not any(reasons):
        reasons[-1] = "wrong"  # every assert held as often as it was reached, and then the test broke off
    passed = tuple(not reason for reason in reasons)
    message = ""
    if not all(passed):
        first = next(number for number, reason in enumerate(reasons) if reason)
        shown = f"{told[first]}: {_words(seen, first)}" if reveal else f"the first that failed: {reasons[first]}"
        message = f"{sum(passed)} of {len(passed)} hidden tests pass; {shown}"
    return Checked(passed, tuple(reasons), message, (0.0,) * len(passed), started)


def _reason(seen: _Seen, number: int) -> str:
    if number not in seen.results:
        return seen.failed.reason if seen.failed and not seen.results else seen.reason
    kind, words = seen.results[number]
    return words.partition(":")[0] if kind == "candidate" else kind


def _words(seen: _Seen, number: int) -> str:
    if seen.results.get(number, [""])[0]:
        return seen.results[number][1]
    if seen.failed:
        return f"{seen.failed.reason}: {seen.failed.message}"
    return seen.error.splitlines()[-1] if seen.error else "never reached"
