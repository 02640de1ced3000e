"""Helpers that run code and score texts, under the predecessor's names.

``unsafe`` is meant: the three ``exec`` functions give a script the rights of this process (files, network, keys). For
text that a model wrote, :class:`llm_optimize.sandbox.Sandbox` does the same behind walls.
"""

from __future__ import annotations

import ast
import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.core.chat import Message, Request
from llm_optimize.errors import BadInput
from llm_optimize.sandbox.unconfined import OutOfTime, run_command, run_script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.protocols import ChatModel

__all__ = ["LLMScorer", "exec_temp_script_unsafe", "exec_unsafe", "exec_with_timeout_unsafe", "get_llm_scorer"]

_ROLE = "judge"


def exec_with_timeout_unsafe(
    script: str,
    local_vars: Mapping[str, Any],
    return_local_vars: Sequence[str],
    timeout_secs: float,
) -> dict[str, Any]:
    """Run a script in a process of its own and return variables that it sets, as real objects.

    The objects come back by pickle, and unpickling runs code that the sender chose: a hostile script can so take over
    this process. It also has this process's rights in its own. Use it for code that you would run yourself.

    Args:
        script: Python source; its imports, the passed variables and its functions see each other.
        local_vars: variables that it finds set; copied, so that it cannot change the originals.
        return_local_vars: names to return.
        timeout_secs: above 0; then the script and every process that it has started are ended.

    Returns:
        Exactly the asked names.

    Raises:
        Exception: ``Function took too long, >2 seconds``: the limit was passed.
        KeyError: the script did not set a name; names it.
        TypeError: a variable cannot be copied between processes; names it.
        RuntimeError: the script exited or its process died (says with which status), or it raised an error that cannot
            be copied between processes (type and text of it).
        BaseException: the script's own error, with its type; the script's traceback is a note of it.
        BadInput: ``timeout_secs`` is no number above 0.

    Example:
        >>> exec_with_timeout_unsafe("y = x + 1", {"x": 1}, ["y"], timeout_secs=5)
        {'y': 2}
    """
    seconds = _seconds("timeout_secs", timeout_secs)
    try:
        return run_script(script, local_vars, return_local_vars, seconds)
    except OutOfTime:
        msg = f"Function took too long, >{timeout_secs} seconds"
        raise Exception(msg) from None  # noqa: TRY002 - the predecessor's type and words, which callers match


def exec_unsafe(script: str, globals_dict: dict[str, Any], locals_dict: dict[str, Any]) -> None:
    r"""Run a script here and now, without limits; it defines names in the given dicts.

    Names that the script declares ``global`` go to ``globals_dict``, all others to ``locals_dict``. Its functions see
    its imports, the variables of both dicts and each other.

    Raises:
        BaseException: whatever the script raises; what it had defined before is in the dicts.

    Example:
        >>> space = {}
        >>> exec_unsafe("global double\ndef double(x): return 2 * x", space, {})
        >>> space["double"](4)
        8
    """
    code = compile(script, "<script>", "exec", dont_inherit=True)
    if locals_dict is globals_dict:
        exec(code, globals_dict)  # noqa: S102 - what the name says
        return
    # One namespace for both: with two, a function would not see what stands beside it (exec's own documentation)
    before = {**globals_dict, **locals_dict}
    space = dict(before)
    try:
        exec(code, space)  # noqa: S102 - what the name says
    finally:
        declared = _declared_global(script)
        for name, value in space.items():
            if name not in before or before[name] is not value:
                (globals_dict if name in declared or name == "__builtins__" else locals_dict)[name] = value


