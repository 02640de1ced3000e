"""``llm-optimize sweep``: find the prompt and the sampling settings whose answer comes closest to a wanted one."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize import sweep
from llm_optimize.cli import flags
from llm_optimize.cli.loading import is_object_name, load_named
from llm_optimize.cli.serve import add_serve, serving
from llm_optimize.cli.studies import store_value
from llm_optimize.core.budget import Budget
from llm_optimize.errors import BadInput
from llm_optimize.sweep.wording import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.sweep import SweepResult

__all__ = ["AGAIN", "add", "main", "read_setting", "resume"]

AGAIN = "again"
"""Under this name the log keeps what a sweep that was begun here needs to go on."""

_SECRET: dict[str, Any] = {"header": [], "proxy": None}  # what may hold a key, as it is when it is not given
_OF_THIS_SESSION = ("store", "serve", "host", "port", "token", "json", "quiet")
_FORMS = "NAME=VALUE, NAME=A,B,C, NAME=LOW..HIGH, NAME=START..STOP:STEP, or with a word behind it: int, log, log:COUNT"
_TEXTS = {
    "prompt": "the prompt; repeat it for several",
    "system": "a system prompt; repeat it for several",
    "wanted": "the wanted answer; repeat it for alternatives, or for one per --inputs",
}


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "sweep", help="find a model's best prompt and settings", description=flags.about(__doc__)
    )
    parser.add_argument("--find", action="store_true", help="search the five usual settings on Ollama's local endpoint")
    parser.add_argument("--url", metavar="URL", help=f"the endpoint (with --find: {sweep.URL})")
    parser.add_argument("--model", metavar="NAME", help=f"the model's name (with --find: {sweep.MODEL})")
    for name, text in _TEXTS.items():
        parser.add_argument(f"--{name}", metavar="TEXT", action="append", default=[], help=text)
        parser.add_argument(f"--{name}-file", metavar="FILE", action="append", default=[], help="the same, from a file")
    parser.add_argument(
        "--set", metavar="FIELD", action="append", default=[], help=f"any field of the request: {_FORMS}"
    )
    parser.add_argument("--inputs", metavar="FILE", help="JSON: an object of slot -> value, or a list of them")
    _add_search(parser)
    _add_endpoint(parser)
    flags.add_store(parser)
    parser.add_argument("--study", metavar="NAME", help="the study's name; an existing one goes on")
    parser.add_argument("--out", metavar="FOLDER", default="results", help="where the results go (default: results)")
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="of the messages (default: en)")
    add_serve(parser)
    flags.add_progress(parser)
    parser.set_defaults(main=main)


def _add_search(parser: argparse.ArgumentParser) -> None:
    whole = flags.whole
    parser.add_argument("--search", choices=sweep.SEARCHES, help="how (default: grid; with --find gp)")
    parser.add_argument(
        "--max-combinations", type=whole(1), metavar="N", help="pairs at most (default: the whole grid)"
    )
    parser.add_argument(
        "--init-points", type=whole(1), metavar="N", default=5, help="pairs before the engine (default: 5)"
    )
    parser.add_argument(
        "--n-iter", type=whole(0), metavar="N", default=25, help="with --find: pairs after them (default: 25)"
    )
    parser.add_argument("--repeats", type=whole(1), metavar="N", default=1, help="requests for each pair (default: 1)")
    parser.add_argument(
        "--similarity", metavar="KIND", help="ratio, token_f1, edit, cosine, judge, ... or module:function"
    )
    parser.add_argument("--embedding", metavar="NAME", help="for cosine: lexical, local:NAME or URL#name")
    parser.add_argument("--judge", metavar="MODEL", help="for judge: the model that judges")
    parser.add_argument("--improve-with", metavar="MODEL", help="a chat model that improves the prompt meanwhile")
    parser.add_argument(
        "--failed", choices=("penalised", "excluded"), default="penalised", help="what a failed pair is to an engine"
    )
    parser.add_argument("--no-probe", action="store_true", help="do not find out first which fields have an effect")
    parser.add_argument(
        "--no-effect", metavar="FIELD", action="append", default=[], help="a field declared to have none"
    )
    parser.add_argument("--parallel", type=whole(1), metavar="N", default=1, help="requests in flight (default: 1)")
    flags.add_options(parser, ("executor",))
    parser.add_argument("--seed", type=int, metavar="N", help="of everything random (default: 0; with --find 1)")
    for cap, kind in (("evals", whole(1)), ("tokens", whole(1)), ("usd", float), ("seconds", float)):
        parser.add_argument(f"--budget-{cap}", type=kind, metavar="N", help=f"cap on {cap}")


def _add_endpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--header", metavar="NAME=VALUE", action="append", default=[], help="a further header; repeatable"
    )
    parser.add_argument("--proxy", metavar="URL", help="a proxy")
    parser.add_argument("--timeout", type=float, metavar="S", default=60.0, help="seconds for one answer (default: 60)")
    parser.add_argument(
        "--attempts", type=flags.whole(1), metavar="N", default=3, help="calls before one has failed (default: 3)"
    )
    parser.add_argument("--price", metavar="IN,OUT", help="dollars per million tokens of prompts and answers")


def main(args: argparse.Namespace) -> int:
    """Sweep; return the exit code: 1 where no request succeeded."""
    settings = dict(read_setting(one) for one in args.set)
    texts = {name: _texts(args, name) for name in _TEXTS}
    result = _found(args, settings, texts) if args.find else _swept(args, settings, texts)
    if args.json:
        for row in result.rows():
            print(json.dumps(row, ensure_ascii=False))
        print(json.dumps({"best": result.max, "body": result.body, "no_effect": result.no_effect}, ensure_ascii=False))
    else:
        print(str(result.max) if args.quiet else str(result))
    return result.code


def resume(args: argparse.Namespace, settings: Mapping[str, Any]) -> int:
    """Go on with a study of this command, for ``llm-optimize resume NAME``; return the exit code.

    Args:
        args: of ``resume``.
        settings: of the study's latest session.

    Raises:
        BadInput: a flag means nothing to a sweep; or one that the log does not keep is needed.
    """
    given, again = flags.given(args), settings[AGAIN]
    for name in given:
        if name != "parallel" and not name.startswith("budget_"):
            msg = f"--{name.replace('_', '-')}: a sweep goes on as it was begun; leave it out"
            raise BadInput(msg)
    if again["withheld"]:
        missing = " and ".join(again["withheld"])
        msg = f"study {args.name!r} had {missing}, which no log keeps: give its `sweep` command again with --study"
        raise BadInput(msg)
    own = {name: getattr(args, name) for name in _OF_THIS_SESSION}
    return main(argparse.Namespace(**{**again["flags"], **given, **own, **_SECRET, "study": args.name}))


def _kept(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the log keeps, so that the study can be gone on with: texts, not the files that they were in."""
    left = {*_OF_THIS_SESSION, *_SECRET, "study", "main"}
    kept = {name: value for name, value in vars(args).items() if name not in left}
    for name in _TEXTS:
        kept |= {name: _texts(args, name), f"{name}_file": []}
    paths = {name: str(Path(kept[name]).absolute()) for name in ("out", "inputs") if kept[name] is not None}
    withheld = [f"--{name}" for name in _SECRET if getattr(args, name)]
    return {AGAIN: {"flags": {**kept, **paths}, "withheld": withheld}}


