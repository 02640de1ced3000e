"""What each endpoint refuses or ignores, found out from its errors and answers, kept while the process lives.

A request is adapted before it is sent: a field that the endpoint refuses is left out or renamed. What a user has set
and what has no effect now is said once, in one line of the ``llm_optimize`` log::

    adapting = Adapting(quirks.of(url, model), wanted)
    adapting.body()                     # what to send
    adapting.refused(complaint(error))  # True: send the new body()
    adapting.answered(reply)            # what was ignored in silence is noted
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llm_optimize.llm.complaints import culprit, shape, suspects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.chat import Reply
    from llm_optimize.llm.complaints import Complaint

__all__ = ["Adapting", "Facts", "Quirks", "adapted", "facts_of", "quirks"]

_LOG = logging.getLogger("llm_optimize")
_MOST_ADAPTATIONS = 8
_FAILING = 500
_STRIKES = 2  # a server may fail by chance: only the second time is a field that it fails with held to be the cause
_CAPS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_BOTH_CAPS, _TWO_CAPS = "both limits", "two limits"  # send both names; both names at once are refused
_OLD_NAME_TOO = "the older name of the limit as well"
_NEW_NAME_ALONE = (".openai.com", ".azure.com")  # where both names at once are refused
_SLACK, _LEEWAY = 1.05, 4  # endpoints count a reply's last tokens differently
_EFFECTS = {
    "json_schema": "the schema of response_format is not enforced from now on",
    "json_object": "response_format is left out from now on and has no effect",
    "forced_tool": "tool_choice is left out from now on and has no effect",
    "n": "'n' has no effect: further answers are asked for one by one",
    _BOTH_CAPS: "the limit on tokens has no effect; both of its names are sent from now on",
}
_QUIET = {
    "stream": "replies are shown when they are complete",
    "stream_options": "the tokens of streamed replies are estimated",
    _TWO_CAPS: "one name of the limit on tokens is sent from now on",
}


class Facts:
    """What is known about one model of one endpoint; safe to use from many threads.

    Attributes:
        refused: features that are not sent any more.
        unable: ways of having a structured reply that have not worked.
    """

    def __init__(self, where: str = "", model: str = "") -> None:
        """Know nothing."""
        host = f".{urlsplit(where).hostname or ''}"
        # llama-cpp-python ignores the newer name in silence, and a reply without a limit may never end
        self.refused: frozenset[str] = frozenset(() if host.endswith(_NEW_NAME_ALONE) else (_OLD_NAME_TOO,))
        self.unable: frozenset[str] = frozenset()
        self._where, self._model = where, model
        self._caps_hold = True
        self._worked: set[str] = set()
        self._strikes: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def caps_output(self) -> bool:
        """Whether a limit on the tokens of a reply is believed to hold."""
        return self._caps_hold and not _CAPS.keys() <= self.refused

    def learn(self, feature: str) -> None:
        """Remember that ``feature`` is refused or ignored, and say so once."""
        with self._lock:
            if feature in self.refused:
                return
            self.refused |= {feature}
        self._say(feature)

    def learn_unable(self, way: str) -> None:
        """Remember that a way of having a structured reply has not worked."""
        with self._lock:
            self.unable |= {way}

    def strike(self, feature: str) -> None:
        """Note that the server failed with ``feature`` and did not without; learn it when that comes again."""
        with self._lock:
            strikes = self._strikes[feature] = self._strikes.get(feature, 0) + 1
        if strikes >= _STRIKES:
            self.learn(feature)

    def has_worked(self, feature: str) -> bool:
        """Return whether a request with ``feature`` was answered before."""
        return feature in self._worked

    def note_answered(self, body: Mapping[str, Any]) -> None:
        """Note that a request was answered."""
        features = shape(body) - self._worked
        if features:
            with self._lock:
                self._worked |= features

    def note_caps(self, *, held: bool) -> None:
        """Note that a reply passed the limit on tokens, or was cut off by it."""
        with self._lock:
            self._caps_hold = held

    def _say(self, feature: str) -> None:
        who = f"{self._where}, model {self._model!r}"
        other = _CAPS.get(feature)
        if other is not None and other not in self.refused:
            _LOG.info("%s refuses %r: it is sent as %r from now on", who, feature, other)
        elif feature in _QUIET:
            _LOG.info("%s refuses %r: %s", who, feature, _QUIET[feature])
        else:
            effect = _EFFECTS.get(feature, f"{feature!r} is left out from now on and has no effect")
            _LOG.warning("%s does not support %r: %s", who, feature, effect)


class Quirks:
    """The facts of all endpoints; there is one of it, :data:`quirks`."""

    def __init__(self) -> None:
        """Know nothing of any endpoint."""
        self._facts: dict[tuple[str, str, int], Facts] = {}

    def of(self, endpoint: str, model: str) -> Facts:
        """Return what is known of a model at a base URL; always the same object within a process."""
        # The process id is part of the key because a forked child must not inherit a lock that was held.
        key = (endpoint.rstrip("/"), model, os.getpid())
        return self._facts.get(key) or self._facts.setdefault(key, Facts(endpoint, model))

    def caps_output(self, endpoint: str, model: str) -> bool:
        """Return whether a limit on the tokens of a reply is believed to hold there; True until it was seen to fail."""
        return self.of(endpoint, model).caps_output


quirks = Quirks()
"""The facts of this process."""


def facts_of(model: object, name: str = "") -> Facts | None:
    """Return what is known about the endpoint behind a model and its wrappers; None where there is no endpoint.

    Args:
        model: a chat model.
        name: the model's name in a request's settings, which wins over the model's own.

    Raises:
        BadInput: the endpoint cannot work.
    """
    held: Any = model
    while held is not None:
        address = getattr(held, "address", None)
        if isinstance(address, tuple):
            return quirks.of(address[0], name or address[1])
        held = getattr(held, "inner", None)
    return None


class Adapting:
    """One call's way to a body that the endpoint takes; used by one thread."""

    def __init__(self, facts: Facts, wanted: Mapping[str, Any]) -> None:
        """Begin with what is known."""
        self._facts = facts
        self._wanted = wanted
        self._given_up: list[str] = []  # on trial, in turn
        self._failing = False
        self._left = _MOST_ADAPTATIONS
        self._sent: dict[str, Any] = {}

    def body(self) -> dict[str, Any]:
        """Return what to send now."""
        self._sent = self._next()
        return dict(self._sent)

    def refused(self, about: Complaint | None) -> bool:
        """Take in an error; return whether another body is worth sending."""
        self._left -= 1
        if about is None or self._left < 0:
            return False
        if self._next() != self._sent:
            return True  # another thread has learned meanwhile
        found = _TWO_CAPS if self._sends_both_caps(about) else culprit(about, self._sent)
        if found is not None:
            self._facts.learn(found)
            return self._next() != self._sent
        self._failing = about.status == _FAILING
        tried = (one for one in suspects(about, self._sent) if one not in self._given_up)
        for suspect in tried:
            if not (self._failing and self._facts.has_worked(suspect)):
                self._given_up.append(suspect)
                return True
        return False

    def answered(self, reply: Reply) -> None:
        """Note what the answer shows: what was on trial was the cause, and what was ignored in silence."""
        if self._given_up:
            (self._facts.strike if self._failing else self._facts.learn)(self._given_up[-1])
        self._facts.note_answered(self._sent)
        choices = 1 + len(reply.more)
        if choices < (self._sent.get("n") or 1):
            self._facts.learn("n")
        caps = [self._sent[name] for name in _CAPS if isinstance(self._sent.get(name), int)]
        if caps and not reply.usage.estimated:
            self._judge_cap(reply, choices * min(caps))

    def _next(self) -> dict[str, Any]:
        return adapted(self._wanted, self._facts.refused.union(self._given_up))

    def _sends_both_caps(self, about: Complaint) -> bool:
        added = _CAPS.keys() <= self._sent.keys() and not _CAPS.keys() <= self._wanted.keys()
        one = _CAPS.keys() & set(about.fields)  # named by structure; a text may name the other one as the remedy
        return added and not one and all(name in about.text for name in _CAPS)

    def _judge_cap(self, reply: Reply, cap: int) -> None:
        if reply.usage.tokens_out > _SLACK * cap + _LEEWAY:
            self._facts.note_caps(held=False)
            self._facts.learn(_BOTH_CAPS)
        elif reply.finish_reason == "length":
            self._facts.note_caps(held=True)