def exec_temp_script_unsafe(script: str, timeout: float) -> None:
    """Run a script by this interpreter as a program of its own, from a temporary file that is removed afterwards.

    Args:
        script: Python source.
        timeout: seconds above 0; then the script and every process that it has started are ended.

    Raises:
        RuntimeError: the exit status was not 0; the text is what was printed to stdout and stderr.
        subprocess.TimeoutExpired: the limit was passed.
        BadInput: ``timeout`` is no number above 0.
    """
    seconds = _seconds("timeout", timeout)
    with tempfile.TemporaryDirectory(prefix="script-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "script.py")
        path.write_text(script, "utf-8")
        command = [sys.executable, str(path)]
        try:
            status, output = run_command(command, seconds)
        except OutOfTime as late:
            raise subprocess.TimeoutExpired(command, timeout, output=late.args[0]) from None
    if status != 0:
        raise RuntimeError(output if output.strip() else f"the script ended with exit status {status} and no output")


@dataclass(frozen=True, slots=True)
class LLMScorer:
    """A scorer that asks a chat model; see :func:`get_llm_scorer`. Prints and, with a model that does, pickles.

    Attributes:
        prompt: text with the slot ``{x}``.
        parse_score: the model's reply to a number.
        model: the judge; None asks the default model, as it is configured at that call.
        error_score: what a reply without a score counts.
    """

    prompt: str
    parse_score: Callable[[str], float]
    model: ChatModel | None = None
    error_score: float = 0.0

    @property
    def judge(self) -> ChatModel:
        """The model that judges; without one, the default model as it is now."""
        return self.model or llm.connect(role=_ROLE)

    def __call__(self, x: str) -> tuple[float, str]:
        """Return (score, the model's reply), or (``error_score``, what went wrong) when no score is found in it.

        Raises:
            ModelError: the model could not answer; says nothing about ``x``, so it is no score.
            BadInput: no model is configured.
        """
        judge = self.model or _judge()
        reply = judge.complete(Request((Message("user", self.prompt.replace("{x}", x)),)))
        try:
            return self.parse_score(reply.text), reply.text
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            return self.error_score, str(error)


def get_llm_scorer(
    prompt: str,
    parse_score: Callable[[str], float],
    model: Any = None,  # noqa: ANN401 - a name, a URL, a ChatModel, or the predecessor's model object
    error_score: float = 0.0,
) -> LLMScorer:
    """Return a scorer that fills ``{x}`` into the prompt, asks a chat model, and parses a number out of its reply.

    Each call is a conversation of its own: one user message. Other braces in the prompt stay as they are.

    Args:
        prompt: the rubric, with the slot ``{x}``.
        parse_score: takes the reply, returns the score; may raise. Let it take the last match, not the first: judges
            quote the text before they mark it, and a text may hold a mark of its own. A text that sets out to talk
            to the judge is better marked by :class:`~llm_optimize.scorers.rubric.RubricJudge`.
        model: as for :func:`llm_optimize.optimize.run`; None is the default model, looked up at each call.
        error_score: returned when ``parse_score`` raises; the feedback is then the error's text.

    Raises:
        BadInput: the prompt has no slot ``{x}``, or ``parse_score`` is no function.

    Example:
        >>> from llm_optimize import ScriptedModel
        >>> judge = ScriptedModel(["Fine. final_score=7.5"])
        >>> get_llm_scorer("Grade this: {x}", lambda reply: float(reply.split("=")[-1]), model=judge)("an essay")
        (7.5, 'Fine. final_score=7.5')
    """
    if "{x}" not in prompt:
        msg = "prompt has no slot {x}: the judge would never see the candidate; write {x} where it belongs"
        raise BadInput(msg)
    if not callable(parse_score):
        msg = f"parse_score is {type(parse_score).__name__}: give a function that takes the reply and returns a number"
        raise BadInput(msg)
    return LLMScorer(prompt, parse_score, None if model is None else llm.connect(model, role=_ROLE), error_score)


def _judge() -> ChatModel:
    llm.require_model()
    return llm.connect(role=_ROLE)


def _seconds(field: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        msg = f"{field} is {value!r}: give a number of seconds above 0"
        raise BadInput(msg)
    return float(value)


def _declared_global(script: str) -> set[str]:
    return {name for node in ast.parse(script).body if isinstance(node, ast.Global) for name in node.names}