def read_setting(text: str) -> tuple[str, object]:
    """Return a field and what it may be, as :func:`llm_optimize.sweep.parse_dimension` takes it.

    Raises:
        BadInput: the text is of none of the forms.

    Example:
        >>> read_setting("temperature=0.1..1.0:0.1"), read_setting("top_k=1..1000 log:4"), read_setting("seed=7")
        (('temperature', (0.1, 1.0, 0.1)), ('top_k', (1, 1000, 'log', 4)), ('seed', 7))
    """
    name, sign, written = text.partition("=")
    name, written = name.strip(), written.strip()
    if not sign or not name or not written:
        msg = f"--set {text!r}: write {_FORMS}"
        raise BadInput(msg)
    if written.startswith(("[", "{", '"')):
        return name, _value(written)
    value, _, word = written.partition(" ")
    low, dots, rest = value.partition("..")
    if not dots:
        parts = [_value(one) for one in written.split(",")]
        return name, parts[0] if len(parts) == 1 else parts
    high, _, step = rest.partition(":")
    kind, _, count = word.strip().partition(":")
    numbers = [_number(text, one) for one in (low, high, step) if one]
    more = [kind] if kind else []
    return name, (*numbers, *more, *([_number(text, count)] if count else []))


def _value(text: str) -> Any:  # noqa: ANN401 - a JSON value, or the text itself
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def _number(text: str, part: str) -> float:
    value = _value(part)
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"--set {text!r}: {part!r} is no number; write {_FORMS}"
        raise BadInput(msg)
    return value


