"""Scoring in a process that nothing has run in before: what a scorer or a candidate left behind cannot help there.

The process is told the scorer as a pickle, which is its own program, and answers with data. Scorers that cannot travel
(closures, functions of a script that would run once more when imported) are called here instead.
"""

from __future__ import annotations

import os
import pickle  # of the user's own scorer, on its way to a process of the user
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from llm_optimize.core.events import Told, dump, load
from llm_optimize.core.scoring import evaluate
from llm_optimize.core.types import Failure
from llm_optimize.errors import LLMOptimizeError, SandboxError

if TYPE_CHECKING:
    from llm_optimize.core.metering import Scope
    from llm_optimize.core.protocols import Scorer
    from llm_optimize.core.types import Outcome

__all__ = ["evaluate_afresh", "main"]

_PROGRAM = "import sys; sys.path[:] = {path!r}; from llm_optimize.core.fresh import main; main()"
_SCRIPT = b"__main__"  # what a pickle holds of a function that lives in the script itself
_SHOWN = 300


def evaluate_afresh(scorer: Scorer, text: str, scope: Scope | None = None) -> tuple[Outcome, float]:
    """Score ``text`` in a fresh process and return (outcome, seconds), or here where the scorer cannot travel.

    Raises:
        LLMOptimizeError: raised inside the scorer by this package.
        SandboxError: the process ended without an answer.
    """
    body = _packed(scorer, text)
    if body is None:
        return evaluate(scorer, text, scope)
    began = time.perf_counter()
    program = [sys.executable, "-c", _PROGRAM.format(path=sys.path)]
    done = subprocess.run(program, input=body, capture_output=True, check=False)  # noqa: S603 - our own interpreter
    kind, _, answer = done.stdout.rpartition(b"\n")[2].decode("utf-8", "replace").partition(" ")
    if done.returncode or kind not in {"told", "error"}:
        said = done.stderr.decode("utf-8", "replace").strip()[-_SHOWN:]
        msg = f"the fresh process for the scorer ended with {done.returncode} and no answer: {said}"
        raise SandboxError(msg)
    if kind == "error":
        raise LLMOptimizeError(answer)
    event = load(kind, answer)
    outcome = event.outcome if isinstance(event, Told) else Failure("raised", answer)
    return outcome, time.perf_counter() - began


def main() -> None:
    """Score what stands on stdin and write the outcome to stdout; what the scorer prints goes to stderr."""
    out = os.dup(1)
    os.dup2(2, 1)
    scorer, text = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by evaluate_afresh of the same user
    try:
        outcome, seconds = evaluate(scorer, text)
        answer = " ".join(dump(Told(0, outcome, seconds)))
    except LLMOptimizeError as error:
        answer = f"error {type(error).__name__}: {error}".replace("\n", " ")
    os.write(out, answer.encode("utf-8", "backslashreplace"))


def _packed(scorer: Scorer, text: str) -> bytes | None:
    """Return scorer and text as a pickle, or None if it cannot be made or could not be read elsewhere."""
    try:
        body = pickle.dumps((scorer, text))
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    return None if _SCRIPT in body else body
