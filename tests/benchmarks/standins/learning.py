"""How a stand-in changes training code: it knows scalers, reductions and models, and their numbers.

A kernel without a scaler is worth nothing on columns of such different scales, and a reduction helps some models and
hurts others, so that a step may look bad until another one is taken.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from standins.skill import Skill

from llm_optimize.core.types import Evaluation, Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.automl import Automl
    from tasks.task import Task

__all__ = ["Pipeline", "fast", "make", "pipeline", "written"]

Numbers = tuple[tuple[str, str, str], ...]

_MODELS: dict[str, tuple[str, str, Numbers]] = {
    "KNeighborsClassifier": ("neighbors", "n_neighbors=k", (("k", "25", "1..60"),)),
    "SVC": ("svm", "C=C, gamma=gamma", (("C", "1.0", "0.01..100 log"), ("gamma", "0.1", "0.0001..1 log"))),
    "LogisticRegression": ("linear_model", "C=C, max_iter=50", (("C", "1.0", "0.001..100 log"),)),
    "ExtraTreesClassifier": ("ensemble", "n_estimators=n, random_state=0", (("n", "20", "5..40"),)),
    "GaussianNB": ("naive_bayes", "var_smoothing=s", (("s", "1e-9", "1e-9..1 log"),)),
    "LinearDiscriminantAnalysis": ("discriminant_analysis", 'solver="lsqr", shrinkage=s', (("s", "0.5", "0..1"),)),
    "RidgeClassifier": ("linear_model", "alpha=a", (("a", "1.0", "0.01..1000 log"),)),
    "NearestCentroid": ("neighbors", "", ()),
}
_SCALERS = ("", "StandardScaler", "MinMaxScaler", "RobustScaler", "MaxAbsScaler")
_KEPT: Numbers = (("p", "10", "2..40"),)
_REDUCERS: dict[str, tuple[str, str, Numbers]] = {
    "": ("", "", ()),
    "PCA": ("decomposition", "p", _KEPT),
    "SelectKBest": ("feature_selection", "k=p", _KEPT),
}
_WHERE = {one: "preprocessing" for one in _SCALERS if one}
_START = "KNeighborsClassifier"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Training code's parts, and its numbers as they are written."""

    model: str = _START
    scaler: str = ""
    reducer: str = ""
    numbers: tuple[tuple[str, str], ...] = ()

    def value(self, name: str, otherwise: str) -> str:
        """Return a number as it is written."""
        return dict(self.numbers).get(name, otherwise)


def make(worth: Callable[[str], float], _: Task) -> Skill:
    """Return the skill; ``worth`` scores a text."""
    return Skill(_knows, _on(_edit), _on(_leap), _mend, lambda text: written(pipeline(text)), _combine, _spoil, worth)


def pipeline(text: str) -> Pipeline:
    """Read training code; what is not found in it is as in the start."""
    model = next((name for name in _MODELS if f"{name}(" in text), _START)
    scaler = next((name for name in _SCALERS if name and f"{name}(" in text), "")
    reducer = next((name for name in _REDUCERS if name and f"{name}(" in text), "")
    numbers = tuple(re.findall(r"^(\w+) = ([\d.e+-]+)", text, re.MULTILINE))
    return Pipeline(model, scaler, reducer, numbers)


def written(one: Pipeline) -> str:
    """Write training code out."""
    module, arguments, numbers = _MODELS[one.model]
    reduced, kept, sizes = _REDUCERS[one.reducer]
    steps = [f"{one.scaler}()"] if one.scaler else []
    steps += [f"{one.reducer}({kept})"] if one.reducer else []
    imports = [f"from sklearn.{module} import {one.model}"]
    imports += [f"from sklearn.{_WHERE[one.scaler]} import {one.scaler}"] if one.scaler else []
    imports += [f"from sklearn.{reduced} import {one.reducer}"] if one.reducer else []
    imports += ["from sklearn.pipeline import make_pipeline"] if steps else []
    lines = [f"{name} = {one.value(name, first)}  # tune: {name}={span}" for name, first, span in (*numbers, *sizes)]
    model = f"{one.model}({arguments})"
    made = f"make_pipeline({', '.join([*steps, model])})" if steps else model
    return "\n".join([*imports, "", *lines, f"clf = {made}.fit(X_train, y_train)"])


def fast(task: Task, text: str) -> Evaluation | Failure | None:
    """Score training code that is nothing but a pipeline, without a process of its own; None for other code.

    It was written here, so it may run here, and it cannot cheat; accuracy is that of the task's own rows.
    """
    if written(pipeline(text)) != text.strip("\n"):
        return None
    (scorer,) = cast("Automl", task.score).parts.values()
    rows, labels = cast("tuple[Any, Any]", scorer.test)
    space: dict[str, Any] = {"X_train": scorer.features, "y_train": scorer.labels}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(_compiled(text), space)  # a text of this file, letter by letter, but for its numbers
            right = (space["clf"].predict(rows) == labels).mean()
    except (ValueError, TypeError, ArithmeticError) as error:
        return Failure("raised", f"{type(error).__name__}: {str(error)[:200]}")
    return Evaluation(float(right), f"accuracy {right:.4f} on {len(labels)} rows that x does not see")


@cache
def _compiled(text: str) -> Any:
    return compile(text, "pipeline", "exec")


def _knows(text: str) -> bool:
    return "clf" in text and "sklearn" in text


def _on(change: Callable[[Pipeline, Random], Pipeline]) -> Callable[[str, Random], str]:
    return lambda text, dice: written(change(pipeline(text), dice))


def _edit(one: Pipeline, dice: Random) -> Pipeline:
    """Change one number, the scaler, the reduction or the model."""
    kind = dice.choices(("number", "scaler", "reducer", "model"), (45, 20, 15, 20))[0]
    if kind == "scaler":
        return replace(one, scaler=dice.choice(_SCALERS))
    if kind == "reducer":
        return replace(one, reducer=dice.choice(list(_REDUCERS)))
    if kind == "model":
        return replace(one, model=dice.choice(list(_MODELS)))
    known = (*_MODELS[one.model][2], *_REDUCERS[one.reducer][2])
    if not known:
        return replace(one, scaler=dice.choice(_SCALERS))
    name, first, span = dice.choice(known)
    low, high = (float(end) for end in span.split(" ")[0].split(".."))
    value = float(one.value(name, first)) * dice.choice([0.1, 0.3, 0.6, 0.8, 1.25, 1.6, 3, 10])
    value = min(max(value, low), high)
    shown = f"{round(value)}" if first.isdigit() else f"{value:.4g}"
    return replace(one, numbers=(*((k, v) for k, v in one.numbers if k != name), (name, shown)))


def _leap(_: Pipeline, dice: Random) -> Pipeline:
    return Pipeline(dice.choice(list(_MODELS)), dice.choice(_SCALERS), dice.choice(list(_REDUCERS)))


def _mend(text: str, feedback: str, _: Random) -> str | None:
    return written(pipeline(text)) if "SyntaxError" in feedback or "NameError" in feedback else None


def _combine(text: str, other: str, dice: Random) -> str:
    one, two = pipeline(text), pipeline(other)
    return written(
        replace(
            one,
            scaler=dice.choice([one.scaler, two.scaler]),
            reducer=dice.choice([one.reducer, two.reducer]),
            numbers=(*one.numbers, *((name, value) for name, value in two.numbers if name not in dict(one.numbers))),
        )
    )


def _spoil(text: str, dice: Random) -> str:
    return dice.choice([text.replace(".fit(", ".fti(", 1), text.replace("clf = ", "model = ", 1), f"{text})"])
