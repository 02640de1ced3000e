"""A study's exchanges as a file: a header line, then one exchange on each line, complete in itself (JSON Lines).

The header says what the file is: ``{"format": "llm_optimize exchanges", "version": 1, "package": .., "study": ..,
"exchanges": count, "course": [["proposal", 0], ..]}``; ``course`` is the order in which results came
(:class:`llm_optimize.core.order.Order`). Each line after it has ``unit``, ``key``, ``begun``, ``model``, ``defaults``,
``request`` (``messages``, ``settings``, ``tools``, ``n``) and ``reply``, or ``refused`` where the prompt was too long.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from llm_optimize.core.chat import Message, Request, ToolCall, ToolSpec
from llm_optimize.core.order import Order
from llm_optimize.errors import BadInput, StoreError
from llm_optimize.llm.asked import public
from llm_optimize.llm.exchanges import Exchange, exchange_names, read_exchanges
from llm_optimize.llm.recorded import refusal_from_json, refusal_to_json, reply_from_json, reply_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llm_optimize.core.protocols import Store

__all__ = ["FORMAT", "VERSION", "exchange_from_json", "exchange_to_json", "export_exchanges"]

FORMAT = "llm_optimize exchanges"
VERSION = 1


def export_exchanges(store: Store, study: str, path: str | os.PathLike[str], *, force: bool = False) -> int:
    """Write every exchange of a study to a file and return how many there are.

    The file appears whole or not at all. The study may be running; what it says later is not in the file.

    Args:
        store: where the study's log is.
        study: its name.
        path: the file to write; its folder must exist.
        force: replace a file that is there.

    Raises:
        BadInput: there is no such study, or nothing is recorded of it; the file exists, or cannot be written.
        StoreError: the log is damaged.
    """
    target = Path(path).expanduser()
    from importlib import metadata  # noqa: PLC0415 - it loads the package email: a tenth of what our import costs

    order = Order.of((event for _, event in store.read(study)), {})
    names = exchange_names(store, study)
    if not names:
        known = study in store.studies()
        why = "made no model call that is recorded" if known else "is unknown; `llm-optimize list` shows the names"
        msg = f"study {study!r} {why}: there is nothing to export"
        raise BadInput(msg)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "package": metadata.version("llm-optimize"),
        "study": study,
        "exchanges": len(names),
        "course": order.course,
    }
    if target.exists() and not force:
        raise BadInput(_exists(target))
    lines = map(exchange_to_json, read_exchanges(store, study, names))
    _write(target, chain([json.dumps(header, ensure_ascii=False)], lines))
    return len(names)


def exchange_to_json(exchange: Exchange) -> str:
    """Return an exchange as one line of JSON; :func:`exchange_from_json` is its inverse."""
    content: dict[str, Any] = {"unit": exchange.unit, "key": exchange.key, "begun": exchange.begun}
    content |= {"model": exchange.model, "defaults": public(exchange.defaults)}
    if exchange.recalled:
        content["recalled"] = True
    content["request"] = None if exchange.request is None else _request_fields(exchange.request)
    if exchange.reply is not None:
        content["reply"] = json.loads(reply_to_json(exchange.reply))
    elif exchange.refusal is not None:
        content["refused"] = json.loads(refusal_to_json(exchange.refusal))
    return json.dumps(content, ensure_ascii=False)


def exchange_from_json(line: str) -> Exchange:
    """Rebuild an exchange.

    Raises:
        ValueError: the line is no exchange; says why.
    """
    try:
        content = json.loads(line)
        asked = content["request"]
        exchange = Exchange(
            _typed(content, "unit", str),
            _typed(content, "key", str),
            None if asked is None else replace(_request(asked), key=content["key"]),
            reply_from_json(json.dumps(content["reply"])) if "refused" not in content else None,
            _typed(content, "model", str),
            _typed(content, "defaults", dict),
            _typed(content, "begun", int),
            content.get("recalled", False) is True,
            refusal=refusal_from_json(json.dumps(content["refused"])) if "refused" in content else None,
        )
    except KeyError as error:
        msg = f"it has no {error}"
        raise ValueError(msg) from error
    except (AttributeError, TypeError, StoreError) as error:
        raise ValueError(str(error)) from error
    return exchange


def _request_fields(request: Request) -> dict[str, Any]:
    return {
        "messages": [_message_fields(message) for message in request.messages],
        "settings": public(request.settings),
        "tools": [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in request.tools
        ],
        "n": request.n,
    }


def _message_fields(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.tool_calls]
        fields["tool_calls"] = calls
    if message.tool_call_id:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _request(fields: Mapping[str, Any]) -> Request:
    messages = tuple(
        Message(
            _typed(one, "role", str),
            _typed(one, "content", str),
            tuple(ToolCall(**call) for call in one.get("tool_calls", ())),
            one.get("tool_call_id", ""),
        )
        for one in fields["messages"]
    )
    tools = tuple(ToolSpec(**tool) for tool in fields["tools"])
    return Request(messages, _typed(fields, "settings", dict), tools=tools, n=_typed(fields, "n", int))


def _typed(fields: Mapping[str, Any], name: str, kind: type) -> Any:  # noqa: ANN401 - of the type that is asked for
    value = fields[name]
    if not isinstance(value, kind):
        msg = f"its {name} is {value!r}"
        raise TypeError(msg)
    return value


def _exists(target: Path) -> str:
    return f"{target}: exists already: choose another file, or give --force (force=True) to replace it"


def _write(target: Path, lines: Iterable[str]) -> None:
    """Write to a file beside the target, then rename: nobody ever sees half of it."""
    try:
        # JSON writes a lone surrogate, which UTF-8 has no bytes for, as the same escape that Python does.
        number, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with contextlib.ExitStack() as undo:
            undo.callback(Path(name).unlink)
            with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123 - of a number
                _fill(file, lines)
            os.replace(name, target)  # noqa: PTH105 - as atomic as its namesake of Path, and beside the other calls
            undo.pop_all()
    except OSError as error:
        msg = f"{target}: cannot be written ({error.strerror}): choose a file in a folder that you may write to"
        raise BadInput(msg) from error


def _fill(file: TextIO, lines: Iterable[str]) -> None:
    file.writelines(f"{line}\n" for line in lines)
    file.flush()
    os.fsync(file.fileno())