def adapted(wanted: Mapping[str, Any], refused: frozenset[str]) -> dict[str, Any]:
    """Return ``wanted`` without what is refused: left out, renamed, or replaced by a lesser form.

    Example:
        >>> adapted({"max_tokens": 5, "seed": 1}, frozenset({"seed", "max_tokens"}))
        {'max_completion_tokens': 5}
    """
    body = dict(wanted)
    if not refused:
        return body
    _adapt_format(body, refused)
    _adapt_caps(body, refused)
    if "forced_tool" in refused and isinstance(body.get("tool_choice"), dict):
        del body["tool_choice"]
    for name in refused & body.keys():
        del body[name]
    if "tools" not in body:
        body.pop("tool_choice", None)
        body.pop("parallel_tool_calls", None)
    if not body.get("stream"):
        body.pop("stream_options", None)
    return body


def _adapt_format(body: dict[str, Any], refused: frozenset[str]) -> None:
    wanted = body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_schema" and kind in refused:
        kind = "json_object"
        body["response_format"] = {"type": kind}
        if "json" not in str(body.get("messages")).lower():  # many refuse the lesser form for prompts without the word
            del body["response_format"]
    if kind == "json_object" and kind in refused:
        body.pop("response_format", None)


def _adapt_caps(body: dict[str, Any], refused: frozenset[str]) -> None:
    for name, other in _CAPS.items():
        if name in body and name in refused:
            value = body.pop(name)
            if other not in refused:
                body.setdefault(other, value)
    newer = "max_completion_tokens"
    if newer in body and _OLD_NAME_TOO in refused and not refused & {_TWO_CAPS, "max_tokens"}:
        body.setdefault("max_tokens", body[newer])
    if _BOTH_CAPS in refused and _TWO_CAPS not in refused:
        for name, other in _CAPS.items():
            if name in body and other not in refused:
                body.setdefault(other, body[name])
