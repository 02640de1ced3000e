"""What the commands' flags have in common: their types, their groups, and errors of one line."""

from __future__ import annotations

import argparse
import math
from importlib import metadata
from typing import TYPE_CHECKING, Any, NoReturn

from llm_optimize.errors import BadInput
from llm_optimize.parallel import SPECS, check_spec

if TYPE_CHECKING:
    from argparse import _SubParsersAction
    from collections.abc import Callable, Collection

__all__ = [
    "Commands",
    "Parser",
    "Version",
    "about",
    "add_json",
    "add_options",
    "add_price",
    "add_progress",
    "add_store",
    "given",
    "whole",
]

if TYPE_CHECKING:
    Commands = _SubParsersAction["Parser"]
else:
    Commands = Any


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line and exits with 2."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - those of the base class
        """Refuse abbreviated flags: ``--max`` would change its meaning with the next flag that begins so."""
        super().__init__(**{**kwargs, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        """Print the message and where to read more."""
        line = " ".join(message.removeprefix("argument ").split())
        self.exit(2, f"{self.prog}: {line}; see {self.prog} --help\n")


class Version(argparse.Action):
    """Prints the version; looked up only then, since that reads the package's metadata."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:  # noqa: ANN401 - those of the base class
        """Print it and exit with 0."""
        print(f"llm-optimize {metadata.version('llm-optimize')}")
        parser.exit()


def about(doc: str | None) -> str:
    """Return a command's description: what its module's docstring says behind the command itself."""
    text = " ".join((doc or "").split()).partition(": ")[2]
    return text[:1].upper() + text[1:]


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add ``--store``."""
    shown = (
        "the file with the studies, or postgresql://... (default: $LLM_OPTIMIZE_HOME/studies.db or "
        ".llm_optimize/studies.db)"
    )
    parser.add_argument("--store", metavar="PATH", help=shown)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON, one object per line; people read stderr")


def add_price(parser: argparse.ArgumentParser) -> None:
    """Add ``--price``, as :func:`add_options` has it."""
    kind, metavar, text = _OPTIONS["price"]
    parser.add_argument("--price", type=kind, metavar=metavar, help=text)


def add_progress(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` and ``--quiet``."""
    shown = parser.add_mutually_exclusive_group()
    add_json(shown)  # type: ignore[arg-type]  # a group adds arguments as a parser does
    shown.add_argument("--quiet", action="store_true", help="print the best text only")


def add_options(parser: argparse.ArgumentParser, only: Collection[str] | None = None) -> None:
    """Add the flags that set what a run does, or ``only`` some of them; each is None unless it is given."""
    for flag, (kind, metavar, text) in _OPTIONS.items():
        if only is not None and flag not in only:
            continue
        parser.add_argument(f"--{flag}", type=kind, metavar=metavar, help=text, default=None)


def given(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of :func:`add_options` that were given, by name with underscores."""
    names = (flag.replace("-", "_") for flag in _OPTIONS)
    return {name: value for name in names if (value := getattr(args, name, None)) is not None}


def whole(least: int) -> Callable[[str], int]:
    """Return a type for flags: an integer of at least ``least``."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            msg = f"{text!r} is no integer of {least} or more"
            raise argparse.ArgumentTypeError(msg)
        return value

    return parse


def _steps(text: str) -> int | str:
    return "none" if text.lower() == "none" else whole(0)(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        msg = f"{text!r} is no number"
        raise argparse.ArgumentTypeError(msg)
    return int(text) if value.is_integer() and text.lstrip("+-").isdigit() else value


def _above_zero(text: str) -> float:
    value = _number(text)
    if not 0 < value < math.inf:
        msg = f"{text!r} is no number above 0"
        raise argparse.ArgumentTypeError(msg)
    return value


def _price(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in {2, 3} or not all(0 <= number < math.inf for number in numbers):
        msg = f"{text!r} is no price: give IN,OUT or IN,OUT,CACHED in dollars per million tokens, such as 1.25,10"
        raise argparse.ArgumentTypeError(msg)
    return numbers


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        msg = f"{text!r} is no integer"
        raise argparse.ArgumentTypeError(msg) from None


def _name(text: str) -> str:
    if not text.strip():
        msg = "the name is empty"
        raise argparse.ArgumentTypeError(msg)
    return text


def _noise(text: str) -> str:
    if text not in {"auto", "off"}:
        msg = f"{text!r} is neither auto nor off"
        raise argparse.ArgumentTypeError(msg)
    return text


def _executor(text: str) -> str:
    try:
        return check_spec(text)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None


_OPTIONS: dict[str, tuple[Callable[[str], Any], str, str]] = {
    "max-steps": (_steps, "N", "proposals after x0; 'none' for no limit (default: 10)"),
    "stop-score": (_number, "SCORE", "stop as soon as a score reaches this"),
    "model": (
        _name,
        "NAME",
        "'gpt-5', 'http://127.0.0.1:11434/v1#qwen3', recorded:FILE, or a ChatModel as module:name",
    ),
    "base-url": (_name, "URL", "the server, where --model is only a name"),
    "price": (
        _price,
        "IN,OUT",
        "dollars per million tokens of the model's prompts and replies, and ,CACHED if need be",
    ),
    "parallel": (
        whole(1),
        "N",
        "chains of propose-then-score kept in flight (default: 1; with --executor one more than it has workers)",
    ),
    "executor": (_executor, "NAME", f"where evaluations run: {SPECS} (default: threads)"),
    "ideas": (whole(1), "N", "drafts asked for in one proposal (default: 1)"),
    "seed": (_seed, "N", "of everything random (default: 0)"),
    "budget-evals": (whole(1), "N", "cap on evaluations, that of x0 included"),
    "budget-tokens": (whole(1), "N", "cap on prompt and completion tokens"),
    "budget-usd": (_above_zero, "USD", "cap on dollars, for models whose price is known or told"),
    "budget-seconds": (_above_zero, "S", "cap on wall time of all sessions together"),
    "interactive": (whole(1), "N", "ask at the terminal after every N evaluations: accept, reject, pin, edit, guide"),
    "eval-timeout": (_above_zero, "S", "seconds after which a candidate counts as failed"),
    "noise": (_noise, "auto|off", "test candidates again where scores vary, or score each once (default: off)"),
    "suspicious-above": (_number, "SCORE", "a score above this ends the run, with the candidate for inspection"),
}
