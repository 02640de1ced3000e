"""``llm-optimize run FILE.py``: begin a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_optimize.cli import flags
from llm_optimize.cli.dryrun import preview
from llm_optimize.cli.options import resolve
from llm_optimize.cli.serve import add_serve, serving
from llm_optimize.cli.session import Job, carry_out
from llm_optimize.cli.studies import next_name, store_path
from llm_optimize.cli.taskfile import load_task
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    import argparse

__all__ = ["add", "main"]

_FILE = "a Python file (or package.module[:name]) with TASK, QUESTION, score, and optionally x0, TUNE, MAX_STEPS, ..."


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("run", help="make the text of a task file better", description=flags.about(__doc__))
    parser.add_argument("file", metavar="FILE", help=_FILE)
    flags.add_options(parser)
    flags.add_store(parser)
    parser.add_argument("--study", metavar="NAME", help="the study's name; an existing one goes on (default: FILE-N)")
    parser.add_argument("--dry-run", action="store_true", help="show the first prompt and the cost; spend nothing")
    add_serve(parser)
    flags.add_progress(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Run the file; return the exit code."""
    if args.study is not None and not args.study.strip():
        msg = "--study: the name is empty; give one, or leave the flag out"
        raise BadInput(msg)
    page = serving(args)
    task = load_task(args.file)
    given = flags.given(args)
    options = resolve(task, given)
    if args.dry_run:
        return preview(task, options, as_json=args.json)
    path = store_path(args.store)
    name = args.study or next_name(path, task.stem)
    resume = "auto" if args.study else False
    return carry_out(Job(task, options, given, args.store, name, resume), json=args.json, quiet=args.quiet, page=page)
