"""Hidden tests: a program's function is asked case by case, and its answers are judged here, where it never was.

What is promised: the expected values, and the cases that have not been asked yet, are in no process that has run the
program; an answer counts only if it is the answer to the case just asked; and the count of what passed is the host's
own. What is not: the program sees each case's arguments while it answers, keeps what it likes from one case to the
next, and may know the answers from elsewhere. Where a failing case is shown to the model that writes the programs,
that case is hidden no longer.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.sandbox import codec
from llm_optimize.sandbox.equality import equal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_optimize.sandbox.base import Finished
    from llm_optimize.sandbox.session import Session

__all__ = ["Case", "Checked", "as_cases", "ask_all"]

_SHOWN, _MEMBERS = 200, 20  # characters of a value, members of a list or dict


@dataclass(frozen=True, slots=True)
class Case:
    """One hidden test.

    Attributes:
        args: positional arguments, data only.
        expected: what the function must return for them, data only; never leaves the host.
        kwargs: keyword arguments, data only.
    """

    args: tuple[Any, ...]
    expected: Any
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of hidden tests.

    Attributes:
        passed: for each case whether the answer was the expected one; cases not asked any more did not pass.
        reasons: for each case why not: empty, ``wrong``, one of the sandbox's reasons, or ``not asked``.
        message: the first failing case in words; without the case's values where they are to stay hidden; empty when
            all passed.
        seconds: for each case the time to its answer by the host's clock, 0 where there is none.
        started: how the source itself ended.
    """

    passed: tuple[bool, ...]
    reasons: tuple[str, ...]
    message: str
    seconds: tuple[float, ...]
    started: Finished

    @property
    def ok(self) -> bool:
        """Whether every case passed."""
        return all(self.passed)

    @property
    def share(self) -> float:
        """The share of cases that passed, 0 to 1."""
        return sum(self.passed) / len(self.passed)


def as_cases(cases: Iterable[Case | tuple[Sequence[Any], Any]]) -> tuple[Case, ...]:
    """Return the cases in one form, checked before anything runs.

    Args:
        cases: each a :class:`Case`, or arguments and expected value as a pair.

    Raises:
        BadInput: there is none, one has another form, or holds what is not data; says which.
    """
    found = tuple(_as_case(number, case) for number, case in enumerate(cases))
    if not found:
        msg = "cases is empty: give at least one (arguments, expected value)"
        raise BadInput(msg)
    return found


def ask_all(session: Session, name: str, cases: Sequence[Case], *, tolerance: float, reveal: bool) -> Checked:
    """Ask a session's function for every case, one after the other, until the session ends.

    Args:
        session: where the source has run.
        name: the function.
        cases: in this order.
        tolerance: see :func:`llm_optimize.sandbox.equality.equal`.
        reveal: whether the message shows the first failing case.

    Raises:
        SandboxError: the sandbox itself failed.
    """
    reasons, seconds, told = [], [], ""
    for case in cases:
        if not session.alive:
            reasons.append("not asked")
            seconds.append(0.0)
            continue
        done = session.call(name, *case.args, **case.kwargs)
        reasons.append(_judged(done, case, tolerance))
        seconds.append(done.seconds)
        if reasons[-1] and not told:
            told = _told(name, case, done)
    passed = tuple(not reason for reason in reasons)
    message = _message(session.started, passed, reasons, told if reveal else "")
    return Checked(passed, tuple(reasons), message, tuple(seconds), session.started)


def _as_case(number: int, case: object) -> Case:
    if not isinstance(case, Case):
        if not (isinstance(case, Sequence) and len(case) == len(("arguments", "expected"))):
            msg = f"cases[{number}] is {reprlib.repr(case)}: give (arguments, expected value)"
            raise BadInput(msg)
        args, expected = case
        if isinstance(args, (str, bytes)) or not isinstance(args, Sequence):
            msg = f"cases[{number}]: the arguments are {reprlib.repr(args)}: give a tuple of them, such as (3,)"
            raise BadInput(msg)
        case = Case(tuple(args), expected)
    try:
        codec.encode([list(case.args), dict(case.kwargs)])
        # as it would come out of the sandbox: tuples as lists, numpy's scalars as numbers, tables as columns
        expected = codec.decode(b"".join(codec.encode(case.expected)))
    except codec.NotData as error:
        msg = f"cases[{number}]: {error}; give data only"
        raise BadInput(msg) from None
    return Case(case.args, expected, case.kwargs)


def _judged(done: Finished, case: Case, tolerance: float) -> str:
    if not done.ok:
        return done.reason
    return "" if equal(done.values["result"], case.expected, tolerance) else "wrong"


def _told(name: str, case: Case, done: Finished) -> str:
    given = [_short(value) for value in case.args] + [f"{key}={_short(value)}" for key, value in case.kwargs.items()]
    asked = f"{name}({', '.join(given)})"
    if not done.ok:
        return f"{asked}: {done.reason}: {done.message}"
    return f"{asked} is {_short(done.values['result'])}, not {_short(case.expected)}"


def _message(started: Finished, passed: Sequence[bool], reasons: Sequence[str], told: str) -> str:
    if all(passed):
        return ""
    if not started.ok:
        return f"the program itself failed before any test: {started.message}"
    first = told or f"the first that failed: {next(reason for reason in reasons if reason)}"
    return f"{sum(passed)} of {len(passed)} hidden tests pass; {first}"


def _short(value: object) -> str:
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = brief.maxlong = _SHOWN
    brief.maxlist = brief.maxdict = _MEMBERS
    shown = brief.repr(value)
    return shown if len(shown) <= 2 * _SHOWN else shown[: 2 * _SHOWN] + "..."
