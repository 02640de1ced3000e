"""What a person says on the page, checked and written into the study's log."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_optimize.core.deciding import checked
from llm_optimize.core.events import Guided
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from llm_optimize.core.history import History

__all__ = ["heard"]

_ABOUT = ("accept", "reject", "pin")
_RUN = ("pause", "continue", "stop")
_ACTS = ("say", "unpin", "inject", "raise", *_ABOUT, *_RUN)


def heard(body: bytes, history: History, *, runs: bool) -> Guided:
    """Return what a request says as an event of the log.

    Args:
        body: a JSON object with ``act``, and ``text`` and ``candidate`` where the act needs them.
        history: the study's past.
        runs: whether the study is being run; only then can it be paused, continued or stopped.

    Raises:
        BadInput: the body is no such object, or the decision cannot be carried out.

    Example:
        >>> from llm_optimize.core.history import History
        >>> heard(b'{"act": "say", "text": "shorter"}', History.empty(), runs=True).text
        'shorter'
    """
    said = _object(body)
    act, text, candidate = said.get("act"), said.get("text", ""), said.get("candidate")
    if act not in _ACTS:
        msg = f"act: give one of {', '.join(_ACTS)}"
        raise BadInput(msg)
    if not isinstance(text, str):
        msg = "text: give a text"
        raise BadInput(msg)
    if act in _RUN and not runs:
        msg = f"{act}: the study is not running; `llm-optimize resume` goes on with it"
        raise BadInput(msg)
    event = Guided(text, act=act, candidate_id=candidate if act in _ABOUT else None)
    return replace(checked(history, event), at=time.time())


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        msg = f"body: it is no JSON ({error}); give an object with act, text and candidate"
        raise BadInput(msg) from error
    if not isinstance(said, dict):
        msg = "body: it is no JSON object; give one with act, text and candidate"
        raise BadInput(msg)
    return said
