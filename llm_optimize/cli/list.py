"""``llm-optimize list``: the studies of a store."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from llm_optimize.cli import flags
from llm_optimize.cli.jsonlines import print_object
from llm_optimize.cli.studies import open_existing, state, store_path, when
from llm_optimize.cli.wording import clean, one_line, score_text, table

if TYPE_CHECKING:
    import argparse

__all__ = ["add", "main"]

_STATE_WIDTH = 60


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("list", help="list the studies", description=flags.about(__doc__))
    flags.add_store(parser)
    flags.add_json(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Print the table; a missing file is a store without studies and stays missing."""
    path = store_path(args.store)
    store = open_existing(path)
    infos = store.overview() if store else ()
    if args.json:
        for info in infos:
            print_object({"kind": "study", **asdict(info), "state": state(info)})
    elif not infos:
        missing = "" if store else " (there is no such file yet)"
        print(f"no studies in {path}{missing}; `llm-optimize run FILE` begins one", file=sys.stderr)
    else:
        rows = [
            (
                one_line(i.name),
                str(i.trials),
                score_text(i.best_score),
                when(i.updated_at),
                clean(state(i), _STATE_WIDTH),
            )
            for i in infos
        ]
        print(table([("NAME", "TRIALS", "BEST", "UPDATED", "STATE"), *rows]))
    return 0
