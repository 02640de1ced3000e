"""How a session ended: the best text to stdout, everything else to stderr."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.cli import jsonlines
from llm_optimize.cli.studies import origins, store_flag, store_path
from llm_optimize.cli.wording import account_lines, one_line, safe, usage_text

if TYPE_CHECKING:
    from llm_optimize.optimize import Result

__all__ = ["Place", "print_text", "report"]

_DONE, _FAILED, _INTERRUPTED = 0, 1, 130


@dataclass(frozen=True, slots=True)
class Place:
    """Where a study is kept.

    Attributes:
        study: its name.
        store: what ``--store`` says, or None for the default.
    """

    study: str
    store: str | None

    def __str__(self) -> str:
        """Return a line for people."""
        path, flag = store_path(self.store), store_flag(self.store)
        return f"study {self.study} in {path}; resume with: llm-optimize resume {self.study}{flag}"


def report(result: Result, place: Place, *, json: bool, quiet: bool) -> int:
    """Print the best text, why it ended, what may be claimed, the cost and how to go on; return the exit code."""
    if json:
        jsonlines.print_result(result, store_path(place.store))
    elif result.best is not None:
        print_text(result.best.text)
    if result.error is not None and (quiet or str(result.error) != result.reason):
        print(f"llm-optimize: {one_line(str(result.error))}", file=sys.stderr)
    if not quiet:
        print(f"ended: {one_line(result.reason)}", file=sys.stderr)
        print(f"result: {one_line(result.verdict)}", file=sys.stderr)
        print(f"made by: {origins(result.history) or 'nobody'}", file=sys.stderr)
        print(f"usage: {usage_text(result.usage)}", file=sys.stderr)
        for line in account_lines(result.account):
            print(f"  {line}", file=sys.stderr)
        print(place, file=sys.stderr)
    if result.interrupted:
        return _INTERRUPTED
    return _FAILED if result.error is not None or result.best is None else _DONE


def print_text(text: str) -> None:
    """Print a candidate without its outer line ends; in a terminal what could steer it is made visible."""
    shown = safe(text) if sys.stdout.isatty() else text
    sys.stdout.write(shown.strip("\n") + "\n")
    sys.stdout.flush()
