"""Interactive mode: after every few evaluations a person is asked what to do with what has been found."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole
from llm_optimize.core.deciding import checked
from llm_optimize.core.events import Guided
from llm_optimize.core.hand import said
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from llm_optimize.core.history import History

__all__ = ["Consult", "Dialog"]

_LINE = 100
_HELP = """\
  Enter            go on
  any other text   guidance: every following prompt contains it
  show N           print candidate N in full
  accept N         take candidate N as the result and end the run
  reject N [why]   count candidate N as failed; the model is told why
  pin N, unpin     build on candidate N, whatever scores best; stop doing so
  edit N           change candidate N in $VISUAL or $EDITOR and have the new text evaluated
  inject FILE      have the text of a file evaluated
  quit             stop here; a resume goes on"""


@dataclass(frozen=True, slots=True)
class Consult:
    """When a person is asked, and how.

    Attributes:
        every: evaluations between two questions, at least 1.
        ask: gets the history; returns what was said and decided. Called in the thread that runs the study: evaluations
            in flight go on meanwhile, nothing new is begun. KeyboardInterrupt ends the run as Ctrl-C does.

    Raises:
        BadInput: ``every`` is no whole number of 1 or more.

    Example:
        >>> from llm_optimize.core.events import Guided
        >>> Consult(5, lambda history: [Guided("shorter")]).every
        5
    """

    every: int
    ask: Callable[[History], Sequence[Guided]]

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        check_whole("interactive", self.every, 1)

    def due(self, history: History, asked: int) -> bool:
        """Say whether it is time, when the last question came after so many evaluations."""
        return len(history.trials) - asked >= self.every


@dataclass(slots=True)
class Dialog:
    """Asks at a terminal; an end of input means that nobody is there any more, and the run goes on.

    Attributes:
        source: where lines are read.
        out: where is written.
    """

    source: TextIO = field(default_factory=lambda: sys.stdin)
    out: TextIO = field(default_factory=lambda: sys.stderr)
    _seen: int = 0
    _alone: bool = False

    def __call__(self, history: History) -> list[Guided]:
        """Show what is new, and take what the person says until a line is empty.

        Raises:
            KeyboardInterrupt: the person wants to stop.
        """
        said_now: list[Guided] = []
        if self._alone:
            return said_now
        self._show(history)
        while (line := self._line()) is not None and line.strip():
            try:
                said_now += [checked(history, event) for event in self._heard(line.strip(), history)]
            except (BadInput, OSError) as error:
                self._print(str(error))
                continue
            if said_now and said_now[-1].act == "accept":
                break
        return said_now

    def _show(self, history: History) -> None:
        for trial in history.trials[self._seen :]:
            score = "failed" if trial.score is None else f"{trial.score:.6g}"
            self._print(f"#{trial.id}  {trial.candidate.origin}  {score}  {_first_line(trial.text)}")
        self._seen = len(history.trials)
        best = history.best
        if best is not None and best.score is not None:
            self._print(f"best: #{best.id} with {best.score:.6g}")
        self._print("Enter goes on; `help` lists what else can be said.")

    def _line(self) -> str | None:
        self.out.write("> ")
        self.out.flush()
        line = self.source.readline()
        self._alone = not line
        return line or None

    def _heard(self, line: str, history: History) -> Iterator[Guided]:
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        match word:
            case "help":
                self._print(_HELP)
                return
            case "quit":
                raise KeyboardInterrupt
            case "show":
                self._print(_text_of(history, rest))
                return
            case "accept" | "reject" | "pin" | "unpin":
                number, _, why = rest.partition(" ")
                about = None if word == "unpin" else _number(number)
                event = Guided(why.strip(), act=word, candidate_id=about)
            case "inject":
                event = Guided(Path(rest).expanduser().read_text(encoding="utf-8"), act="inject")
            case "edit":
                event = Guided(_edited(_text_of(history, rest)), act="inject")
            case _:
                event = Guided(line)
        self._print(said(event))
        yield event

    def _print(self, text: str) -> None:
        print(text, file=self.out, flush=True)


def _first_line(text: str) -> str:
    first = " ".join(text.strip()[: 4 * _LINE].split())
    return first if len(first) <= _LINE else f"{first[:_LINE]}..."


def _number(text: str) -> int:
    digits = text.removeprefix("#")
    if not digits.isdigit():
        msg = f"{text!r} is no candidate's number: give it as in `accept 3`"
        raise BadInput(msg)
    return int(digits)


def _text_of(history: History, number: str) -> str:
    trial = history.trial(_number(number))
    if trial is None:
        msg = f"candidate {number} has not been evaluated: choose one of those listed"
        raise BadInput(msg)
    return trial.text


def _edited(text: str) -> str:
    """Return what the person's editor made of a text."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "candidate.txt"
        file.write_text(text, encoding="utf-8")
        subprocess.run([*command, str(file)], check=True)  # noqa: S603 - the editor that the user's environment names
        return file.read_text(encoding="utf-8")
