"""Functions that a model may call while it makes a proposal.

A tool is a value: what the model sees, and the function behind it. Whatever happens in a call (an unknown tool,
arguments that do not fit, an exception, no end) becomes a text for the model; it says nothing about any candidate and
ends nothing. A call runs in a daemon thread of this process with the rights of the user: a tool that runs what a model
wrote must take it to a sandbox, as :func:`llm_optimize.toolbox.run_python` does.
"""

from __future__ import annotations

import contextvars
import dataclasses
import inspect
import json
import logging
import math
import queue
import re
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.chat import ToolSpec
from llm_optimize.core.types import ToolUse
from llm_optimize.errors import BadInput
from llm_optimize.llm.docstrings import describe
from llm_optimize.llm.signatures import BadArguments, Signature
from llm_optimize.llm.telemetry import tool_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.chat import ToolCall

__all__ = ["LONGEST_RESULT", "Tool", "ToolFailed", "as_text", "as_tool", "as_tools", "call_tool", "cut"]

LONGEST_RESULT = 10_000
"""Characters of a result that are told to the model; the middle of a longer one is cut out, with a mark."""

_LOG = logging.getLogger("llm_optimize")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_DESCRIPTION = 1024  # OpenAI refuses longer ones
_LONGEST_ERROR = 1000
_SECONDS = 60.0
_GLANCE_SECONDS = 0.5
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


_Ended = tuple[str, bool] | KeyboardInterrupt


class ToolFailed(Exception):
    """Raised by a tool's function to tell the model in its own words why there is no result."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function with what a model has to know about it.

    Attributes:
        name: letters, digits, ``_`` and ``-``, at most 64.
        description: what it does and when to use it, at most 1,024 characters.
        parameters: JSON schema of its arguments, an object.
        function: called with the arguments by name, from several threads at once where proposals run in parallel.
            What it returns becomes a text by :func:`as_text`.
        timeout: seconds after which the model is told that there is no result. The thread of such a call is left
            behind, as Python cannot end one.
        check: turns the arguments from JSON into those of the function; raises :class:`BadArguments` where they do not
            fit. None looks only at the schema's names and plain types.

    Raises:
        BadInput: a field cannot be sent to a model.

    Example:
        >>> tool = Tool("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}}, lambda a: a + 1)
        >>> tool.call('{"a": 2}').result
        '3'
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    function: Callable[..., Any]
    timeout: float = _SECONDS
    _: KW_ONLY
    check: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        """Check what endpoints check, before anything is spent."""
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            msg = f"tools: {self.name!r} is no name for a tool: give letters, digits, _ and -, at most 64 (as name=...)"
            raise BadInput(msg)
        label = f"tools: {self.name!r}"
        if not isinstance(self.description, str) or not self.description.strip():
            msg = f"{label} has no description, so a model cannot know when to call it: write a docstring"
            raise BadInput(msg)
        if not callable(self.function):
            msg = f"{label} has a function that is {type(self.function).__name__}: give a function"
            raise BadInput(msg)
        _check_parameters(self.parameters, label)
        _check_timeout(self.timeout, label)

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        return ToolSpec(self.name, self.description[:_LONGEST_DESCRIPTION], self.parameters)

    def call(self, arguments: str) -> ToolUse:
        """Call the function with what a model wrote; never raises, but for Ctrl-C.

        Args:
            arguments: JSON, an object; empty for none.

        Returns:
            The use, with ``result`` the text for the model and ``ok`` whether the function returned.
        """
        began = time.monotonic()
        with tool_span(self.name) as failed:
            text, ok = self._run(arguments)
            if not ok:
                _LOG.info("tool %s failed", self.name)  # what it said is for the model, and may quote the prompt
                failed("tool_error")
        return ToolUse(self.name, arguments, text, ok, time.monotonic() - began)

    def _run(self, arguments: str) -> tuple[str, bool]:
        """Call the function in a daemon thread of this context, so that a tool's own model calls are accounted for."""
        ended: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
        work = contextvars.copy_context().run
        threading.Thread(target=work, args=(self._put, arguments, ended), daemon=True, name=f"tool-{self.name}").start()
        result = _first(ended, self.timeout)
        if result is None:
            return f"{self.name} gave no result within {self.timeout:g} s and is not waited for any longer", False
        if isinstance(result, KeyboardInterrupt):
            raise result
        return result

    def _put(self, arguments: str, ended: queue.SimpleQueue[_Ended]) -> None:
        """Put the text for the model and whether it is a result."""
        try:
            given = (self.check or self._check_names)(_parsed(arguments))
            ended.put((cut(as_text(self.function(**given)), LONGEST_RESULT), True))
        except KeyboardInterrupt as interrupt:
            ended.put(interrupt)
        except BadArguments as error:
            told = f"{self.name} was not called, its arguments do not fit: {error}"
            ended.put((cut(_sendable(told), _LONGEST_ERROR), False))
        except ToolFailed as error:
            ended.put((cut(_sendable(str(error)), LONGEST_RESULT), False))
        except BaseException as error:  # noqa: BLE001 - a user's function may raise anything, SystemExit too; the model is told
            ended.put((f"{self.name} failed: {cut(_sendable(_where(error)), _LONGEST_ERROR)}", False))

    def _check_names(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        known = self.parameters.get("properties", {})
        problems = [f"{name}: it is required" for name in self.parameters.get("required", ()) if name not in arguments]
        if self.parameters.get("additionalProperties") is False:
            problems += [f"{name}: there is no such parameter" for name in arguments if name not in known]
        for name, value in arguments.items():
            wanted = known[name].get("type") if isinstance(known.get(name), Mapping) else None
            if not _fits(value, wanted):
                problems.append(f"{name}: it must be of type {wanted}, not {json.dumps(value)[:80]}")
        if problems:
            raise BadArguments("; ".join(problems))
        return arguments


def as_tool(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float = _SECONDS,
) -> Tool:
    """Make a tool of a Python function: its annotations become the schema, its docstring the descriptions.

    Args:
        function: takes parameters that can be given by name, each annotated with a type that has a JSON form: numbers,
            texts, lists, dicts, ``Literal``, ``X | None``, dataclasses, pydantic models; ``Annotated[int, "..."]``
            describes one, and so does the docstring (Google, numpy or reST style).
        name: instead of the function's own.
        description: instead of what the docstring says before its first section.
        timeout: see :class:`Tool`.

    Raises:
        BadInput: it cannot be called by name with JSON values, or has neither docstring nor description.

    Example:
        >>> def lookup(word: str) -> str:
        ...     "Say what a word means."
        ...     return f"{word}: unknown"
        >>> as_tool(lookup).call('{"word": "fnord"}').result
        'fnord: unknown'
    """
    known = name or str(getattr(function, "__name__", type(function).__name__))
    signature = Signature(function, f"tools: {known!r}")
    said = describe(inspect.getdoc(function)).summary if description is None else description
    return Tool(known, said, signature.parameters, function, timeout, check=signature.check)


def as_tools(given: object) -> tuple[Tool, ...]:
    """Return functions and tools as tools.

    Raises:
        BadInput: one is neither, or two have the same name.
    """
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Sequence):
        msg = f"tools is {type(given).__name__}: give a list of functions or Tool values"
        raise BadInput(msg)
    tools = tuple(map(_as_one, given))
    names = [tool.name for tool in tools]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        msg = f"tools: two of them are called {twice!r}: rename one, as_tool(function, name=...)"
        raise BadInput(msg)
    return tools


