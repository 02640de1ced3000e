"""``llm-optimize guide NAME TEXT``: say something that every following prompt contains, or decide something.

A candidate is accepted, rejected, pinned or written by hand; a run is paused, stopped, or given more. The study may
be running in another process; it heeds what was said from its next prompt on.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.cli import flags
from llm_optimize.cli.studies import fold, store_path, study_events
from llm_optimize.core.deciding import checked
from llm_optimize.core.events import Guided
from llm_optimize.core.hand import CAPS
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    import argparse

__all__ = ["add", "main"]

_RUN = {
    "pause": "begin nothing more until --continue; what is in flight is finished",
    "continue": "go on after --pause",
    "stop": "end the run once what is in flight is finished",
}


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("guide", help="tell a running study what to heed", description=flags.about(__doc__))
    parser.add_argument("name", metavar="NAME", help="the study; `llm-optimize list` shows the names")
    parser.add_argument("text", metavar="TEXT", nargs="?", default="", help="what to heed")
    acts = parser.add_mutually_exclusive_group()
    acts.add_argument("--accept", type=flags.whole(0), metavar="N", help="take candidate N as the result: the run ends")
    acts.add_argument("--reject", nargs="+", metavar=("N", "WHY"), help="count candidate N as failed; say why")
    acts.add_argument("--pin", type=flags.whole(0), metavar="N", help="build on candidate N, whatever scores best")
    acts.add_argument("--unpin", action="store_true", help="leave it to the search again what is built on")
    acts.add_argument("--inject", metavar="FILE", help="have the text of a file evaluated as a candidate; - is stdin")
    for act, text in _RUN.items():
        acts.add_argument(f"--{act}", dest="run", action="store_const", const=act, help=text)
    shown = f"allow more than the cap that the run was begun with; CAP is one of {', '.join(CAPS)}"
    acts.add_argument("--raise", dest="more", metavar="CAP=N", help=shown)
    flags.add_store(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Append what was said; return the exit code."""
    event = _event(args)
    store, events = study_events(store_path(args.store), args.name)
    with store:
        running = any(info.name == args.name and info.owner_pid is not None for info in store.overview())
        if event.act in _RUN and not running:
            msg = (
                f"--{event.act}: study {args.name!r} is not running; `llm-optimize resume {args.name}` goes on with it"
            )
            raise BadInput(msg)
        store.append(args.name, replace(checked(fold(events), event), at=time.time()))
    print("heeded from the next prompt on" if running else "heeded when the study is resumed", file=sys.stderr)
    return 0


def _event(args: argparse.Namespace) -> Guided:
    """Return what the flags say.

    Raises:
        BadInput: a text is missing, is one too many, or cannot be read.
    """
    if args.reject is not None:
        number, *why = args.reject
        if not number.isdigit():
            msg = f"--reject: {number!r} is no candidate's number; write --reject N, and why behind it"
            raise BadInput(msg)
        event = Guided(" ".join(why), act="reject", candidate_id=int(number))
    elif args.inject is not None:
        event = Guided(_read(args.inject), act="inject")
    elif args.unpin or args.run:
        event = Guided("", act=args.run or "unpin")
    elif args.more is not None:
        event = Guided(args.more.strip(), act="raise")
    else:
        decided = {act: number for act in ("accept", "pin") if (number := getattr(args, act)) is not None}
        act, candidate = next(iter(decided.items()), ("say", None))
        event = Guided(args.text, act=act, candidate_id=candidate)
    if args.text.strip() and event.act != "say":
        msg = f"TEXT does not go with --{event.act}: say it by a second `llm-optimize guide`"
        raise BadInput(msg)
    if event.act == "say" and not args.text.strip():
        msg = "TEXT is empty: say what the next proposals should heed"
        raise BadInput(msg)
    return event


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--inject: {file} cannot be read ({error}); give a text file"
        raise BadInput(msg) from error
