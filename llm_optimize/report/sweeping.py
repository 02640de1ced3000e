"""What a report shows of a sweep beyond its trials: the ranking's columns, the effects, the best as a ready request."""

from __future__ import annotations

import json
import shlex
from statistics import fmean
from typing import TYPE_CHECKING, Any

from llm_optimize.report.effects import effects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.report.effects import Effect
    from llm_optimize.report.pairs import Pair
    from llm_optimize.report.texts import Texts

__all__ = ["request_of", "sweep_data"]

_MISSING = None
_LEAST_SHARE = 0.005  # of the variance: two settings above it are worth a picture of both


def sweep_data(ranked: Sequence[Pair], sweep: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """Return the parts of a report that only a sweep has, as JSON values.

    Args:
        ranked: the pairs, the best first.
        sweep: ``Opened.settings["sweep"]``.
        texts: where texts are kept.
    """
    names = sorted({name for pair in ranked for name in pair.settings})
    prompts = _numbered(pair.prompt for pair in ranked)
    systems = _numbered(pair.system_prompt for pair in ranked)
    found, explained = _effects(ranked, names)
    return {
        "wanted": [texts.add(str(text)) for text in sweep.get("wanted", ())],
        "inputs": list(sweep.get("inputs", ())),
        "prompts": [texts.add(text) for text in prompts],
        "systems": [texts.add(text) for text in systems],
        "order": [pair.id for pair in ranked],
        "prompt": [prompts[pair.prompt] for pair in ranked],
        "system": [systems[pair.system_prompt] for pair in ranked],
        "names": names,
        "settings": {name: [pair.settings.get(name, _MISSING) for pair in ranked] for name in names},
        "effects": [_effect(effect, sweep) for effect in found],
        "explained": explained,
        "heat": _heat(found, ranked),
        "no_effect": list(sweep.get("no_effect", ())),
        "request": _request(ranked, sweep),
    }


def request_of(pair: Pair, sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a request with a pair's settings, ready to be sent; the first input fills the slots."""
    values: Mapping[str, Any] = next(iter(sweep.get("inputs", ())), {})
    messages = [{"role": "system", "content": _filled(pair.system_prompt, values)}] if pair.system_prompt else []
    messages.append({"role": "user", "content": _filled(pair.prompt, values)})
    return {"model": str(sweep.get("model", "")), "messages": messages, **pair.settings}


def _filled(text: str, values: Mapping[str, Any]) -> str:
    for name, value in values.items():
        text = text.replace("{{" + str(name) + "}}", str(value))
    return text


def _numbered(texts: Any) -> dict[str, int]:  # noqa: ANN401 - an iterator of texts
    found: dict[str, int] = {}
    for text in texts:
        found.setdefault(text, len(found))
    return found


def _effects(ranked: Sequence[Pair], names: Sequence[str]) -> tuple[list[Effect], float]:
    scored = [pair for pair in ranked if pair.similarity is not None]
    columns = {name: [pair.settings.get(name) for pair in scored] for name in names}
    prompts, systems = _numbered(pair.prompt for pair in ranked), _numbered(pair.system_prompt for pair in ranked)
    columns["prompt"] = [f"prompt {prompts[pair.prompt] + 1}" for pair in scored]
    columns["system prompt"] = [f"system {systems[pair.system_prompt] + 1}" for pair in scored]
    return effects(columns, [pair.similarity for pair in scored if pair.similarity is not None])


def _effect(effect: Effect, sweep: Mapping[str, Any]) -> dict[str, Any]:
    steps = [[one.label, one.middle, one.mean, one.half, one.n] for one in effect.steps]
    return {
        "name": effect.name, "share": effect.share, "steps": steps,
        "ignored": effect.name in sweep.get("no_effect", ()),
    }  # fmt: skip


def _heat(found: Sequence[Effect], ranked: Sequence[Pair]) -> dict[str, Any] | None:
    """Return the mean similarity for each pair of values of the two settings that matter most, where two do."""
    strong = [one for one in found if one.share >= _LEAST_SHARE and one.name not in {"prompt", "system prompt"}][:2]
    strong = [one for one in strong if all(step.middle is not None for step in one.steps)]
    if len(strong) < 2:  # noqa: PLR2004 - a picture has two sides
        return None
    cells: dict[tuple[int, int], list[float]] = {}
    for pair in ranked:
        sides = [_nearest(one, pair.settings.get(one.name)) for one in strong]
        if pair.similarity is not None and sides[0] is not None and sides[1] is not None:
            cells.setdefault((sides[0], sides[1]), []).append(pair.similarity)
    return {
        "x": strong[0].name, "y": strong[1].name,
        "xs": [step.label for step in strong[0].steps], "ys": [step.label for step in strong[1].steps],
        "cells": [[i, j, fmean(values), len(values)] for (i, j), values in sorted(cells.items())],
    }  # fmt: skip


def _nearest(effect: Effect, value: Any) -> int | None:  # noqa: ANN401 - any JSON value
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return min(range(len(effect.steps)), key=lambda k: abs((effect.steps[k].middle or 0.0) - value))


def _request(ranked: Sequence[Pair], sweep: Mapping[str, Any]) -> dict[str, str] | None:
    if not ranked or ranked[0].similarity is None:
        return None
    body = json.dumps(request_of(ranked[0], sweep), ensure_ascii=False, indent=2)
    url = str(sweep.get("base_url") or "$OPENAI_BASE_URL").rstrip("/")
    url = url if url.endswith("/chat/completions") else f"{url}/chat/completions"
    lines = [
        f"curl {url if url.startswith('$') else shlex.quote(url)}",
        "-H 'Content-Type: application/json'",
        '-H "Authorization: Bearer $OPENAI_API_KEY"',
        f"-d {shlex.quote(body)}",
    ]
    return {"json": body, "curl": " \\\n  ".join(lines)}
