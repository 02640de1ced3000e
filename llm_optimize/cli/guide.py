"""``llm-optimize guide NAME TEXT``: say something that every following prompt of a study contains.

The study may be running in another process; it heeds the text from its next prompt on.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from llm_optimize.cli import flags
from llm_optimize.cli.studies import store_path, study_events
from llm_optimize.core.events import Guided
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    import argparse

__all__ = ["add", "main"]


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("guide", help="tell a running study what to heed", description=flags.about(__doc__))
    parser.add_argument("name", metavar="NAME", help="the study; `llm-optimize list` shows the names")
    parser.add_argument("text", metavar="TEXT", help="what the next proposals should heed")
    flags.add_store(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Append the guidance; return the exit code."""
    if not args.text.strip():
        msg = "TEXT is empty: say what the next proposals should heed"
        raise BadInput(msg)
    store, _ = study_events(store_path(args.store), args.name)
    store.append(args.name, Guided(args.text, time.time()))
    running = any(info.name == args.name and info.owner_pid is not None for info in store.overview())
    print("heeded from the next prompt on" if running else "heeded when the study is resumed", file=sys.stderr)
    return 0
