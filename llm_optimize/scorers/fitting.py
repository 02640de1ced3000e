"""Fit in one process, predict in another that has no labels.

The candidate runs with the training data and leaves a fitted estimator. That is packed where it was made and handed, as
bytes that are never unpickled here, to a second process which gets features and nothing else. Either may lie about what
it sends back, and about nothing more: it sends data, and what the data are worth is decided here.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.types import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.sandbox import Finished, Sandbox, Session

__all__ = ["Asked", "Refused", "fitted"]

_PACK = """
def _pack(found):
    try:
        import cloudpickle as pickle
    except ImportError:
        try:
            from joblib.externals import cloudpickle as pickle
        except ImportError:
            import pickle
    return pickle.dumps(found)

_packed = _pack({name}) if "{name}" in globals() else None
"""

_UNPACK = "import pickle as _pickle\n{name} = _pickle.loads(_packed)\ndel _packed"

_ANSWER = """
def _plain(found):
    import numpy
    found = numpy.asarray(found)
    return found.tolist() if found.dtype == object else found

_found = _plain({what})
"""


class Refused(Exception):
    """What a fitted estimator did is no prediction; carries the outcome, and never leaves the scorers.

    Attributes:
        failure: kind and message.
    """

    def __init__(self, failure: Failure) -> None:
        """Keep the outcome."""
        super().__init__(failure.message)
        self.failure = failure


@dataclass(slots=True)
class Asked:
    """A fitted estimator in a process that holds no labels.

    Attributes:
        session: where it lives.
        name: the variable that holds it.
        fit_seconds: what the candidate's source took, by the host's clock.
        seconds: what its answers have taken so far.
    """

    session: Session
    name: str
    fit_seconds: float
    seconds: float = 0.0

    def call(self, method: str, rows: Any) -> Any:  # noqa: ANN401 - an array, or what it sends instead
        """Return what a method says of these rows, as data that nobody has looked at yet.

        Args:
            method: such as ``predict``.
            rows: features.

        Raises:
            Refused: it fails, hangs, or answers with something that is not data.
            SandboxError: the sandbox itself failed.
        """
        done = self.session.run(_ANSWER.format(what=f"{self.name}.{method}(_rows)"), {"_rows": rows}, ["_found"])
        self.seconds += done.seconds
        return self._found(done, method)

    def has(self, method: str) -> bool:
        """Return whether it says that it has this method."""
        done = self.session.run(f"_found = hasattr({self.name}, {method!r})", {}, ["_found"])
        return self._found(done, method) is True

    def attribute(self, attribute: str) -> Any:  # noqa: ANN401 - as call
        """Return an attribute of it, such as ``classes_``; raises as :meth:`call`."""
        done = self.session.run(_ANSWER.format(what=f"{self.name}.{attribute}"), {}, ["_found"])
        return self._found(done, attribute)

    def _found(self, done: Finished, what: str) -> Any:  # noqa: ANN401 - as call
        if not done.ok:
            raise Refused(Failure(done.reason, f"{self.name}.{what}: {done.message}"))
        return done.values["_found"]


@contextlib.contextmanager
def fitted(box: Sandbox, source: str, name: str, data: tuple[Any, Any], *, separate: bool = True) -> Iterator[Asked]:
    """Fit by running the candidate, and give the estimator in a process without labels.

    Args:
        box: where both processes run, each under its limits.
        source: the candidate; finds ``X_train`` and ``y_train``.
        name: the variable in which it must leave a fitted estimator.
        data: features and labels to fit on.
        separate: False asks the process that has fitted, for estimators that cannot be packed; it holds the training
            labels, as it must, and no others.

    Raises:
        Refused: the candidate fails, leaves nothing, or leaves what cannot be handed on.
        SandboxError: the sandbox itself failed.
    """
    rows, labels = data
    with box.session(source, {"X_train": rows, "y_train": labels}) as making:
        if not making.started.ok:
            raise Refused(Failure(making.started.reason, making.started.message))
        seconds = making.started.seconds
        if not separate:
            yield Asked(making, name, seconds)
            return
        packed = _packed(making, name)
    with box.session(_UNPACK.format(name=name), {"_packed": packed}) as asked:
        if not asked.started.ok:
            why = f"{name} cannot be loaded where it is to predict: {asked.started.message}"
            raise Refused(Failure(asked.started.reason, why))
        yield Asked(asked, name, seconds)


def _packed(making: Session, name: str) -> bytes:
    done = making.run(_PACK.format(name=name), {}, ["_packed"])
    if not done.ok:
        raise Refused(Failure(done.reason, f"{name} cannot be handed on to where it is to predict: {done.message}"))
    packed = done.values["_packed"]
    if packed is None:
        raise Refused(Failure("missing_output", f"the program ended without setting {name}"))
    if not isinstance(packed, bytes):
        raise Refused(Failure("bad_value", f"{name} was handed on as a {type(packed).__name__}, not as bytes"))
    return packed
