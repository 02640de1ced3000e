"""What a right program is worth: its size, its speed or its memory, measured where the program has no say.

Time is taken by the host's clock from a question to its answer, or by the kernel's count of processor time, in a
process that is new for every repeat, so that nothing is kept from one to the next; running the program's own source is
part of it, so that nothing is worked out beforehand. The same question to a program that does nothing is taken off, and
a reference program is timed in turn with the candidate in the same sandbox, so that the score is a ratio which a slower
machine does not change. Memory is what the kernel reports of a process of its own. Every answer that was timed or
measured is checked like any other.

The two never share a process, though that would make the ratio steadier. A candidate that runs first can slow the
reference: a patched builtin, a thread that is left running, objects for the garbage collector to walk. One that runs
second finds the reference among the collector's objects, with its results where it keeps any. No order is safe.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from llm_optimize.core.checks import check_whole
from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.errors import BadInput
from llm_optimize.sandbox.checking import as_cases
from llm_optimize.sandbox.equality import equal
from llm_optimize.scorers.minify import minified

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.types import Outcome
    from llm_optimize.sandbox import Case, Finished, Sandbox

__all__ = ["Measure", "Memory", "Size", "Speed", "Subject", "timed"]

_RESOLUTION = 0.1
"""The share of an empty question's time below which times are not told apart."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A program that has passed its tests, and all that is needed to run it again.

    Attributes:
        text: the candidate as it was proposed.
        preamble: source that is run before it.
        name: the function under test.
        cases: the tests' cases, with expected values; empty where the tests are a function.
        tolerance: how far a float may be off.
        reveal: whether what the program itself says of a failure may be told.
        box: where programs are run.
    """

    text: str
    preamble: str
    name: str
    cases: tuple[Case, ...]
    tolerance: float
    reveal: bool
    box: Sandbox = field(repr=False)

    @property
    def source(self) -> str:
        """The program as it is run."""
        return f"{self.preamble}\n{self.text}" if self.preamble else self.text


class Measure(Protocol):
    """What a right program is scored by; a frozen value."""

    def __call__(self, subject: Subject, /) -> Outcome:
        """Return the score of a program that has passed every test, or why it has none.

        Raises:
            SandboxError: the sandbox itself failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Size:
    r"""Score a right program by minus its size.

    Attributes:
        unit: ``characters`` or ``bytes`` (UTF-8) of the text without blank space around it, or ``minified``: bytes
            after :func:`llm_optimize.scorers.minify.minified` has taken comments, docstrings and layout away.

    Raises:
        BadInput: the unit is none of these.

    Example:
        >>> Size("minified").of("def f(x):\n    # twice\n    return 2 * x\n")
        21
    """

    unit: Literal["characters", "bytes", "minified"] = "bytes"

    def __post_init__(self) -> None:
        """Refuse another unit."""
        if self.unit not in ("characters", "bytes", "minified"):
            msg = f"unit is {self.unit!r}: give characters, bytes or minified"
            raise BadInput(msg)

    def of(self, text: str) -> int:
        """Return the size of a text."""
        if self.unit == "minified":
            return len(minified(text).encode("utf-8", "surrogatepass"))
        stripped = text.strip()
        return len(stripped) if self.unit == "characters" else len(stripped.encode("utf-8", "surrogatepass"))

    def __call__(self, subject: Subject) -> Evaluation:
        """Measure the candidate's own text. See :class:`Measure`."""
        size = self.of(subject.text)
        words = "bytes after minifying" if self.unit == "minified" else self.unit
        return Evaluation(-size, f"{size} {words}", {"size": float(size)})


@dataclass(frozen=True, slots=True)
class Speed:
    """Score a right program by how many times faster than a reference it answers.

    Attributes:
        reference: source of a right program with the same function; 1.0 is its own score.
        cases: what is timed, as :class:`~llm_optimize.sandbox.Case` or pairs (arguments, expected value), all of them
            in one question; the tests' own where empty. Take enough work for milliseconds: what a question to an empty
            program takes is taken off, and a tenth of that is the finest difference that is seen.
        repeats: how often each program is timed, each time in a new process; the median of the ratios counts.
        clock: ``wall``, or ``cpu`` for processor seconds of all its processes: steadier where the machine is busy, but
            blind to waiting and to work done side by side.

    Raises:
        BadInput: a case is none, ``repeats`` is below 1, or the clock is unknown.
    """

    reference: str
    cases: Sequence[Any] = field(default=(), repr=False)
    repeats: int = 5
    clock: Literal["wall", "cpu"] = "wall"

    def __post_init__(self) -> None:
        """Check the settings before anything runs."""
        if self.clock not in ("wall", "cpu"):
            msg = f"clock is {self.clock!r}: give wall or cpu"
            raise BadInput(msg)
        check_whole("repeats", self.repeats, 1)
        object.__setattr__(self, "cases", as_cases(self.cases) if len(self.cases) else ())

    def __call__(self, subject: Subject) -> Outcome:
        """Time candidate and reference in turn. See :class:`Measure`."""
        candidate = _with_cases(subject, self.cases)
        empty = replace(candidate, preamble="", text=_empty(candidate.name))
        reference = replace(candidate, text=self.reference)
        rounds = []
        for number in range(self.repeats):
            # the three follow one another, so that what slows the machine for a while slows them all; the order of two
            # of them turns round, so that neither always comes after the other
            nothing = timed(empty, self.clock, judged=False)
            turned = number % 2
            took = [timed(subject, self.clock) for subject in (reference, candidate)[:: -1 if turned else 1]]
            known, own = took[turned], took[1 - turned]
            if isinstance(nothing, Failure) or isinstance(known, Failure):
                msg = f"reference: the reference program does not pass the timed cases: {_words(nothing, known)}"
                raise BadInput(msg)
            if isinstance(own, Failure):
                return own
            rounds.append((nothing, known, own))
        return _speed(rounds)


