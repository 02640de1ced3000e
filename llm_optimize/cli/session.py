"""One session of a study from the command line: build it, watch it, report how it ended."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize import optimize
from llm_optimize.cli.ending import Place, report
from llm_optimize.cli.jsonlines import JsonLines
from llm_optimize.cli.lines import Lines, Silence
from llm_optimize.cli.live import LiveView
from llm_optimize.cli.studies import store_value
from llm_optimize.cli.terminal import is_terminal
from llm_optimize.core.plan import Ending
from llm_optimize.llm import requests
from llm_optimize.parallel import executing
from llm_optimize.proposers.forecast import announce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import FrameType

    from llm_optimize.cli.lines import Watcher
    from llm_optimize.cli.options import Options
    from llm_optimize.cli.taskfile import TaskFile
    from llm_optimize.core.protocols import Executor
    from llm_optimize.core.study import Study

__all__ = ["Job", "carry_out", "followed", "show_warnings"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run.

    Attributes:
        task: the checked task file.
        options: the settings in force.
        given: the flags behind them, those of earlier sessions included; kept in the log for ``resume``.
        store: what ``--store`` says, or None.
        name: the study's name.
        resume: as in :func:`llm_optimize.optimize.build`.
    """

    task: TaskFile
    options: Options
    given: Mapping[str, Any]
    store: str | None
    name: str
    resume: bool | str

    def study(self, watcher: Watcher, executor: Executor | None = None) -> Study:
        """Return the study, to run its scorer on an executor; nothing is spent yet."""
        options = self.options
        return optimize.build(
            self.task.task,
            self.task.question,
            self.task.score,
            self.task.x0,
            max_steps=options.max_steps,
            model=options.priced_model,
            stop_score=options.stop_score,
            budget=options.budget,
            executor=executor,
            parallel=options.parallel,
            ideas=options.ideas,
            tune=options.tune,
            layout=self.task.settings.get("LAYOUT", "window"),
            tools=self.task.settings.get("TOOLS", ()),
            constraints=self.task.settings.get("CONSTRAINTS", ()),
            store=store_value(self.store),
            study=self.name,
            resume=self.resume,
            seed=options.seed,
            eval_timeout=options.eval_timeout,
            interactive=options.interactive,
            noise=options.noise,
            final=options.final,
            suspicious_above=options.suspicious_above,
            observers=(watcher,),
            settings={
                "file": self.task.where,
                "folder": str(Path.cwd()),
                "flags": dict(self.given),
                "in_force": options.recorded(),
            },
        )


def carry_out(job: Job, *, json: bool, quiet: bool, page: Callable[[Study], AbstractContextManager[None]]) -> int:
    """Run the job to its end, with ``page`` around it, and report; return the exit code."""
    show_warnings(quiet=quiet)
    watcher = _watcher(job, json=json, quiet=quiet)
    place = Place(job.name, job.store)
    with executing(job.options.executor) as executor:
        study = job.study(watcher, executor)
        if not quiet:
            announce(study, job.options.max_steps, _say)
        with page(study):
            result, signalled = followed(study, watcher)
    code = report(result, place, json=json, quiet=quiet)
    return code if signalled is None else signalled


def followed(
    study: Study, watcher: Watcher, page: Callable[[Study], AbstractContextManager[None]] = lambda _: nullcontext()
) -> tuple[optimize.Result, int | None]:
    """Run the study to its end under the watcher's eyes; return the result, and the exit code that a signal asks for.

    Args:
        study: to be run.
        watcher: shows it on the terminal.
        page: shows it elsewhere: what it returns for the study is open while that runs.

    Raises:
        LLMOptimizeError: see :func:`llm_optimize.optimize.conclude`.
    """
    with _signals() as caught, watcher.following(study), page(study):
        ending = _ended(study)
    if ending.interrupted:
        requests.interrupt()  # workers that sit out a rate limit need not be waited for
    result = optimize.conclude(study, ending)
    return result, 128 + caught[0] if caught and result.interrupted else None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _ended(study: Study) -> Ending:
    try:
        return study.run()
    except KeyboardInterrupt:  # it came outside the loop, which handles its own
        return Ending("interrupted by Ctrl-C", interrupted=True)


def _watcher(job: Job, *, json: bool, quiet: bool) -> Watcher:
    if json:
        return JsonLines(job.name)
    if quiet:
        return Silence()
    if job.options.interactive is not None or not is_terminal(sys.stderr):
        return Lines()  # a view that redraws itself would write over what a person types
    return LiveView(job.options.budget, job.options.max_steps)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Make SIGTERM and SIGHUP end the session as Ctrl-C does; yields the list of those that came."""
    caught: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        caught.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    numbers = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGTERM,)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _ToStderr(logging.Handler):
    """Prints warnings to whatever ``sys.stderr`` is when they come, so that the live view stays whole."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        print(f"{record.levelname.lower()}: {self.format(record)}", file=sys.stderr)


def show_warnings(*, quiet: bool) -> None:
    """Print the package's warnings, or with ``quiet`` its errors alone, to stderr."""
    logger = logging.getLogger("llm_optimize")
    if not any(isinstance(handler, _ToStderr) for handler in logger.handlers):
        logger.addHandler(_ToStderr(logging.ERROR if quiet else logging.WARNING))
        logger.propagate = False
