"""``llm-optimize resume NAME``: go on with a study, with the flags that it had; flags given now win."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.cli import flags, prompt, sweep
from llm_optimize.cli.ending import Place, report
from llm_optimize.cli.options import resolve
from llm_optimize.cli.serve import add_serve, serving
from llm_optimize.cli.session import Job, carry_out
from llm_optimize.cli.studies import fold, opened_with, store_path, study_events
from llm_optimize.cli.taskfile import load_task
from llm_optimize.errors import BadInput
from llm_optimize.optimize import Result
from llm_optimize.report.pairs import is_sweep

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

__all__ = ["add", "main"]


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("resume", help="go on with a study", description=flags.about(__doc__))
    parser.add_argument("name", metavar="NAME", help="the study; `llm-optimize list` shows the names")
    parser.add_argument("--file", metavar="FILE", help="the task file, where it has moved")
    flags.add_options(parser)
    flags.add_store(parser)
    add_serve(parser)
    flags.add_progress(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Resume the study; return the exit code."""
    page = serving(args)
    _, events = study_events(store_path(args.store), args.name)
    settings = opened_with(events)
    if settings.get("command") == prompt.COMMAND:
        return prompt.resume(args)
    if sweep.AGAIN in settings:
        return sweep.resume(args, settings)
    task = load_task(_file(args, settings))
    given = {**settings.get("flags", {}), **flags.given(args)}
    options = resolve(task, given)
    history = fold(events)
    reason = options.reason_to_stop(history)
    if reason is not None:
        done = f"the study is done already ({reason}); to go on, raise {options.flag_to_raise(reason)}"
        place = Place(args.name, args.store)
        return report(Result(history, done, args.name), place, json=args.json, quiet=args.quiet)
    job = Job(task, options, given, args.store, args.name, resume=True)
    return carry_out(job, json=args.json, quiet=args.quiet, page=page)


def _file(args: argparse.Namespace, settings: Mapping[str, Any]) -> str:
    """Return the task file of the study.

    Raises:
        BadInput: it was not begun with ``run``, or the file is gone.
    """
    if args.file is not None:
        return str(args.file)
    file = settings.get("file")
    if file is None and is_sweep(settings):
        msg = f"study {args.name!r} is a sweep: give the same `llm-optimize sweep` again with --study {args.name}"
        raise BadInput(msg)
    if file is None:
        msg = (
            f"study {args.name!r} was not begun with `llm-optimize run`: call optimize.run(..., study={args.name!r}) "
            "again in the program that began it, or give --file FILE"
        )
        raise BadInput(msg)
    folder = settings.get("folder")
    if folder and folder not in sys.path:
        sys.path.insert(0, folder)
    if Path(file).is_absolute() and not Path(file).exists():
        msg = f"study {args.name!r}: its file {file} is gone; give --file FILE if it has moved"
        raise BadInput(msg)
    return str(file)
