"""``llm-optimize report NAME``: write what a study did to one file: a page, Markdown, a table, JSON or a picture.

The page (html) holds everything it needs and opens offline. It needs jinja2 (extra ``report``), a picture (png) needs
matplotlib (extra ``png``); the other formats need nothing. A study that is running is reported as far as it has come.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llm_optimize.cli import flags
from llm_optimize.cli.jsonlines import print_object
from llm_optimize.cli.studies import store_path, study_events
from llm_optimize.report.writing import FORMATS, write_report

if TYPE_CHECKING:
    import argparse

__all__ = ["add", "main"]


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("report", help="write a study's report to a file", description=flags.about(__doc__))
    parser.add_argument("name", metavar="NAME", help="the study; `llm-optimize list` shows the names")
    shown = f"{', '.join(FORMATS)} (default: what FILE ends with, else html)"
    parser.add_argument("--format", choices=FORMATS, metavar="FORMAT", help=shown)
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write (default: NAME.FORMAT here)")
    parser.add_argument("--force", action="store_true", help="replace FILE where it exists")
    flags.add_store(parser)
    flags.add_json(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Write the file; return the exit code."""
    store, _ = study_events(store_path(args.store), args.name)
    stem = re.sub(r"[^\w.-]+", "-", args.name).strip(".-") or "study"
    output = f"{stem}.{args.format or 'html'}" if args.output is None else args.output
    path = write_report(store, args.name, output, args.format, force=args.force)
    if args.json:
        print_object({"kind": "report", "study": args.name, "file": str(path), "bytes": path.stat().st_size})
    else:
        print(f"report of study {args.name!r} in {path}")
    return 0
