"""``llm-optimize finetune DATA.jsonl``: train a small model on better prompts, on this machine or at a provider.

The data is what ``llm-optimize export`` writes: messages, prompt and completion, text with [INST], or pairs of a chosen
and a rejected answer. The tuned model is measured on held-out items against the untuned one, and saved as an adapter
and merged: serve the latter with ``transformers serve OUTPUT/merged``, and let it propose with ``--model URL#NAME``.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from llm_optimize import finetune
from llm_optimize.cli import flags
from llm_optimize.cli.jsonlines import print_object
from llm_optimize.cli.loading import load_named
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from llm_optimize.finetune import HostedJob, Settings, Tuned

__all__ = ["add", "main"]

_SETTINGS = {
    "epochs": (float, "N", "passes over the data (default: 3; with --hosted the provider's)"),
    "lr": (float, "RATE", "the highest learning rate (default: 2e-4 for sft, 5e-6 for dpo)"),
    "batch": (int, "N", "items in one forward pass (default: 4)"),
    "accumulation": (int, "N", "forward passes in one step (default: 4)"),
    "length": (int, "TOKENS", "where an item is cut off (default: 1024)"),
    "held-out": (float, "SHARE", "of the items, to measure on (default: 0.15)"),
    "beta": (float, "BETA", "of dpo: smaller moves further away from the base (default: 0.1)"),
    "precision": (str, "auto|bf16|fp32", "of the numbers (default: auto, bf16 on a GPU that has it)"),
    "save-every": (int, "STEPS", "between two checkpoints (default: 50)"),
    "seed": (int, "N", "of everything random (default: 0)"),
}
_LORA = {
    "lora-r": ("rank", int, "N", "the adapter's rank (default: 32)"),
    "lora-alpha": ("alpha", float, "ALPHA", "the adapter counts ALPHA / N (default: 16)"),
    "lora-dropout": ("dropout", float, "SHARE", "of the adapter's inputs (default: 0)"),
}
_NAMES = {"lr": "learning_rate"}
_LOCAL_ONLY = ("preset", "lr", "batch", "accumulation", "length", "beta", "precision", "save_every", *_LORA)


def add(commands: flags.Commands) -> None:
    """Add the command."""
    shown = "train a small model on better prompts"
    parser = commands.add_parser("finetune", help=shown, description=flags.about(__doc__))
    parser.add_argument("data", metavar="DATA.jsonl", help="messages, prompt/completion, text, or chosen/rejected rows")
    base = "the untuned model: a folder or a name; with --hosted the provider's name"
    parser.add_argument("--base", metavar="PATH_OR_NAME", required=True, help=base)
    parser.add_argument("--output", metavar="DIR", required=True, help="a new folder for all results")
    parser.add_argument("--method", choices=("sft", "dpo"), help="default: what the data is made for")
    parser.add_argument("--preset", choices=tuple(finetune.PRESETS), help="settings by name; other flags win")
    for flag, (kind, metavar, text) in _SETTINGS.items():
        parser.add_argument(f"--{flag}", type=kind, metavar=metavar, help=text)
    for flag, (_, kind, metavar, text) in _LORA.items():
        parser.add_argument(f"--{flag}", type=kind, metavar=metavar, help=text)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default: the fastest")
    parser.add_argument("--scorer", metavar="MODULE:NAME", help="scores answers to held-out prompts, for both models")
    parser.add_argument("--resume", action="store_true", help="go on with what was begun in DIR")
    _add_hosted(parser)
    flags.add_json(parser)
    parser.set_defaults(main=main)


def _add_hosted(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hosted", action="store_true", help="a job at the provider of OPENAI_API_KEY instead")
    parser.add_argument("--base-url", metavar="URL", help="the provider (default: OPENAI_BASE_URL, else OpenAI)")
    parser.add_argument("--suffix", metavar="TEXT", default="", help="for the hosted model's name")
    parser.add_argument("--poll", type=float, metavar="S", default=30.0, help="seconds between looks at the job")
    parser.add_argument("--no-wait", action="store_true", help="leave when the job is started; --resume looks again")


def main(args: argparse.Namespace) -> int:
    """Train, or have it trained; return the exit code."""
    if args.hosted:
        _hosted(args)
    else:
        _local(args)
    return 0


def _local(args: argparse.Namespace) -> None:
    for name in ("base_url", "suffix", "no_wait"):
        if getattr(args, name):
            msg = f"--{name.replace('_', '-')}: is for a provider's job: add --hosted, or leave it out"
            raise BadInput(msg)
    scorer = None if args.scorer is None else load_named(args.scorer)
    tuned = finetune.train(
        args.data,
        args.base,
        args.output,
        _settings(args),
        method=args.method,
        device=args.device,
        scorer=scorer,
        resume=args.resume,
        say=_say,
    )
    if args.json:
        print_object(_tuned_fields(tuned))
    else:
        print("\n".join(_lines(tuned)))


def _settings(args: argparse.Namespace) -> Settings:
    chosen = finetune.preset(args.preset) if args.preset else finetune.Settings()
    lora = {field: value for flag, (field, *_) in _LORA.items() if (value := _given(args, flag)) is not None}
    rest = {_NAMES.get(flag, flag.replace("-", "_")): _given(args, flag) for flag in _SETTINGS}
    given = {name: value for name, value in rest.items() if value is not None}
    return replace(chosen, lora=replace(chosen.lora, **lora), **given)


def _given(args: argparse.Namespace, flag: str) -> Any:  # noqa: ANN401 - of the flag's type
    return getattr(args, flag.replace("-", "_"))


def _lines(tuned: Tuned) -> list[str]:
    trained = tuned.trained
    losses = [loss for _, loss in trained.log]
    fell = f", training loss {losses[0]:.4f} -> {losses[-1]:.4f}" if losses else ""
    lines = [f"{trained.steps} steps on {tuned.items} items in {trained.seconds:.0f} s{fell}"]
    lines += [str(one) for one in (tuned.loss, tuned.score) if one is not None]
    lines += [f"note: {said}" for said in tuned.said]
    lines.append(f"adapter: {tuned.adapter}")
    lines.append(f"merged:  {tuned.merged}")
    lines.append(f"serve:   transformers serve {tuned.merged} --port 8000")
    return [*lines, f"propose: llm-optimize run FILE.py --model http://127.0.0.1:8000/v1#{tuned.merged}"]


def _tuned_fields(tuned: Tuned) -> Mapping[str, Any]:
    compared = {
        name: one and {"improvement": one.improvement, "low": one.low, "high": one.high, "items": len(one.tuned)}
        for name, one in (("loss", tuned.loss), ("score", tuned.score))
    }
    return {"kind": "finetune"} | asdict(tuned) | compared


def _hosted(args: argparse.Namespace) -> None:
    for flag in _LOCAL_ONLY:
        if _given(args, flag) is not None:
            msg = f"--{flag.replace('_', '-')}: a provider chooses that itself: leave it out with --hosted"
            raise BadInput(msg)
    if args.epochs is not None and not args.epochs.is_integer():
        msg = f"--epochs is {args.epochs}: give a whole number with --hosted"
        raise BadInput(msg)
    given = {
        "epochs": None if args.epochs is None else int(args.epochs),
        "held_out": args.held_out,
        "seed": args.seed,
        "suffix": args.suffix,
    }
    job = finetune.start(
        args.data,
        args.base,
        args.output,
        finetune.Hosted(**{name: value for name, value in given.items() if value is not None}),
        method=args.method,
        base_url=args.base_url,
        poll=None if args.no_wait else args.poll,
        resume=args.resume,
        say=_say,
    )
    if args.json:
        print_object({"kind": "finetune"} | asdict(job))
    else:
        print(_hosted_line(job))


def _hosted_line(job: HostedJob) -> str:
    if job.model is None:
        return f"{job.id} is {job.status}; look again with --resume"
    return f"{job.id} {job.status}; propose: llm-optimize run FILE.py --model {job.model}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
