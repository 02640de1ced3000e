"""``llm-optimize distill``: make better prompts in bulk of the questions that a model gets wrong.

Give one or more files of questions and a folder. What it may cost at most is said before the first call. The same
command again goes on where the folder is; ``llm-optimize export FOLDER --format chat --out FILE`` writes a training
file.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from llm_optimize import distill, llm
from llm_optimize.cli import flags
from llm_optimize.cli.jsonlines import print_object
from llm_optimize.cli.options import model_with_server
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    import argparse

    from llm_optimize.distill.items import OpenScorer

__all__ = ["add", "main"]

_LIKENESS = ("token_f1", "rouge_l", "bleu", "chrf", "edit", "ratio")


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("distill", help="make better prompts in bulk", description=flags.about(__doc__))
    for kind in distill.KINDS:
        parser.add_argument(
            f"--{kind}", action="append", default=[], metavar="FILE", help=f"questions as {kind} has them"
        )
    parser.add_argument("--folder", metavar="DIR", required=True, help="where the run is kept, and goes on")
    _add_models(parser)
    _add_settings(parser)
    _add_caps(parser)
    flags.add_json(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Run the pipeline; return the exit code."""
    pipeline = _pipeline(args)
    if args.dry_run:
        print(pipeline.forecast())
        return 0
    done = pipeline.run()
    if args.json:
        print_object({"kind": "distill", "folder": str(done.folder), "done": done.is_done, **done.report.fields()})
    else:
        print(done)
        print(f"in {done.folder}; a training file: llm-optimize export {args.folder} --format chat --out train.jsonl")
    return 0 if done.is_done else 1


def _add_models(parser: flags.Parser) -> None:
    parser.add_argument(
        "--model", metavar="NAME", help="answers the prompts: 'gpt-5', 'http://127.0.0.1:11434/v1#qwen3'"
    )
    parser.add_argument("--base-url", metavar="URL", help="the server, where --model is only a name")
    parser.add_argument("--rewriter", metavar="NAME", help="rewrites them (default: --model)")
    flags.add_price(parser)
    scored = parser.add_mutually_exclusive_group()
    scored.add_argument(
        "--judge", metavar="NAME", help="open answers: the chat model that marks them (default: --model)"
    )
    scored.add_argument("--reward-url", metavar="URL", help="open answers: POST {prompt, text} there for a score")
    scored.add_argument("--reward-model", metavar="DIR", help="open answers: a sequence classifier on this machine")
    scored.add_argument(
        "--likeness", choices=_LIKENESS, help="open answers: likeness to the reference, without a model"
    )
    right = "open answers: from this score on an answer is right (default: 0.5)"
    parser.add_argument("--right", type=float, default=0.5, metavar="SCORE", help=right)


def _add_settings(parser: flags.Parser) -> None:
    usual = distill.Settings()
    for name, text in (
        ("samples", "answers to each version"),
        ("wrong", "an item is hard when so many of them are wrong"),
        ("rewrites", "of each item in a round"),
        ("rounds", "of rewriting, with scores fed back"),
        ("answer-tokens", "the longest answer"),
    ):
        default = getattr(usual, name.replace("-", "_"))
        shown = f"{text} (default: {default})"
        parser.add_argument(f"--{name}", type=flags.whole(1), default=default, metavar="N", help=shown)
    enough = "leave an item alone once a version scores this"
    parser.add_argument("--enough", type=float, metavar="SCORE", help=enough)
    held = f"share of hard items held out (default: {usual.validation:g})"
    parser.add_argument("--validation", type=float, default=usual.validation, metavar="SHARE", help=held)
    parser.add_argument("--seed", type=int, default=usual.seed, metavar="N", help="of the split (default: 0)")
    shown = "tell the rewriter the right answer; each record says so"
    parser.add_argument("--show-answer", action="store_true", help=shown)
    shown = "ask how long open answers must be, and bound them"
    parser.add_argument("--estimate-length", action="store_true", help=shown)


def _add_caps(parser: flags.Parser) -> None:
    parser.add_argument("--parallel", type=flags.whole(1), default=4, metavar="N", help="items at a time (default: 4)")
    parser.add_argument("--budget-calls", type=flags.whole(1), metavar="N", help="cap on model calls, all sessions")
    parser.add_argument("--budget-tokens", type=flags.whole(1), metavar="N", help="cap on tokens, all sessions")
    parser.add_argument("--budget-usd", type=float, metavar="USD", help="cap on dollars, all sessions")
    parser.add_argument("--dry-run", action="store_true", help="say what it may cost at most; spend nothing")


def _pipeline(args: argparse.Namespace) -> distill.Pipeline:
    model = _connected(args.model, args)
    items: list[distill.Item] = []
    for kind in distill.KINDS:
        for number, path in enumerate(getattr(args, kind)):
            found = distill.read_items(kind, path, open_scorer=_open_scorer(args, model), right=args.right)
            items += found if not number else (one.renamed(f"{one.id}-{number + 1}") for one in found)
    if not items:
        msg = f"no questions: give at least one of {', '.join(f'--{kind} FILE' for kind in distill.KINDS)}"
        raise BadInput(msg)
    return distill.Pipeline(
        items,
        args.folder,
        model,
        None if args.rewriter is None else _connected(args.rewriter, args),
        _settings(args),
        distill.Caps(args.budget_calls, args.budget_tokens, args.budget_usd),
        args.parallel,
        lambda text: print(text, file=sys.stderr),
    )


def _connected(name: str | None, args: argparse.Namespace) -> Any:  # noqa: ANN401 - whatever llm.connect takes
    model = model_with_server(name, args.base_url)
    if args.price is None:
        return model
    named = llm.model_name(llm.connect(model))
    return llm.connect(model, prices={named: args.price}, cache=False)


def _open_scorer(args: argparse.Namespace, model: Any) -> OpenScorer:  # noqa: ANN401 - as above
    if args.reward_url is not None:
        return distill.Rewarded(args.reward_url)
    if args.reward_model is not None:
        return distill.LocalReward(args.reward_model)
    if args.likeness is not None:
        return distill.Likeness(args.likeness)
    return distill.Judged(model if args.judge is None else _connected(args.judge, args))


def _settings(args: argparse.Namespace) -> distill.Settings:
    return distill.Settings(
        samples=args.samples,
        wrong=args.wrong,
        rewrites=args.rewrites,
        rounds=args.rounds,
        enough=args.enough,
        seed=args.seed,
        validation=args.validation,
        show_answer=args.show_answer,
        estimate_length=args.estimate_length,
        answer_tokens=args.answer_tokens,
    )
