r"""``llm-optimize prompt``: make a prompt better by a population of its rewrites, judged by a model, a script or data.

In a terminal it asks for what is not given and shows the search while it runs; without one it prints lines, or with
``--json`` objects. ``\n`` in ``--prompt`` and ``--improve``, typed as two characters, is a line end.
"""

from __future__ import annotations

import argparse
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize import llm, optimize
from llm_optimize.cli import flags
from llm_optimize.cli.ending import Place, report
from llm_optimize.cli.jsonlines import JsonLines
from llm_optimize.cli.lines import Lines, Silence
from llm_optimize.cli.options import model_with_server
from llm_optimize.cli.prompt_flags import DEFAULTS, add_flags, asked, settled
from llm_optimize.cli.prompt_frame import Sizes
from llm_optimize.cli.prompt_scorers import chosen_scorer
from llm_optimize.cli.prompt_terminal import can_take_over
from llm_optimize.cli.prompt_view import PromptView
from llm_optimize.cli.serve import add_serve, serving
from llm_optimize.cli.session import followed, show_warnings
from llm_optimize.cli.studies import fold, next_name, open_existing, opened_with, store_path, store_value
from llm_optimize.core.budget import Budget
from llm_optimize.errors import BadInput
from llm_optimize.parallel import executing
from llm_optimize.targets.prompt_population import PromptSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from llm_optimize.cli.lines import Watcher
    from llm_optimize.core.protocols import Executor
    from llm_optimize.core.study import Study

__all__ = ["COMMAND", "add", "main", "resume"]

COMMAND = "prompt"
"""Its name, under which a study's log says that it was begun here."""

_CAPS = {"evaluations": "budget_evals", "tokens": "budget_tokens", "dollars": "budget_usd", "seconds": "budget_seconds"}


