"""``llm-optimize doctor``: what is there to work with, what is not, and what to do about it."""

from __future__ import annotations

import importlib.util
import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal

from llm_optimize import llm
from llm_optimize.cli import flags
from llm_optimize.cli.jsonlines import print_object
from llm_optimize.cli.options import model_with_server
from llm_optimize.cli.studies import open_existing, store_path
from llm_optimize.cli.wording import one_line
from llm_optimize.errors import BadInput, LLMOptimizeError
from llm_optimize.llm.endpoint import resolve
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.options import DefaultChat
from llm_optimize.llm.priced import Priced
from llm_optimize.sandbox import Sandbox, describe
from llm_optimize.sandbox.attack import WALLS, Attack, Bait, attempts
from llm_optimize.stores.postgres_address import Address

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.sandbox.attack import Attempt, Verdict

__all__ = ["Finding", "add", "main"]

_NUMERIC = {
    "optuna": "TPE, and ranges of mixed kinds",
    "cmaes": "CMA-ES",
    "sklearn": "a Gaussian process, the best in few evaluations",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        what: what was looked at.
        verdict: ``ok``; ``warn``: it works with less; ``fail``: something that is needed does not work.
        found: what was found.
        remedy: what to do about it; empty when all is well.
        details: further lines.
    """

    what: str
    verdict: Literal["ok", "warn", "fail"]
    found: str
    remedy: str = ""
    details: tuple[str, ...] = ()


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("doctor", help="check model, sandbox, prices, store", description=flags.about(__doc__))
    parser.add_argument("--model", metavar="NAME", help="as in run (default: what the environment says)")
    parser.add_argument("--base-url", metavar="URL", help="as in run")
    about = "run hostile programs against the sandbox of this machine instead: all, or those named (about a minute)"
    parser.add_argument("--attack", nargs="*", metavar="PROGRAM", help=about)
    flags.add_store(parser)
    flags.add_json(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Print a line per finding; return 0 unless something needed fails."""
    failed = False
    for finding in _findings(args) if args.attack is None else _attack(args.attack):
        failed |= finding.verdict == "fail"
        if args.json:
            print_object({"kind": "check", **asdict(finding)})
        else:
            remedy = f"; {finding.remedy}" if finding.remedy else ""
            print(f"{finding.verdict:<5} {finding.what:<8} {one_line(finding.found)}{one_line(remedy)}", flush=True)
            for detail in finding.details:
                print(f"{'':15}{one_line(detail)}")
    return int(failed)


def _findings(args: argparse.Namespace) -> Iterator[Finding]:
    found = f"llm-optimize {metadata.version('llm-optimize')}, Python {platform.python_version()}, {platform.system()}"
    yield Finding("version", "ok", found)
    yield from _model_findings(args.model, args.base_url)
    yield _sandbox()
    yield _numeric()
    yield _store(args.store)


def _model_findings(name: str | None, base_url: str | None) -> Iterator[Finding]:
    if name is None and base_url is None and not llm.have_model():
        remedy = "set OPENAI_API_KEY, or OPENAI_BASE_URL, or give --model URL#name"
        yield Finding("model", "warn", "none is configured: only numbers can be tuned", remedy)
        return
    try:
        model = llm.connect(model_with_server(name, base_url))
        found = _address(model)
        llm.preflight(model)
    except LLMOptimizeError as error:
        remedy = "" if isinstance(error, BadInput) else "check the name, the URL and the key"
        yield Finding("model", "fail", str(error), remedy)
        return
    yield Finding("model", "ok", f"{found}: answers")
    priced = next((layer for layer in llm.layers(model) if isinstance(layer, Priced)), None)
    if priced is not None:
        yield _price(priced)
        yield _tokens(priced)


def _address(model: ChatModel) -> str:
    """Return the model's name, its server, and whether there is a key; the key itself is never shown."""
    plain = list(llm.layers(model))[-1]
    plain = plain.now() if isinstance(plain, DefaultChat) else plain
    if not isinstance(plain, OpenAIChat) or plain.client is not None:
        return f"{llm.model_name(plain)} (an object of its own)"
    endpoint = resolve(plain.base_url, plain.api_key)
    return f"{plain.name} at {endpoint.base_url}, {'no' if endpoint.api_key == 'none' else 'with a'} key"


def _price(priced: Priced) -> Finding:
    if priced.price_known():
        return Finding("price", "ok", f"of {priced.name} is known")
    spec = importlib.util.find_spec("genai_prices")
    remedy = "put it into a JSON file named by LLM_OPTIMIZE_PRICES" if spec else "pip install 'llm-optimize[prices]'"
    return Finding("price", "warn", f"of {priced.name} is unknown, so dollars count as 0", remedy)


def _tokens(priced: Priced) -> Finding:
    source = priced.counter.source
    if source != "estimate":
        return Finding("tokens", "ok", f"are counted by {source}")
    return Finding("tokens", "ok", "are estimated, and corrected by what the endpoint reports")


def _sandbox() -> Finding:
    try:
        layers = describe()
    except LLMOptimizeError as error:
        return Finding("sandbox", "fail", str(error), "run no code that a model wrote on this machine")
    missing = [f"{name} ({why})" for name, why in layers.missing]
    found = f"{layers.backend}: {', '.join(layers.in_force) or 'no layer'} in force"
    details = (*(f"missing: {layer}" for layer in missing), *(f"not covered: {text}" for text in layers.uncovered))
    remedy = "use a Linux machine with user namespaces for all layers" if missing else ""
    return Finding("sandbox", "warn" if missing or not layers.in_force else "ok", found, remedy, details)


def _attack(names: list[str]) -> Iterator[Finding]:
    chosen = _chosen(names)
    counts = {"held": 0, "through": 0, "not run": 0}
    preload = [name for name in ("json", "random", "numpy") if importlib.util.find_spec(name) is not None]
    with Bait() as bait, Sandbox(preload=preload) as box:
        layers = box.layers()
        yield Finding("layers", "ok", f"{layers.backend}: {', '.join(layers.in_force) or 'none'} in force")
        if not set(layers.in_force) >= WALLS:
            found = f"not run: without {' and '.join(sorted(WALLS))}, they reach this machine's processes and files"
            yield Finding("attack", "fail", found, "use a Linux machine with user namespaces")
            return
        attack = Attack(box, bait)
        for attempt in chosen:
            verdict = attack.run(attempt)
            counts[verdict.outcome] += 1
            yield _told(verdict)
    found = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    remedy = "run no code that a model wrote on this machine" if counts["through"] else ""
    yield Finding("attack", "fail" if counts["through"] else "ok", f"{len(chosen)} hostile programs: {found}", remedy)


def _chosen(names: list[str]) -> list[Attempt]:
    known = {attempt.name: attempt for attempt in attempts()}
    for name in names:
        if name not in known:
            msg = f"--attack {name}: there is no such program; give names of files in sandbox/attempts, or none for all"
            raise BadInput(msg)
    return [known[name] for name in names] or list(known.values())


def _told(verdict: Verdict) -> Finding:
    attempt = verdict.attempt
    held = f"held {attempt.held_by.told(verdict.layers)}".rstrip() + f" ({verdict.reason})"
    outcome = {"held": held, "through": "GOT THROUGH", "not run": "not run"}[verdict.outcome]
    level: Literal["ok", "warn", "fail"] = {"held": "ok", "through": "fail"}.get(verdict.outcome, "warn")  # type: ignore[assignment]  # values of that set
    return Finding("attack", level, f"{attempt.name}: {outcome}; {attempt.tries}", details=verdict.why)


def _numeric() -> Finding:
    there = [name for name in _NUMERIC if importlib.util.find_spec(name) is not None]
    missing = [f"{name} ({use})" for name, use in _NUMERIC.items() if name not in there]
    found = f"{', '.join(there) or 'nothing'} installed"
    if not missing:
        return Finding("numeric", "ok", found)
    return Finding("numeric", "warn", f"{found}; not {', '.join(missing)}", "pip install 'llm-optimize[numeric]'")


def _store(given: str | None) -> Finding:
    path = store_path(given)
    remedy = "give --store PATH, or set LLM_OPTIMIZE_HOME"
    try:
        store = open_existing(path)
        count = len(store.studies()) if store else 0
    except LLMOptimizeError as error:
        return Finding("store", "fail", str(error))
    if isinstance(path, Address):
        return Finding("store", "ok", f"{path}, {count} studies")
    folder = next(folder for folder in path.parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK) or (store and not os.access(path, os.W_OK)):
        return Finding("store", "fail", f"{path} cannot be written", remedy)
    return Finding("store", "ok", f"{path}, {count} studies" if store else f"{path}, made by the first run")
