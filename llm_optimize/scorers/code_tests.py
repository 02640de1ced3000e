"""Programs judged by tests that they cannot see, cannot reach and cannot answer for.

The program runs in the sandbox and is asked case by case; arguments go in, answers come out as data, and whether they
are right is decided here, where nothing of the program's has ever run. So a program that patches builtins, prints a
result, leaves early, returns an object that equals everything or reads the frames above it is judged by its answers
like any other, and has none. See :mod:`llm_optimize.sandbox.checking` for what is promised and what is not.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.errors import BadInput
from llm_optimize.sandbox import Sandbox
from llm_optimize.sandbox.base import named
from llm_optimize.sandbox.checking import as_cases
from llm_optimize.scorers.check_functions import check_by_function, counted
from llm_optimize.scorers.code_measures import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.types import Outcome
    from llm_optimize.sandbox import Case, Checked
    from llm_optimize.scorers.code_measures import Measure

__all__ = ["CodeTests", "from_humaneval"]


@dataclass(frozen=True, slots=True)
class CodeTests:
    r"""Scores a program by hidden tests: by the share that it passes, or by a measure once it passes all.

    Attributes:
        name: the function of the program that is tested.
        tests: cases, each a :class:`~llm_optimize.sandbox.Case` or a pair (arguments, expected value); or the source
            of a function ``check(candidate)`` with asserts, as in HumanEval. Expected values and asserts never enter a
            process that has run the candidate.
        measure: what a program that passes every test is scored by (:class:`~llm_optimize.scorers.code_measures.Size`,
            ``Speed``, ``Memory``, or any other :class:`~llm_optimize.scorers.code_measures.Measure`); None scores by
            the share of tests passed, 0 to 1.
        held_back: further tests, in either form, that no call of this scorer uses: only :meth:`final` does.
        reveal: whether the feedback shows the first test that failed. Over many candidates a model can collect what it
            was shown; that is what ``held_back`` is for. False shows counts and reasons only.
        tolerance: how far a float may be off, see :func:`llm_optimize.sandbox.equality.equal`; not for asserts.
        preamble: source run before each candidate, such as the imports and the head of a function to be completed;
            and before a test function, where it is whole by itself.
        box: where programs run; its limits hold for each of them.

    Raises:
        BadInput: the name is no identifier, a test is none, or the tolerance is out of range.

    Example:
        >>> score = CodeTests("f", [((3,), 9), ((4,), 16)])
        >>> score("def f(n): return n * n").score, score("def f(n): return 9").score
        (1.0, 0.5)
        >>> score("def f(n): return n + 6").feedback
        '1 of 2 hidden tests pass; f(4) is 10, not 16'
    """

    name: str
    tests: Sequence[Any] | str = field(repr=False)
    measure: Measure | None = None
    held_back: Sequence[Any] | str = field(default=(), repr=False, kw_only=True)
    reveal: bool = field(default=True, kw_only=True)
    tolerance: float = field(default=1e-9, kw_only=True)
    preamble: str = field(default="", repr=False, kw_only=True)
    box: Sandbox = field(default_factory=Sandbox, repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        """Check everything before anything runs."""
        named([self.name], "name")
        if isinstance(self.tolerance, bool) or not 0 <= self.tolerance < 1:
            msg = f"tolerance is {self.tolerance!r}: give a number from 0 to below 1"
            raise BadInput(msg)
        object.__setattr__(self, "tests", _tests(self.tests))
        object.__setattr__(self, "held_back", _tests(self.held_back) if len(self.held_back) else ())

    def __call__(self, text: str) -> Outcome:
        """Test a program, and measure it if that is asked for.

        Returns:
            An Evaluation whose ``examples`` hold 1.0 or 0.0 for each test. With a measure, a program that fails a test
            has no score: its Failure's kind is ``wrong``, or the sandbox's reason.

        Raises:
            SandboxError: the sandbox itself failed, which says nothing about the program.
        """
        checked = self.checked(text)
        examples = tuple(map(float, checked.passed))
        if self.measure is None:
            words = checked.message or f"all {len(examples)} hidden tests pass"
            return Evaluation(checked.share, words, {"passed": checked.share}, examples)
        if not checked.ok:
            return Failure(_kind(checked), checked.message)
        measured = self.measure(self._subject(text))
        if isinstance(measured, Failure):
            return measured
        feedback = f"all {len(examples)} hidden tests pass, {measured.feedback}"
        return replace(measured, feedback=feedback, metrics={"passed": 1.0, **measured.metrics}, examples=examples)

    def checked(self, text: str) -> Checked:
        """Return what came of each test, with the reason for each that failed.

        Raises:
            SandboxError: the sandbox itself failed.
        """
        source = self._subject(text).source
        if isinstance(self.tests, str):
            # a test may use what the task gives beside the function, as some of HumanEval's do
            test = f"{self.preamble}\n{self.tests}" if _is_python(self.preamble) else self.tests
            return check_by_function(self.box, source, self.name, test, reveal=self.reveal)
        return self.box.check(source, self.name, _cases(self.tests), tolerance=self.tolerance, reveal=self.reveal)

    def final(self) -> Self:
        """Return the scorer for the last verdict: the tests that were held back, none of which is ever shown.

        Raises:
            BadInput: none were.
        """
        if not self.held_back:
            msg = "held_back is empty: give tests that only the final verdict uses"
            raise BadInput(msg)
        return replace(self, tests=self.held_back, held_back=(), reveal=False)

    def _subject(self, text: str) -> Subject:
        return Subject(text, self.preamble, self.name, _cases(self.tests), self.tolerance, self.reveal, self.box)


def from_humaneval(problem: Mapping[str, Any], **options: Any) -> CodeTests:  # noqa: ANN401 - options of CodeTests
    """Return the scorer of a HumanEval problem; a candidate is a completion of its prompt or a whole function.

    Args:
        problem: a row with ``prompt``, ``entry_point`` and ``test``.
        **options: further fields of :class:`CodeTests`.

    Raises:
        BadInput: a field is missing, or the test is none.
    """
    missing = [key for key in ("prompt", "entry_point", "test") if not isinstance(problem.get(key), str)]
    if missing:
        msg = f"problem has no {' and no '.join(missing)}: give a row of a HumanEval file"
        raise BadInput(msg)
    return CodeTests(problem["entry_point"], problem["test"], preamble=problem["prompt"].rstrip("\n"), **options)


def _tests(given: Sequence[Any] | str) -> tuple[Case, ...] | str:
    if isinstance(given, str):
        counted(given)
        return given
    return as_cases([*given])


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True


def _cases(tests: Sequence[Any] | str) -> tuple[Case, ...]:
    return () if isinstance(tests, str) else (*tests,)


def _kind(checked: Checked) -> str:
    if not checked.started.ok:
        return checked.started.reason
    return next(reason for reason in checked.reasons if reason)