def add(commands: flags.Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(COMMAND, help="make a prompt better", description=flags.about(__doc__))
    add_flags(parser)
    add_serve(parser)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Make the prompt better; return the exit code."""
    silent = args.json or args.quiet
    show_warnings(quiet=args.quiet)
    page = serving(args)
    _check_output(args.output)
    found = asked(settled(vars(args), _earlier(args)), silent=silent)
    job = _Job(found, args.store, args.study or next_name(store_path(args.store), COMMAND), given=bool(args.study))
    with _key(args.openai_api_key):
        return _carry_out(job, args, page)


@contextmanager
def _key(key: str | None) -> Iterator[None]:
    """Use a key inside the block; no other call of this process shall."""
    before = dict(llm.default_llm_options)
    if key:
        llm.default_llm_options["openai_api_key"] = key
    try:
        yield
    finally:
        llm.default_llm_options.clear()
        llm.default_llm_options.update(before)


def resume(args: argparse.Namespace) -> int:
    """Go on with a study of this command, for ``llm-optimize resume NAME``; return the exit code."""
    theirs = {**dict.fromkeys(DEFAULTS), **vars(args)}
    own = {"study": args.name, "output": None, "plain": False, "openai_api_key": None}
    return main(argparse.Namespace(**{**theirs, **own}))


@dataclass(frozen=True)
class _Job:
    """What is to be run: settings, and where the study is kept."""

    found: Mapping[str, Any]
    store: str | None
    name: str
    given: bool

    @property
    def budget(self) -> Budget:
        return Budget(**{cap: self.found.get(flag) for cap, flag in _CAPS.items()})

    def model(self, name: str | None, role: str = "") -> Any:  # noqa: ANN401 - as for llm.connect
        """Return the model of this name, by default the one that proposes, at the price that was told for that one."""
        found = self.found
        model = model_with_server(name or found.get("model"), found.get("base_url"))
        if model is None and not llm.have_model():
            llm.require_model()
        price = found.get("price") if name in (None, found.get("model")) else None
        prices = {llm.model_name(llm.connect(model)): price} if price else None
        return llm.connect(model, prices=prices, role=role)

    def search(self) -> PromptSearch:
        found = self.found
        return PromptSearch(
            found["prompt"],
            found["improve"],
            size=found["num_samples"],
            generations=found["num_iters"],
            threshold=found["threshold"],
            elites=found["num_elites"],
            tournament=found["tournament"],
            judge=self.model(found["judge_model"], "judge"),
            judge_samples=found["judge_samples"],
            scorer=chosen_scorer(found, self.model),
            parallel=found["parallel"],
            mutate=found["mutate"],
            evolve=found["evolve"],
        )

    def over(self, search: PromptSearch) -> optimize.Result | None:
        """Return what a study that is done already came to, or None for one that is new or can go on."""
        store = open_existing(store_path(self.store)) if self.given else None
        history = fold([event for _, event in store.read(self.name)]) if store else None
        reason = search.stop(history) if history is not None and history.trials else None
        if history is None or reason is None:
            return None
        hint = "to go on, raise --num-iters or --threshold"
        return optimize.Result(history, f"the study is done already ({reason}); {hint}", self.name)

    def study(self, search: PromptSearch, watcher: Watcher, executor: Executor | None) -> Study:
        """Return the study, to run its scorer on an executor; nothing is spent yet."""
        found = self.found
        kept = {name: value for name, value in found.items() if value is not None}
        return optimize.build(
            **search.arguments(),
            model=self.model(None),
            budget=self.budget,
            parallel=found["parallel"],
            executor=executor,
            store=store_value(self.store),
            study=self.name,
            resume="auto" if self.given else False,
            seed=found["seed"],
            observers=(watcher,),
            settings={"command": COMMAND, "flags": kept},
        )


def _carry_out(job: _Job, args: argparse.Namespace, page: Callable[[Study], AbstractContextManager[None]]) -> int:
    search = job.search()
    over = job.over(search)
    if over is not None:
        return report(over, Place(job.name, job.store), json=args.json, quiet=args.quiet)
    watcher = _watcher(args, job, search)
    try:
        with executing(job.found.get("executor")) as executor:
            study = job.study(search, watcher, executor)
            result, signalled = followed(study, watcher, page)  # inside the view, which shows where the page is
    finally:
        close = getattr(search.scorer, "close", None)
        if close is not None:
            close()
    if args.output and result.best is not None:
        Path(args.output).write_text(result.best.text.strip("\n") + "\n", encoding="utf-8")
    result = _said(result, quit_by_key=isinstance(watcher, PromptView) and watcher.quit)
    code = report(result, Place(job.name, job.store), json=args.json, quiet=args.quiet)
    return code if signalled is None else signalled


def _watcher(args: argparse.Namespace, job: _Job, search: PromptSearch) -> Watcher:
    if args.json:
        return JsonLines(job.name)
    if args.quiet:
        return Silence()
    if args.plain or not can_take_over():
        return Lines()
    later = search.proposer(job.model(None)).children
    return PromptView(Sizes(job.name, search.generations, search.size + 1, later))


def _said(result: optimize.Result, *, quit_by_key: bool) -> optimize.Result:
    """Say of a search that was broken off that its best so far is returned; one that was ended by a key is no error."""
    if not result.interrupted:
        return result
    best = "nothing has a score yet" if result.best is None else f"the best so far is #{result.best.id}"
    reason = "quit by a key" if quit_by_key else result.reason
    return replace(result, reason=f"{reason}; {best}", interrupted=not quit_by_key)


def _earlier(args: argparse.Namespace) -> Mapping[str, Any]:
    """Return the flags of the study's latest session; none for a new study.

    Raises:
        BadInput: the study is one of another command.
    """
    store = open_existing(store_path(args.store)) if args.study else None
    settings = opened_with([event for _, event in store.read(args.study)]) if store else {}
    if settings and settings.get("command") != COMMAND:
        msg = f"--study: {args.study!r} was not begun with `llm-optimize prompt`: give another name"
        raise BadInput(msg)
    earlier: Mapping[str, Any] = settings.get("flags", {})
    return earlier


def _check_output(path: str | None) -> None:
    """Refuse a file that cannot be written, before anything is spent.

    Raises:
        BadInput: its folder is missing, or it is a folder itself.
    """
    if path is not None and (Path(path).is_dir() or not Path(path).absolute().parent.is_dir()):
        msg = f"--output: {path!r} is a folder, or stands in one that is not there; give the path of a file"
        raise BadInput(msg)
