"""``llm-optimize export NAME``: write what a study holds to a file for other programs.

``--exchanges FILE`` writes every request to a model with its reply, one exchange per line (JSON Lines); the run can be
repeated from it without a model: ``llm-optimize run FILE.py --model recorded:FILE``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.cli import flags
from llm_optimize.cli.jsonlines import print_object
from llm_optimize.cli.studies import store_path, study_events
from llm_optimize.errors import BadInput
from llm_optimize.llm.recording import export_exchanges

if TYPE_CHECKING:
    import argparse

__all__ = ["add", "main"]


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("export", help="write a study's exchanges to a file", description=flags.about(__doc__))
    parser.add_argument("name", metavar="NAME", help="the study; `llm-optimize list` shows the names")
    what = parser.add_mutually_exclusive_group(required=True)
    shown = "every request and reply, one per line, for `run --model recorded:FILE`"
    what.add_argument("--exchanges", metavar="FILE", help=shown)
    parser.add_argument("--force", action="store_true", help="replace FILE where it exists")
    flags.add_store(parser)
    flags.add_json(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Write the file; return the exit code."""
    if not args.exchanges.strip():
        msg = "--exchanges: the path is empty; give the file to write"
        raise BadInput(msg)
    store, _ = study_events(store_path(args.store), args.name)
    count = export_exchanges(store, args.name, args.exchanges, force=args.force)
    if args.json:
        print_object({"kind": "export", "study": args.name, "file": str(Path(args.exchanges)), "exchanges": count})
    else:
        print(f"{count} exchange{'s' * (count != 1)} of study {args.name!r} in {args.exchanges}")
    return 0
