"""``llm-optimize serve [STUDY]``: a page that shows studies while they run, and takes a person's word.

The page shows the report as it grows. On it guidance is typed in, candidates are accepted, rejected, pinned and
injected, and a run is paused, stopped, and given more. It needs starlette and uvicorn (extra ``serve``), and is for
this machine alone; ``--host`` opens it to others, who need the token.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from llm_optimize.cli import flags
from llm_optimize.cli.studies import open_at, open_existing, store_path, study_events
from llm_optimize.errors import BadInput
from llm_optimize.serve.running import Address, beside, serve
from llm_optimize.stores.postgres_address import Address as Server

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from llm_optimize.cli.studies import Location
    from llm_optimize.core.study import Study

__all__ = ["add", "add_address", "add_serve", "main", "serving"]

_OUTAGE_S = 3.0
_TOKEN = "LLM_OPTIMIZE_TOKEN"  # noqa: S105 - the variable's name: a command line can be read by other users


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "serve", help="show and steer studies on a live page", description=flags.about(__doc__)
    )
    parser.add_argument("name", metavar="STUDY", nargs="?", help="the only study to show (default: all of the store)")
    flags.add_store(parser)
    add_address(parser)
    parser.set_defaults(main=main)


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Add ``--serve``, and where the page is served."""
    parser.add_argument("--serve", action="store_true", help="show and steer the run on a live page (extra serve)")
    add_address(parser)


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add ``--host``, ``--port`` and ``--token``."""
    parser.add_argument("--host", metavar="HOST", help="where the page is served (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=flags.whole(0), metavar="N", help="its port; 0 for a free one (default: 8765)")
    shown = f"what a visitor must know; auto makes one up; needed with --host (default: ${_TOKEN})"
    parser.add_argument("--token", metavar="TOKEN", help=shown)


def main(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C; return the exit code."""
    address, path = _address(args), store_path(args.store)
    if args.name is not None:
        study_events(path, args.name)[0].close()
    store = open_existing(_impatient(path))
    if store is None:
        msg = f"{path} does not exist: run a study first, or give --store PATH of the file that holds one"
        raise BadInput(msg)
    with store:
        serve(store, address, args.name, _say)
    return 0


def serving(args: argparse.Namespace) -> Callable[[Study], AbstractContextManager[None]]:
    """Return what serves the page while a study is run: nothing, unless ``--serve`` was given.

    Raises:
        BadInput: the address was given without ``--serve``, or is not one.
    """
    if not args.serve:
        given = [name for name in ("host", "port", "token") if getattr(args, name) is not None]
        if given:
            msg = f"--{given[0]}: it says where the page is served; add --serve"
            raise BadInput(msg)
        return lambda _: nullcontext()
    address, path = _address(args), store_path(args.store)

    @contextmanager
    def page(study: Study) -> Iterator[None]:
        with open_at(_impatient(path)) as store, beside(study, store, address, _say):  # its own: it waits for no lock
            yield

    return page


def _impatient(path: Location) -> Location:
    """Return the place of a store, not waited for long while its server is away: the page says so and asks again."""
    if not isinstance(path, Server):
        return path
    return replace(path, timing=replace(path.timing, outage_s=min(path.timing.outage_s, _OUTAGE_S)))


def _address(args: argparse.Namespace) -> Address:
    given = {name: value for name in ("host", "port") if (value := getattr(args, name)) is not None}
    return Address(**given, token=args.token or os.environ.get(_TOKEN) or None)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
