"""The flags of ``llm-optimize prompt``, what they come to, and what a study keeps of them for its next session."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from llm_optimize.cli import flags
from llm_optimize.cli.terminal import is_terminal
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULTS", "SHARED", "add_flags", "asked", "settled"]

SHARED = (
    *("model", "base-url", "price", "parallel", "executor", "seed"),
    *("budget-evals", "budget-tokens", "budget-usd", "budget-seconds"),
)
"""Flags that mean what they mean to ``run``."""

DEFAULTS: dict[str, Any] = {
    "prompt": "",
    "improve": "",
    "num_iters": 5,
    "num_samples": 10,
    "threshold": 1.0,
    "evaluator": "",
    "evaluator_timeout": 60.0,
    "num_elites": 2,
    "tournament": 3,
    "judge_samples": 5,
    "judge_model": None,
    "data": None,
    "expected": None,
    "target_model": None,
    "mutate": False,
    "evolve": False,
}
"""What holds where neither a flag nor an earlier session says otherwise."""

_PARALLEL = 8
_SWITCHES = {
    "mutate": "make children by all nine operators of Promptbreeder in turn, not by crossover alone",
    "evolve": "have the instruction by which children are made evolve as well",
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags; those of two words may be written with an underscore, as in the original."""
    add = _Adder(parser)
    add("prompt", str, "TEXT", "the prompt to make better; '-' reads it from stdin; asked for in a terminal")
    add("improve", str, "TEXT", "what you wish of the new one; asked for in a terminal")
    add("num-iters", flags.whole(0), "N", "generations after the first population (default: 5)")
    add("num-samples", flags.whole(1), "N", "prompts of the first population (default: 10)")
    add("threshold", _share, "SCORE", "end when a score reaches this, 0 to 1 (default: 1.0)")
    add("num-elites", flags.whole(0), "N", "prompts that stay parents from generation to generation (default: 2)")
    add("tournament", flags.whole(1), "N", "prompts that compete for being a parent (default: 3)")
    add("judge-samples", flags.whole(1), "N", "judgements of each prompt, the median counts (default: 5)")
    add("judge-model", str, "NAME", "the model that judges, as --model (default: the same)")
    add("evaluator", str, "FILE", "a script that scores in place of the judge: python FILE --prompt TEXT")
    add("evaluator-timeout", float, "S", "seconds that it may take for one prompt (default: 60)")
    add("data", str, "FILE", "a data set (.jsonl or .csv): prompts are run on it, and their answers scored")
    add("expected", str, "FIELD", "its field with the right answer; without one a judge marks the answers")
    add("target-model", str, "NAME", "the model that the prompts are run on, as --model (default: the same)")
    for name, text in _SWITCHES.items():
        parser.add_argument(f"--{name}", action="store_true", default=None, help=text)
    add("openai-api-key", str, "KEY", "the key, in place of OPENAI_API_KEY")
    flags.add_options(parser, SHARED)
    flags.add_store(parser)
    parser.add_argument("--study", metavar="NAME", help="the study's name; an existing one goes on (default: prompt-N)")
    parser.add_argument("--output", metavar="FILE", help="write the best prompt to this file as well")
    parser.add_argument("--plain", action="store_true", help="no live view: a line for each thing that happens")
    flags.add_progress(parser)


def settled(given: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in force: a flag given now wins over an earlier session's, that one over the default."""
    names = (*DEFAULTS, *(flag.replace("-", "_") for flag in SHARED))
    found = {**DEFAULTS, "parallel": _PARALLEL, "seed": 0}
    for source in (earlier, given):
        found |= {name: source[name] for name in names if source.get(name) is not None}
    for name in ("prompt", "improve"):
        found[name] = found[name].replace("\\n", "\n")
    return found


def asked(found: Mapping[str, Any], *, silent: bool) -> dict[str, Any]:
    """Return the settings with the prompt read from stdin where it is ``-``, or asked for where there is a terminal.

    Args:
        found: the settings.
        silent: ask for the prompt alone: whoever wants JSON or nothing is no person, or knows what to do.

    Raises:
        BadInput: there is no prompt, and nobody to ask.
    """
    prompt, wish = found["prompt"], found["improve"]
    person = sys.stdin is not None and sys.stdin.isatty() and is_terminal(sys.stderr)
    if prompt == "-":
        prompt = sys.stdin.read()
    elif person and not silent:
        prompt = prompt or _answer("Prompt to make better: ")
        wish = wish or _answer("What should be better (Enter: nothing in particular): ")
    if not prompt.strip():
        msg = "--prompt: there is none; give the text, or '-' and the text on stdin, or start it in a terminal"
        raise BadInput(msg)
    return {**found, "prompt": prompt.strip("\n"), "improve": wish}


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        msg = f"{text!r} is no number from 0 to 1"
        raise argparse.ArgumentTypeError(msg)
    return value


def _answer(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().replace("\\n", "\n")


class _Adder:
    """Adds flags that are None unless given."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser

    def __call__(self, name: str, kind: Any, metavar: str, text: str) -> None:  # noqa: ANN401 - as argparse's type
        spellings = dict.fromkeys((f"--{name}", f"--{name.replace('-', '_')}"))
        self._parser.add_argument(*spellings, type=kind, metavar=metavar, help=text, default=None)
