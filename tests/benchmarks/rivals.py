"""The searches that are compared, each as its users would call it, with its own defaults.

Each takes an :class:`arena.Arena` and spends its budget; what it found and what it cost is in the arena's meter.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import logging
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from arena import Judged, judge
from standins.reading import inner

from llm_optimize import Budget, optimize
from llm_optimize.core.chat import Reply
from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.errors import NoCandidate
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.prompts import HUMAN_OPTIMIZATION_PROMPT, fill
from llm_optimize.proposers.window import Window
from llm_optimize.testing.server import Answer, ScriptedServer
from llm_optimize.text.fences import extract

if TYPE_CHECKING:
    from collections.abc import Callable

    from arena import Arena

    from llm_optimize.core.chat import Request
    from llm_optimize.core.protocols import Proposer
    from llm_optimize.scorers.prompt_task import PromptTask

__all__ = ["SYSTEMS", "VARIANTS", "evaluate_file", "missing", "plays", "system"]

_MORE = (
    1.5  # OpenEvolve is limited by iterations; some give no evaluation, so it gets more; what is over does not count
)

PLAIN_SYSTEM = """\
You are an optimization assistant. You are shown inputs x and what a function f said about each of them. Your aim is
the input x with the highest result.

- Always answer with a new value of x, also when you are unsure.
- Test one hypothesis at a time; prefer the simplest solution.
- Learn from what failed.

# Task

{task_description}"""
"""What the predecessor's system prompt says, in our words: nothing in it tells to build on the best."""


def _ours(variant: Callable[[ScriptedModel], Proposer | None], *, fails: bool = True) -> Callable[[Arena], None]:
    """Return our search with a proposer; ``fails=False`` scores a failure 0, as the predecessor's users had to."""

    def run(arena: Arena) -> None:
        task = arena.task
        model = ScriptedModel(lambda request: _reply(arena, request))
        by_calls = arena.by == "calls"
        optimize.run(
            task.task, task.question, _scorer(arena, fails=fails), task.start, None, model, verbose=False,
            tune=task.numbers, proposer=variant(model), budget=None if by_calls else Budget(evaluations=arena.limit),
            stop=(lambda _: "spent" if arena.spent else None), store=None, seed=arena.seed,
        )  # fmt: skip

    return run


def _reply(arena: Arena, request: Request) -> Reply:
    said = arena.ask([(message.role, message.content) for message in request.messages])
    return Reply(said.text, finish_reason="length" if said.cut else "stop", model="stand-in")


def _scorer(arena: Arena, *, fails: bool) -> Callable[[str], Evaluation | Failure]:
    def score(text: str) -> Evaluation | Failure:
        judged = arena.meter.score(text)
        return (
            Failure("invalid", judged.feedback)
            if judged.failed and fails
            else Evaluation(judged.value, judged.feedback)
        )

    return score


def _default(_: ScriptedModel) -> None:
    """Nothing set: what ``optimize.run`` chooses."""


def _plain(model: ScriptedModel) -> ChatProposer:
    """Our own chat proposer as the predecessor's chat: everything recent, the latest is built on, no other policy."""
    return ChatProposer(model, system_prompt=PLAIN_SYSTEM, window=Window(best=1, recent=1000, failed=0))


VARIANTS: dict[str, Callable[[ScriptedModel], Proposer | None]] = {
    "default": _default,
    "best6": lambda model: ChatProposer(model, window=Window(best=6, recent=1, failed=0)),
    "recent": lambda model: ChatProposer(model, window=Window(best=1, recent=20, failed=4)),
}
"""Ours in other settings, for those who choose the defaults."""


def system(name: str) -> Callable[[Arena], None]:
    """Return a search by its name; ``module:function`` is ours with the proposer that the function makes of a model.

    Raises:
        KeyError: there is none of this name.
    """
    module, _, function = name.removeprefix("ours:").partition(":")
    known = name in SYSTEMS or not function  # "gepa:examples" is a system, though gepa has such a part too
    return SYSTEMS[name] if known else _ours(getattr(importlib.import_module(module), function))


def _best_of_n(arena: Arena) -> None:
    """Draw from the start again and again, independently."""
    task = arena.task
    first = arena.meter.score(task.start)
    values = {"x": task.start, "fx": _said(first), "task_question": task.question}
    chat = [("system", task.task), ("user", fill(HUMAN_OPTIMIZATION_PROMPT, values))]
    while not arena.spent:
        said = arena.ask(chat)
        with contextlib.suppress(NoCandidate):
            if not said.cut:
                arena.meter.score(extract(said.text).text)


def _said(judged: Judged) -> str:
    return judged.feedback if judged.failed else f"score: {judged.value:.4f}\n{judged.feedback}"


def _gepa(arena: Arena) -> None:
    """``optimize_anything`` in its mode for a single task, with its defaults."""

    def evaluator(candidate: str) -> tuple[float, dict[str, Any]]:
        judged = arena.meter.score(candidate)
        return judged.value, {"scores": {"score": judged.value}, "Feedback": judged.feedback}

    _anything(arena, evaluator, arena.limit, None)


