"""What a run does, out of three sources: a flag given now, one given when the study began, and the task file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.cli.loading import is_object_name, load_named
from llm_optimize.core.budget import Budget
from llm_optimize.core.noise import policy
from llm_optimize.core.retesting import Retesting
from llm_optimize.core.stopping import MaxSteps, Suspicious, TargetScore
from llm_optimize.errors import BadInput
from llm_optimize.llm.endpoint import check_url, split_name
from llm_optimize.llm.options import DefaultChat
from llm_optimize.llm.replay import is_recorded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.cli.taskfile import TaskFile
    from llm_optimize.core.history import History
    from llm_optimize.core.noise import Noise
    from llm_optimize.core.protocols import Scorer

__all__ = ["Options", "model_with_server", "resolve"]

_BUDGET_FLAGS = {
    "budget_evals": "evaluations",
    "budget_tokens": "tokens",
    "budget_usd": "dollars",
    "budget_seconds": "seconds",
}
_DEFAULT_STEPS = 10  # as in optimize.run
_RAISE = {
    "max_steps": "--max-steps",
    "stop_score": "--stop-score",
    "suspicious score": "--suspicious-above",
    **{f"budget {cap}": f"--{flag.replace('_', '-')}" for flag, cap in _BUDGET_FLAGS.items()},
}


@dataclass(frozen=True, slots=True)
class Options:
    """The settings in force; see :func:`llm_optimize.optimize.build`.

    Attributes:
        model: a name, ``URL#name``, a chat model, or None for the environment's.
        max_steps: see build(); likewise the others.
        stop_score: see build().
        parallel: see build().
        ideas: see build().
        seed: see build().
        tune: see build().
        budget: see build().
        eval_timeout: see build().
        interactive: see build().
        price: the model's, dollars per million tokens: (in, out) or (in, out, cached); None for the known one.
        noise: see build().
        final: see build().
        suspicious_above: see build().
        executor: see :func:`llm_optimize.parallel.open_executor`; None for the study's own threads.
    """

    model: Any
    max_steps: int | None
    stop_score: float | None
    parallel: int | None
    ideas: int
    seed: int
    tune: Any
    budget: Budget
    eval_timeout: float | None
    interactive: int | None = None
    price: Sequence[float] | None = None
    noise: Noise | None = None
    final: Scorer | None = None
    suspicious_above: float | None = None
    executor: str | None = None

    @property
    def priced_model(self) -> Any:  # noqa: ANN401 - see model
        """The model, at the price that was told."""
        if self.price is None or (self.model is None and not llm.have_model()):
            return self.model
        name = llm.model_name(llm.connect(self.model))
        return llm.connect(self.model, prices={name: self.price})

    def reason_to_stop(self, history: History) -> str | None:
        """Return why a study with this past would end at once, or None.

        One whose search is over goes on while its end is missing: evaluations afresh, or those on sealed examples.
        """
        rules = (
            None if self.suspicious_above is None else Suspicious(self.suspicious_above),
            None if self.stop_score is None else TargetScore(self.stop_score),
            None if self.max_steps is None else MaxSteps(self.max_steps),
            self.budget,
        )
        reason = next((reason for rule in rules if rule is not None and (reason := rule(history))), None)
        unfinished = self.budget(history) is None and Retesting(self.noise, self.final).ending(history, ())
        return None if unfinished else reason

    @staticmethod
    def flag_to_raise(reason: str) -> str:
        """Return the flag that lifts the limit which ``reason`` names."""
        return _RAISE.get(reason.partition(":")[0], "--max-steps")

    def recorded(self) -> dict[str, Any]:
        """Return the settings as JSON values, for the log."""
        budget = {cap: value for cap in _BUDGET_FLAGS.values() if (value := getattr(self.budget, cap)) is not None}
        model = self.model if self.model is None or isinstance(self.model, str) else llm.model_name(self.model)
        return {
            "model": model,
            "max_steps": self.max_steps,
            "stop_score": self.stop_score,
            "parallel": self.parallel,
            "ideas": self.ideas,
            "seed": self.seed,
            "budget": budget,
            "eval_timeout": self.eval_timeout,
            "noise": None if self.noise is None else repr(self.noise),
            "suspicious_above": self.suspicious_above,
            "executor": self.executor,
        }


def resolve(task: TaskFile, flags: Mapping[str, Any]) -> Options:
    """Return the settings in force: a flag wins over the file, the file over the defaults.

    Args:
        task: the task file.
        flags: values by the flag's name with underscores; ``max_steps`` may be ``"none"``.

    Raises:
        BadInput: the model and its server do not go together, or a cap buys nothing.
    """
    file = task.settings
    steps = flags.get("max_steps", file.get("MAX_STEPS", _DEFAULT_STEPS))
    caps = {cap: flags[flag] for flag, cap in _BUDGET_FLAGS.items() if flag in flags}
    return Options(
        model=model_with_server(flags.get("model", file.get("MODEL")), flags.get("base_url")),
        max_steps=None if steps == "none" else steps,
        stop_score=flags.get("stop_score", file.get("STOP_SCORE")),
        parallel=flags.get("parallel", file.get("PARALLEL")),
        ideas=flags.get("ideas", file.get("IDEAS", 1)),
        seed=flags.get("seed", file.get("SEED", 0)),
        tune=file.get("TUNE"),
        budget=Budget(**{**(file.get("BUDGET") or {}), **caps}),
        eval_timeout=flags.get("eval_timeout", file.get("EVAL_TIMEOUT")),
        interactive=flags.get("interactive"),
        price=flags.get("price"),
        noise=policy({"auto": "auto", "off": None}[flags["noise"]] if "noise" in flags else file.get("NOISE")),
        final=file.get("FINAL"),
        suspicious_above=flags.get("suspicious_above", file.get("SUSPICIOUS_ABOVE")),
        executor=flags.get("executor", file.get("EXECUTOR")),
    )


def model_with_server(model: Any, base_url: str | None) -> Any:  # noqa: ANN401 - see Options.model
    """Return the model that a name, or an object, and a server come to; None for the environment's.

    Raises:
        BadInput: they do not go together.
    """
    if is_recorded(model) and base_url is not None:
        msg = "--base-url: a recording asks no server; leave the flag out"
        raise BadInput(msg)
    if isinstance(model, str) and "://" not in model and not is_recorded(model) and is_object_name(model):
        model = load_named(model)
    if base_url is None:
        return model
    url = check_url(base_url.partition("#")[0], "--base-url")
    if model is None:
        model = base_url.partition("#")[2] or DefaultChat().name
    if not isinstance(model, str):
        msg = "--base-url: the model is an object, which knows its own server; leave the flag out"
        raise BadInput(msg)
    name, _ = split_name(model)
    return f"{url}#{name}"
