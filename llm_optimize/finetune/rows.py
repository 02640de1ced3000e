"""Training files (JSON Lines) as items: a prompt, the answer to learn, and for pairs the answer to avoid.

Four shapes of row are read, those that ``llm-optimize export`` writes among them: ``messages`` (chat), ``prompt`` with
``completion``, ``text`` (with or without ``[INST]``), and pairs: ``prompt, chosen, rejected``, or the same in OpenAI's
words (``input, preferred_output, non_preferred_output``).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Item", "Turn", "read_items", "split_items"]

_ROLES = ("system", "user", "assistant")
_INST = re.compile(r"\s*(?:<s>)?\s*\[INST\](.*?)\[/INST\](.*?)(?:</s>)?\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a prompt.

    Attributes:
        role: ``system``, ``user`` or ``assistant``.
        content: the text.
    """

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Item:
    """What one row, or one answer in it, teaches.

    Attributes:
        prompt: the turns before the answer; empty for a plain text.
        answer: what the model is to say.
        rejected: what it is not to say; None unless the item is a pair.
        kind: ``chat``, ``inst`` (a text with ``[INST]``), ``text`` or ``pair``.
    """

    prompt: tuple[Turn, ...]
    answer: str
    rejected: str | None = None
    kind: str = "chat"


def read_items(path: str | os.PathLike[str]) -> tuple[Item, ...]:
    """Return the items of a file; a conversation has one for each answer whose ``weight`` is not 0.

    Raises:
        BadInput: it cannot be read, a row has no known shape, or rows have different ones; names the line.
    """
    file = Path(path)
    items: list[Item] = []
    for where, row in _objects(file):
        found = list(_items_of(row, where))
        if items and found and found[0].kind != items[0].kind:
            msg = f"{where}: a row of kind {found[0].kind} among rows of kind {items[0].kind}: put them into two files"
            raise BadInput(msg)
        items += found
    if not items:
        msg = f"{file}: holds no rows; give a JSON Lines file with messages, prompt/completion, text or pairs"
        raise BadInput(msg)
    return tuple(items)


def split_items(items: Sequence[Item], share: float, seed: int) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Return (training, held out); items with the same prompt are never on both sides.

    Args:
        items: what to split.
        share: of the items, 0 to below 1, that is held out; at least one group unless it is 0.
        seed: which groups; the order of the items has no say.

    Raises:
        BadInput: there are too few different prompts.
    """
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(_key(item), []).append(item)
    if not share:
        return tuple(items), ()
    if len(groups) < 2:  # noqa: PLR2004 - one to train on, one to measure on
        msg = f"held_out is {share}: the data has one prompt only; give more, or hold nothing out with 0"
        raise BadInput(msg)
    wanted = max(1, round(share * len(items)))
    held: set[str] = set()
    count = 0
    for key in sorted(groups, key=lambda key: _digest(f"{seed} {key}"))[:-1]:
        if count + len(groups[key]) > wanted and held:
            continue
        held.add(key)
        count += len(groups[key])
        if count >= wanted:
            break
    return tuple(i for i in items if _key(i) not in held), tuple(i for i in items if _key(i) in held)


def _key(item: Item) -> str:
    return json.dumps([(turn.role, turn.content.strip()) for turn in item.prompt] or item.answer.strip())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _objects(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        lines = file.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{file}: cannot be read ({' '.join(str(error).split())})"
        raise BadInput(msg) from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{file}, line {number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                msg = f"{where}: is no JSON ({error}); write one object per line"
                raise BadInput(msg) from None
            if not isinstance(row, dict):
                msg = f"{where}: is no object; write one object per line"
                raise BadInput(msg)
            yield where, row


def _items_of(row: Mapping[str, Any], where: str) -> Iterator[Item]:
    if {"chosen", "rejected", "prompt"} <= row.keys():
        yield _pair(row["prompt"], row["chosen"], row["rejected"], where)
    elif {"input", "preferred_output", "non_preferred_output"} <= row.keys():
        asked = row["input"].get("messages") if isinstance(row["input"], dict) else row["input"]
        yield _pair(asked, row["preferred_output"], row["non_preferred_output"], where)
    elif "messages" in row:
        yield from _conversation(row["messages"], where)
    elif {"prompt", "completion"} <= row.keys():
        yield Item(_prompt(row["prompt"], where), _answer(row["completion"], "completion", where))
    elif "text" in row:
        yield _plain(row["text"], where)
    else:
        msg = (
            f"{where}: has {', '.join(map(repr, row)) or 'no fields'}: give messages, prompt and completion, text, or "
        )
        msg += "prompt, chosen and rejected"
        raise BadInput(msg)


def _pair(prompt: object, chosen: object, rejected: object, where: str) -> Item:
    better, worse = _answer(chosen, "chosen", where), _answer(rejected, "rejected", where)
    if better == worse:
        msg = f"{where}: chosen and rejected are the same: leave the row out"
        raise BadInput(msg)
    return Item(_prompt(prompt, where), better, worse, "pair")


def _conversation(messages: object, where: str) -> Iterator[Item]:
    turns = _turns(messages, "messages", where)
    taught = 0
    for place, (turn, message) in enumerate(zip(turns, list(messages), strict=True)):  # type: ignore[call-overload]  # checked
        if turn.role == "assistant" and place and message.get("weight", 1):
            taught += 1
            yield Item(turns[:place], turn.content)
    if not taught:
        msg = f"{where}: no answer of the assistant behind a prompt: there is nothing to learn; leave the row out"
        raise BadInput(msg)


def _plain(text: object, where: str) -> Item:
    if not isinstance(text, str) or not text.strip():
        msg = f"{where}: text is empty or no text: leave the row out"
        raise BadInput(msg)
    found = _INST.fullmatch(text)
    if found is None:
        return Item((), text, kind="text")
    return Item((Turn("user", found[1].strip()),), found[2].strip(), kind="inst")


def _prompt(prompt: object, where: str) -> tuple[Turn, ...]:
    if isinstance(prompt, str):
        return (Turn("user", prompt),)
    return _turns(prompt, "prompt", where)


def _answer(answer: object, field: str, where: str) -> str:
    if isinstance(answer, str):
        text = answer
    else:
        turns = _turns(answer, field, where)
        text = turns[0].content if len(turns) == 1 and turns[0].role == "assistant" else ""
    if not text.strip():
        msg = f"{where}: {field} holds no answer: give a text, or a list with one message of the assistant"
        raise BadInput(msg)
    return text


def _turns(messages: object, field: str, where: str) -> tuple[Turn, ...]:
    turns = []
    for message in messages if isinstance(messages, list) else ():
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if role not in _ROLES or not isinstance(content, str):
            msg = f"{where}: {field} holds a message without a text, or of none of {', '.join(_ROLES)}"
            raise BadInput(msg)
        turns.append(Turn(role, content))
    if not turns:
        msg = f"{where}: {field} is no list of messages: give role and content of each"
        raise BadInput(msg)
    return tuple(turns)