@dataclass(frozen=True, slots=True)
class Memory:
    """Score a right program by minus the MiB that it takes beyond an empty program, as the kernel counts them.

    Attributes:
        cases: what it is given, as for :class:`Speed`; the tests' own where empty.

    Raises:
        BadInput: a case is none.
    """

    cases: Sequence[Any] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Check the cases before anything runs."""
        object.__setattr__(self, "cases", as_cases(self.cases) if len(self.cases) else ())

    def __call__(self, subject: Subject) -> Outcome:
        """Run the program once more, in a process whose peak is known. See :class:`Measure`."""
        candidate = _with_cases(subject, self.cases)
        empty = replace(candidate, preamble="", text=_empty(candidate.name))
        nothing, done = _run(empty), _run(candidate)
        wrong = _fault(candidate, done)
        if wrong:
            return wrong
        peak = max(0.0, done.peak_mb - nothing.peak_mb)
        return Evaluation(0.0 - peak, f"{peak:.1f} MiB beyond an empty program", {"memory_mb": peak})


def timed(subject: Subject, clock: str = "wall", *, judged: bool = True) -> float | Failure:
    """Return the seconds for running a program's source and asking it for every case at once, in a new process.

    Args:
        subject: the program and its cases.
        clock: see :class:`Speed`; neither is the program's own.
        judged: whether the answers must be the expected ones.

    Returns:
        Seconds, or why there are none.

    Raises:
        SandboxError: the sandbox itself failed.
    """
    if clock == "cpu":  # known at the end of a process only, so this one does its work and ends
        done = _run(subject)
        seconds = done.cpu_seconds
    else:
        done, seconds = _by_the_wall(subject)
    wrong = _fault(subject, done) if judged else None
    return wrong or seconds


def _by_the_wall(subject: Subject) -> tuple[Finished, float]:
    with subject.box.session() as session:  # begun with nothing, so that making the process is no part of it
        began = time.perf_counter()  # our own clock from here on: what packing a question takes is not left out
        done = session.run(subject.source)
        if done.ok:
            done = session.run(_asking(subject.name), {"_given": _given(subject)}, ["_answers"])
        return done, time.perf_counter() - began


def _with_cases(subject: Subject, cases: Sequence[Any]) -> Subject:
    chosen = tuple(cases) or subject.cases
    if not chosen:
        msg = "cases is empty, and tests that are a function have none: say which cases are to be measured"
        raise BadInput(msg)
    return replace(subject, cases=chosen)


def _empty(name: str) -> str:
    return f"def {name}(*_, **__): return None"


def _asking(name: str) -> str:
    return f"_answers = [{name}(*_args, **_kwargs) for _args, _kwargs in _given]"


def _given(subject: Subject) -> list[Any]:
    return [[list(case.args), dict(case.kwargs)] for case in subject.cases]


def _run(subject: Subject) -> Finished:
    script = f"{subject.source}\n{_asking(subject.name)}"
    return subject.box.run(script, {"_given": _given(subject)}, ["_answers"])


def _fault(subject: Subject, done: Finished) -> Failure | None:
    """Say why the answers are not what was expected; without the values, which later candidates are measured by too."""
    if not done.ok:
        return Failure(done.reason, "while it was measured" + (f": {done.message}" if subject.reveal else ""))
    answers = done.values["_answers"]
    if not isinstance(answers, list) or len(answers) != len(subject.cases):
        return Failure("bad_value", "while it was measured it did not give one answer for each question")
    wrong = sum(
        not equal(answer, case.expected, subject.tolerance) for answer, case in zip(answers, subject.cases, strict=True)
    )
    if wrong:
        return Failure("wrong", f"{wrong} of {len(answers)} answers were wrong while it was measured")
    return None


def _words(*found: float | Failure) -> str:
    return next(one.message for one in found if isinstance(one, Failure))


def _speed(rounds: Sequence[tuple[float, float, float]]) -> Evaluation:
    empty = statistics.median(nothing for nothing, _, _ in rounds)
    finest = empty * _RESOLUTION
    times = [(max(known - empty, finest), max(own - empty, finest)) for _, known, own in rounds]
    ratios = [known / own for known, own in times]
    reference, candidate = (statistics.median(column) for column in zip(*times, strict=True))
    speedup = statistics.median(ratios)
    metrics = {
        "seconds": candidate,
        "reference_seconds": reference,
        "speedup_low": min(ratios),
        "speedup_high": max(ratios),
        "log10_speedup": math.log10(speedup),
    }
    words = f"{speedup:.2f} times as fast as the reference: {candidate * 1000:.2f} ms against {reference * 1000:.2f} ms"
    return Evaluation(speedup, words, metrics)