def call_tool(tools: Mapping[str, Tool], call: ToolCall) -> ToolUse:
    """Do what a model asked for; see :meth:`Tool.call`. A tool that is unknown is told with the names that are."""
    tool = tools.get(call.name)
    if tool is not None:
        return tool.call(call.arguments)
    known = ", ".join(tools)
    return ToolUse(call.name, call.arguments, f"there is no tool {cut(call.name, 80)!r}; there are: {known}", ok=False)


def as_text(value: object) -> str:
    """Return a function's result as a model reads it: a text as it is, data as JSON, anything else by ``str``.

    Example:
        >>> as_text({"rows": (1, 2)}), as_text(None)
        ('{"rows": [1, 2]}', '(no result)')
    """
    if value is None:
        return "(no result)"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        value = _shown(value)
    return _sendable(value)


def cut(text: str, longest: int) -> str:
    """Return ``text``, the middle of one beyond ``longest`` characters cut out with a mark."""
    if len(text) <= longest:
        return text
    head = (longest + 1) // 2
    return f"{text[:head]}\n[... {len(text) - longest:,} characters cut ...]\n{text[len(text) - longest // 2 :]}"


def _first(ended: queue.SimpleQueue[_Ended], seconds: float) -> _Ended | None:
    """Wait for the result, with a look around in between: a Ctrl-C that another thread received wakes nobody."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            return ended.get(timeout=min(left, _GLANCE_SECONDS))
        except queue.Empty:
            continue
    return None


def _as_one(given: object) -> Tool:
    if isinstance(given, Tool):
        return given
    if callable(given):
        return as_tool(given)
    msg = f"tools holds {type(given).__name__}: give functions, or Tool values"
    raise BadInput(msg)


def _check_parameters(parameters: object, label: str) -> None:
    if not isinstance(parameters, Mapping) or parameters.get("type") != "object":
        msg = (
            f"{label} has parameters that are no schema of an object: give {{'type': 'object', 'properties': {{...}}}}"
        )
        raise BadInput(msg)
    try:
        json.dumps(parameters)
    except (TypeError, ValueError) as error:
        msg = f"{label} has parameters that cannot be written as JSON ({error}): give texts, numbers, lists and dicts"
        raise BadInput(msg) from error


def _check_timeout(timeout: object, label: str) -> None:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
        msg = f"{label} has timeout {timeout!r}: give seconds, a number above 0"
        raise BadInput(msg)


def _parsed(arguments: str) -> dict[str, Any]:
    if not arguments.strip():
        return {}
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError) as error:
        msg = f"they are no JSON ({error})"
        raise BadArguments(msg) from None
    if not isinstance(given, dict):
        msg = f"they must be a JSON object, not {type(given).__name__}"
        raise BadArguments(msg)
    return given


def _fits(value: object, wanted: object) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
    kinds = [kind for name in names for kind in _TYPES.get(name, (object,))]
    if isinstance(value, bool):
        return not kinds or bool in kinds or object in kinds
    return not kinds or isinstance(value, tuple(kinds))


def _shown(value: object) -> str:
    if not isinstance(value, dict | list | tuple | int | float) and isinstance(_plain(value), str):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError, RecursionError):  # a key that is no text, a circle
        return str(value)


def _plain(value: object) -> object:
    """Return what stands for a value in JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    dump = getattr(value, "model_dump", None)  # pydantic's
    if callable(dump):
        return dump(mode="json")
    return list(value) if isinstance(value, set | frozenset) else str(value)


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair cannot be sent


def _where(error: BaseException) -> str:
    """Say what was raised and where, so that the user finds it in the log."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first frame is this file's
    place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
