"""The commands, and the parser that knows them all."""

from __future__ import annotations

from llm_optimize.cli import (
    distill,
    doctor,
    export,
    finetune,
    guide,
    init,
    prompt,
    report,
    resume,
    run,
    serve,
    show,
    sweep,
)
from llm_optimize.cli import list as listing
from llm_optimize.cli.flags import Parser, Version

__all__ = ["parser"]

_COMMANDS = (run, resume, listing, show, report, serve, guide, sweep, prompt, distill, export, finetune, init, doctor)
_EPILOG = "Begin with: llm-optimize init task.py && llm-optimize run task.py"


def parser() -> Parser:
    """Return the parser; what it parses has ``main``, the command's function."""
    top = Parser(prog="llm-optimize", description="Make a text better when you can score it.", epilog=_EPILOG)
    top.add_argument("--version", action=Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add(commands)
    return top