def _texts(args: argparse.Namespace, name: str) -> list[str]:
    files = getattr(args, f"{name}_file")
    return [*getattr(args, name), *(_file(one) for one in files)]


def _file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8").strip("\n")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{name} cannot be read ({error}): give a text file"
        raise BadInput(msg) from None


def _found(args: argparse.Namespace, settings: dict[str, object], texts: dict[str, list[str]]) -> SweepResult:
    varied = {name: spec for name, spec in settings.items() if isinstance(spec, tuple | list)}
    fixed = {name: spec for name, spec in settings.items() if name not in varied}
    bounds = {name: spec for name, spec in sweep.BOUNDS.items() if name not in fixed} | varied
    limit = {} if "max_tokens" in settings else {"max_tokens": sweep.MAX_TOKENS}
    return sweep.find_parameters(
        args.url or sweep.URL, args.model or sweep.MODEL, _one("--system", texts["system"]),
        _one("--prompt", texts["prompt"]), _wanted(texts["wanted"]), bounds, args.init_points, args.n_iter,
        settings={**limit, **fixed}, search=args.search or "gp", **_more(args),
    )  # fmt: skip


def _swept(args: argparse.Namespace, settings: dict[str, object], texts: dict[str, list[str]]) -> SweepResult:
    if args.model is None:
        msg = "--model: there is none; give a name, with --url for a server of your own"
        raise BadInput(msg)
    return sweep.optimize(
        args.model, None, max_combinations=args.max_combinations, user_prompts=texts["prompt"],
        desired_output=_wanted(texts["wanted"]), system_prompts=texts["system"] or "", settings=settings or None,
        search=args.search or "grid", init_points=args.init_points, base_url=args.url, **_more(args),
    )  # fmt: skip


def _one(flag: str, texts: list[str]) -> str:
    if len(texts) > 1:
        msg = f"{flag}: --find takes one; leave --find out to compare several"
        raise BadInput(msg)
    return texts[0] if texts else ""


def _wanted(texts: list[str]) -> str | list[str]:
    return texts[0] if len(texts) == 1 else texts


def _more(args: argparse.Namespace) -> Any:  # noqa: ANN401 - the keywords of a sweep, checked there
    caps = {
        "evaluations": args.budget_evals,
        "tokens": args.budget_tokens,
        "dollars": args.budget_usd,
        "seconds": args.budget_seconds,
    }
    given = {
        name: getattr(args, name)
        for name in ("similarity", "embedding", "judge", "improve_with", "proxy", "executor", "seed")
    }
    if given["similarity"] is not None and is_object_name(given["similarity"]):
        given["similarity"] = load_named(given["similarity"])
    return {
        **{name: value for name, value in given.items() if value is not None},
        "repeats": args.repeats, "failed": args.failed, "parallel": args.parallel, "study": args.study,
        "probe": args.no_effect or not args.no_probe, "budget": Budget(**caps),
        "store": store_value(args.store), "headers": dict(map(_header, args.header)),
        "timeout": args.timeout, "attempts": args.attempts, "prices": _prices(args), "folder": args.out,
        "language": args.language, "inputs": None if args.inputs is None else _inputs(args.inputs),
        "verbose": not args.quiet, "closing": False, "say": _say,
        "around": serving(args), "noted": _kept(args),
    }  # fmt: skip


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _header(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        msg = f"--header {text!r}: write NAME=VALUE"
        raise BadInput(msg)
    return name.strip(), value


def _prices(args: argparse.Namespace) -> dict[str, list[float]] | None:
    if args.price is None:
        return None
    return {args.model or sweep.MODEL: [_number(args.price, one) for one in args.price.split(",")]}


def _inputs(name: str) -> Any:  # noqa: ANN401 - checked by the sweep
    try:
        return json.loads(_file(name))
    except ValueError as error:
        msg = f"--inputs {name}: no JSON ({error}): give an object of slot -> value, or a list of them"
        raise BadInput(msg) from None