def _gepa_examples(arena: Arena) -> None:
    """``optimize_anything`` in its mode for a data set: minibatches of three, and a Pareto front over the examples.

    One evaluation is as many examples as a whole one has. A candidate counts once all of them were asked.
    """
    scorer = cast("PromptTask", arena.task.score)
    parts = [scorer.on([example]) for example in scorer.examples]
    asked: dict[str, set[int]] = {}
    lock, spent = threading.Lock(), [0]

    def evaluator(candidate: str, example: int) -> tuple[float, dict[str, Any]]:
        outcome = parts[example](inner(candidate))
        with lock:
            spent[0] += 1
            known = asked.setdefault(candidate, set())
            new = example not in known
            known.add(example)
            while arena.meter.evaluations < spent[0] // len(parts) - 1:
                arena.meter.add(0.0)
            if new and len(known) == len(parts):
                arena.meter.texts.add(inner(candidate))
                arena.meter.add(arena.judged(candidate).value)
        if isinstance(outcome, Failure):
            return 0.0, {"Feedback": f"failed: {outcome.message}"}
        return outcome.score, {"scores": {"score": outcome.score}, "Feedback": outcome.feedback}

    _anything(arena, evaluator, arena.limit * len(parts), list(range(len(parts))))


def _anything(arena: Arena, evaluator: Callable[..., Any], calls: int, dataset: list[int] | None) -> None:
    from gepa import optimize_anything as api  # noqa: PLC0415 - a peer that need not be installed

    def model(prompt: Any) -> str:
        turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return arena.ask([(one["role"], str(one["content"])) for one in turns]).text

    config = api.GEPAConfig(
        engine=api.EngineConfig(max_metric_calls=calls if arena.by == "evaluations" else None, seed=arena.seed),
        reflection=api.ReflectionConfig(reflection_lm=model),
        stop_callbacks=lambda _: arena.spent,
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        api.optimize_anything(
            arena.task.start, evaluator=evaluator, objective=arena.task.question, background=arena.task.task,
            dataset=dataset, config=config,
        )  # fmt: skip


def _openevolve(arena: Arena) -> None:
    """``run_evolution`` against a real server, its population on disk, with its default configuration."""
    from openevolve import run_evolution  # type: ignore[import-untyped]  # noqa: PLC0415 - a peer

    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="openevolve_") as folder, _served(arena, Path(folder) / "log") as url:
        log, source = Path(folder) / "log", Path(folder) / "evaluator.py"
        key = (arena.task.name, arena.seed, str(log))
        source.write_text(_EVALUATOR.format(here=str(Path(__file__).parent), key=key))
        program = Path(folder) / f"initial{'.py' if arena.task.language == 'python' else '.txt'}"
        program.write_text(_MARKED.format(text=arena.task.start.strip("\n")))
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run_evolution(
                str(program), str(source), _openevolve_config(arena, url), int(arena.limit * _MORE), output_dir=folder,
                cleanup=False,
            )  # fmt: skip
        _read_log(arena, log)


_MARKED = "# EVOLVE-BLOCK-START\n{text}\n# EVOLVE-BLOCK-END\n"
_EVALUATOR = """\
import sys
sys.path[:0] = [{here!r}]
from rivals import evaluate_file
def evaluate(program_path):
    return evaluate_file(program_path, *{key!r})
"""


def _openevolve_config(arena: Arena, url: str) -> Any:
    from openevolve.config import Config, LLMModelConfig  # type: ignore[import-untyped]  # noqa: PLC0415 - a peer

    config = Config(random_seed=arena.seed)
    config.database.random_seed = arena.seed
    config.llm.api_base, config.llm.api_key = url, "none"
    config.llm.models = [LLMModelConfig(name="scripted")]
    config.llm.evaluator_models = []
    config.llm.__post_init__()
    config.prompt.system_message = f"{arena.task.task}\n\n{arena.task.question}"
    config.llm.update_model_params({"system_message": config.prompt.system_message})
    config.log_level = "CRITICAL"
    config.file_suffix = ".py" if arena.task.language == "python" else ".txt"
    config.language = arena.task.language
    return config


@contextlib.contextmanager
def _served(arena: Arena, log: Path) -> Any:
    def answer(body: dict[str, Any], _: int) -> Answer:
        said = arena.ask([(one["role"], str(one["content"])) for one in body["messages"]])
        _write(log, "call")
        return Answer(said.text, finish_reason="length" if said.cut else "stop")

    with ScriptedServer(answer) as server:
        yield server.url


def evaluate_file(path: str, name: str, seed: int, log: str) -> Any:
    """Score a program for OpenEvolve, in whichever process it asks, and write it down."""
    from openevolve.evaluation_result import EvaluationResult  # type: ignore[import-untyped]  # noqa: PLC0415 - a peer

    text = Path(path).read_text()
    judged = judge(name, seed, text)
    _write(Path(log), [judged.value, text])
    return EvaluationResult({"combined_score": judged.value}, {"feedback": judged.feedback})


def _write(log: Path, entry: object) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{json.dumps(entry)}\n".encode())
    os.close(handle)


def _read_log(arena: Arena, log: Path) -> None:
    """Count what was asked in other processes, in its order."""
    arena.meter.calls = 0
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        if entry == "call":
            arena.meter.calls += 1
        else:
            arena.meter.texts.add(entry[1])
            arena.meter.add(entry[0])


SYSTEMS: dict[str, Callable[[Arena], None]] = {
    "ours": _ours(_default),
    "gepa": _gepa,
    "gepa:examples": _gepa_examples,
    "openevolve": _openevolve,
    "best_of_n": _best_of_n,
    "plain chat": _ours(_plain, fails=False),
    **{f"ours:{name}": _ours(variant) for name, variant in VARIANTS.items() if name != "default"},
}
"""Name to a function that spends an arena's budget."""


def missing(system: str) -> bool:
    """Say whether a system is not installed here."""
    package = system.partition(":")[0]
    return package in {"gepa", "openevolve"} and importlib.util.find_spec(package) is None


def plays(system: str, arena: Arena) -> bool:
    """Say whether a system's mode is one for this task."""
    return system != "gepa:examples" or hasattr(arena.task.score, "examples")
