"""``llm-optimize export NAME``: write what a study, or a distill run, holds to a file for other programs.

``--exchanges FILE`` writes every request to a model with its reply, one exchange per line (JSON Lines); the run can be
repeated from it without a model: ``llm-optimize run FILE.py --model recorded:FILE``. ``--format chat --out FILE``
writes what was made better as a training file: NAME is a study, the folder of a distill run, or a training file that
is to be had in another format.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize import export
from llm_optimize.cli import flags
from llm_optimize.cli.jsonlines import print_object
from llm_optimize.cli.studies import store_path, study_events
from llm_optimize.errors import BadInput
from llm_optimize.llm.recording import export_exchanges

if TYPE_CHECKING:
    import argparse

__all__ = ["add", "main"]

_FILES = (".jsonl", ".csv")


def add(commands: flags.Commands) -> None:
    """Add the command."""
    shown = "write a study's exchanges, or what was made better as a training file"
    parser = commands.add_parser("export", help=shown, description=flags.about(__doc__))
    named = "the study (`llm-optimize list` shows the names); with --format also a distill run's folder, or a file"
    parser.add_argument("name", metavar="NAME", help=named)
    what = parser.add_mutually_exclusive_group(required=True)
    shown = "every request and reply, one per line, for `run --model recorded:FILE`"
    what.add_argument("--exchanges", metavar="FILE", help=shown)
    what.add_argument(
        "--format", choices=export.FORMATS, help="of the training file; see the module llm_optimize.export"
    )
    parser.add_argument("--out", metavar="FILE", help="with --format: the file, .jsonl, or .csv for inst")
    parser.add_argument("--force", action="store_true", help="replace FILE where it exists")
    _add_options(parser)
    flags.add_store(parser)
    flags.add_json(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Write the file; return the exit code."""
    if args.format is not None:
        return _training_file(args)
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


def _add_options(parser: flags.Parser) -> None:
    held = "with --format: the share that goes to FILE's .validation file (default: as a distill run parted; else 0)"
    parser.add_argument("--validation", type=float, metavar="SHARE", help=held)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of that split (default: 0)")
    rejected = "for preferences: a row with the worst version, or one for all (default: worst)"
    parser.add_argument("--rejected", choices=("worst", "all"), default="worst", help=rejected)
    least = "for preferences: the least difference of scores (default: 0)"
    parser.add_argument("--least-margin", type=float, default=0.0, metavar="X", help=least)
    marks = "for inst: refuse texts that hold the template's marks, or escape them (default: refuse)"
    parser.add_argument("--marks", choices=("refuse", "escape"), default="refuse", help=marks)
    parser.add_argument("--model", default="gpt-4.1-mini", metavar="NAME", help="for chat: whose tokens are counted")


def _training_file(args: argparse.Namespace) -> int:
    if not (args.out or "").strip():
        msg = "--out: the path is empty; give the training file to write"
        raise BadInput(msg)
    improvements = _improvements(args)
    if args.validation is not None:
        improvements = export.split(improvements, args.validation, args.seed)
    options = export.Options(args.rejected, args.least_margin, args.marks)
    written = export.write(improvements, args.out, args.format, options=options, force=args.force, model=args.model)
    if args.json:
        print_object(_fields(args, written))
    else:
        print(written)
    return 0


def _improvements(args: argparse.Namespace) -> tuple[export.Improvement, ...]:
    path = Path(args.name).expanduser()
    if path.is_dir():
        return export.from_distill(path)
    if path.suffix in _FILES and path.is_file():
        return export.read_file(path, marks=args.marks)
    _, events = study_events(store_path(args.store), args.name)
    return export.from_study(events)


def _fields(args: argparse.Namespace, written: export.Exported) -> dict[str, object]:
    files = [{"file": str(path), "rows": count} for path, count in written.files]
    fields: dict[str, object] = {"kind": "export", "source": args.name, "format": args.format, "files": files}
    if written.checked is not None:
        checked = written.checked
        fields |= {"tokens": checked.tokens, "longest": checked.longest, "warnings": list(checked.warnings)}
    return fields
