"""A chat endpoint whose answers come closer to a wanted text as the request's settings come closer to a hidden best.

For sweeps and searches over settings, over real HTTP and without a model::

    surface = Surface(WANTED)
    with ScriptedServer(surface, port=11434, models=("EVA-GPT-Version6.1",)) as server: ...

The answer is the wanted text with its end struck out, so its ``difflib`` ratio is the surface's value to one part in
its length. Higher temperatures scatter it; the scatter is drawn from (seed, request, how often it was asked before), so
equal runs get equal answers whatever comes first. As a process of its own::

    python -m llm_optimize.testing.server llm_optimize.testing.surface:default_surface
"""

from __future__ import annotations

import json
import math
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.testing.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BEST", "SCALES", "WANTED", "Surface", "default_surface"]

WANTED = (
    "The harbour lies quiet in the early morning, and the first boats come back with the night's catch. On the quay "
    "the baker opens his shop; the smell of bread drifts over the water. A dog sleeps beside the ropes, a child counts "
    "the gulls, and the old keeper of the lighthouse writes the weather into his book: wind from the west, clear."
)
BEST: Mapping[str, float] = {
    "temperature": 0.3,
    "top_p": 0.65,
    "frequency_penalty": 0.25,
    "presence_penalty": -0.35,
    "top_k": 42,
}
SCALES: Mapping[str, float] = {
    "temperature": 0.45,
    "top_p": 0.4,
    "frequency_penalty": 0.9,
    "presence_penalty": 1.0,
    "top_k": 45,
}
_STRUCK = "~"
_DEFAULTS: Mapping[str, float] = {
    "temperature": 1.0, "top_p": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "top_k": 40,
}  # fmt: skip


@dataclass(slots=True)
class Surface:
    """The answering function of a :class:`~llm_optimize.testing.server.ScriptedServer`. Safe for many threads.

    Attributes:
        wanted: the text that the best settings bring.
        best: the settings where the surface has its peak.
        scales: how far a setting may be off before the similarity has fallen to some 60 %.
        honoured: the fields that it reads; others are passed over in silence, as many servers do. A honoured field of
            the wrong type is refused with status 400.
        refused: fields that it does not support: status 400.
        noise: standard deviation of the similarity at temperature 0.7; in proportion to the temperature.
        peak: the similarity at the best settings.
        seed: of the noise.
        prompts: how much of the similarity a prompt is worth, by a part of its text; 1 for others.
        asked: how often each request was asked, as far as its fields are honoured; with a seed equal ones are alike.
    """

    wanted: str = WANTED
    best: Mapping[str, float] = field(default_factory=lambda: dict(BEST))
    scales: Mapping[str, float] = field(default_factory=lambda: dict(SCALES))
    honoured: frozenset[str] = frozenset({*BEST, "max_tokens", "seed"})
    refused: frozenset[str] = frozenset()
    noise: float = 0.05
    peak: float = 0.97
    seed: int = 0
    prompts: Mapping[str, float] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def __call__(self, body: dict[str, Any], index: int) -> str | Answer:  # noqa: ARG002 - the server's ordinal depends on chance
        """Answer a request."""
        wrong = self._wrong(body)
        if wrong:
            return Answer(wrong, status=400)
        heeded = {name: value for name, value in body.items() if name in self.honoured or name == "messages"}
        key = json.dumps(heeded, sort_keys=True)
        with self._lock:
            times, self.asked[key] = self.asked[key], self.asked[key] + 1
        times = 0 if "seed" in heeded else times
        return self.answer(self.value(body), f"{self.seed} {key} {times}", self._at(body, "temperature"))

    def value(self, settings: Mapping[str, Any]) -> float:
        """Return the similarity that a request's settings bring on average, 0 to 1."""
        away = {name: (self._at(settings, name) - best) / self.scales[name] for name, best in self.best.items()}
        height = math.exp(-0.5 * math.fsum(one * one for one in away.values()))
        if {"temperature", "top_p"} <= away.keys():  # hot and wide is worse than either alone
            height *= math.exp(-0.35 * max(0.0, away["temperature"]) * max(0.0, away["top_p"]))
        return (0.15 + (self.peak - 0.15) * height) * self._prompt(settings)

    def answer(self, value: float, dice: str, temperature: float) -> str:
        """Return the wanted text with so much of it struck out, scattered as the temperature has it."""
        drawn = random.Random(dice).gauss(0, self.noise * temperature / 0.7)  # noqa: S311 - a stand-in, not a secret
        kept = round(len(self.wanted) * min(max(value + drawn, 0.02), 1.0))
        return self.wanted[:kept] + _STRUCK * (len(self.wanted) - kept)

    def _at(self, settings: Mapping[str, Any], name: str) -> float:
        given = settings.get(name) if name in self.honoured else None
        return float(_DEFAULTS.get(name, 0.0) if given is None else given)

    def _prompt(self, body: Mapping[str, Any]) -> float:
        said = " ".join(str(message.get("content", "")) for message in body.get("messages", ()))
        return next((worth for part, worth in self.prompts.items() if part in said), 1.0)

    def _wrong(self, body: Mapping[str, Any]) -> str:
        for name, value in body.items():
            if name in self.refused:
                return f"Unrecognized request argument supplied: {name}"
            if name in self.honoured and (isinstance(value, bool) or not isinstance(value, int | float)):
                return f"json: cannot unmarshal {type(value).__name__} into field {name} of type number"
        return ""


def default_surface(body: dict[str, Any], index: int) -> str | Answer:
    """Answer as a surface without noise does, for a server process."""
    return Surface(noise=0.0)(body, index)
