"""What an endpoint's error says about the request: which field it is about, and whether it or its value is wrong.

Endpoints agree on little: OpenAI names ``param`` and ``code``, FastAPI lists places under ``detail``, most write a
sentence, some say nothing. A field that is *unsupported* can be left out; a *value* that is wrong is the caller's to
mend, so of two readings the second is taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.llm.failures import context_error, is_filtered, is_unknown_model

if TYPE_CHECKING:
    import openai

__all__ = ["FIELDS", "Complaint", "complaint", "culprit", "feature", "shape", "suspects"]

FIELDS = frozenset(
    (
        *("best_of", "cache_prompt", "chat_template_kwargs", "early_stopping", "enable_thinking"),
        *("frequency_penalty", "grammar", "guided_choice", "guided_grammar", "guided_json", "guided_regex"),
        *("ignore_eos", "include_reasoning", "keep_alive", "length_penalty", "logit_bias", "logprobs"),
        *("max_completion_tokens", "max_tokens", "metadata", "min_p", "min_tokens", "mirostat"),
        *("mirostat_eta", "mirostat_tau", "modalities", "n", "num_ctx", "parallel_tool_calls", "prediction"),
        *("presence_penalty", "prompt_cache_key", "prompt_cache_retention", "reasoning", "reasoning_effort"),
        *("repeat_last_n", "repeat_penalty", "repetition_penalty", "response_format", "safety_identifier"),
        *("seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature", "tfs_z"),
        *("thinking", "thinking_budget", "tool_choice", "tools", "top_a", "top_k", "top_logprobs", "top_p"),
        *("typical_p", "use_beam_search", "user", "verbosity"),
    )
)
"""Fields that some endpoint takes. One of another name that is refused is a misprint, and stays an error."""

_OURS = ("stream", "stream_options", "n")  # asked for by this package, or without loss: the rest is asked again
_STATUSES = frozenset({400, 404, 405, 415, 422, 500, 501})
_MUTE_STATUSES = frozenset({400, 415, 422, 500, 501})
_FAILING = 500
_HEAVY = ("response_format", "tool_choice", "tools")
_SHAPING = ("stream_options", *_HEAVY, "parallel_tool_calls", "n", "stream")
_CODES = frozenset(
    {"unsupported_parameter", "unknown_parameter", "unsupported_field", "extra_forbidden", "unsupported_value"}
)
_UNSUPPORTED = re.compile(
    r"unsupported|unrecogni[sz]ed|unknown|unexpected|not (currently |yet )?(supported|permitted|allowed|implemented"
    r"|available|enabled|recogni[sz]ed|accepted)|(does|do|did|can) ?n[o']t (\w+ )?(support|accept|allow|recogni[sz]e)"
    r"|cannot be (used|set|specified|combined)|can't be (used|set)|no endpoints found that support"
    r"|extra (inputs|fields)|not a valid (parameter|field|argument)|incompatible with|deprecated|mutually exclusive"
    r"|only one of|requires --",
    re.IGNORECASE,
)
_ONLY_DEFAULT = re.compile(
    r"only .{0,20}default|only (\w+ )?1(\.0)? is (allowed|supported)|must be (set to )?1(\.0)?\b(?! ?(or|and|to|<|-))",
    re.IGNORECASE,
)
_OUT_OF_RANGE = re.compile(
    r"\b(must be|should be|between|expected|less than|greater than|at (least|most)|out of range|maximum|minimum"
    r"|supported values|one of|too (large|small|high|low)|invalid schema|required)\b|[<>]=",
    re.IGNORECASE,
)
_WORDS = frozenset({"grammar", "metadata", "prediction", "reasoning", "stop", "store", "thinking", "user"})
_SPOKEN = {
    "stream": r"\bstream(ing)?\b",
    "response_format": r"response_format|json[_ ]?(schema|object|mode)|structured outputs?",
    "tools": r"\btools\b|tool[ -](use|calls?|calling|choice)|function[ -]?call(s|ing)?",
    "tool_choice": r"tool[_ ]choice",
    "seed": r"\bseed\b",
    "temperature": r"\btemperature\b",
    "n": r"(?:parameter|argument|field|value of|for) n\b|\bn ?(?:=|>|must|should|is)|multiple (?:choices|completions)",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error about a request.

    Attributes:
        status: the HTTP status.
        text: all that was said.
        code: the endpoint's word for the kind of error, or empty.
        fields: the fields that it names by structure, as it writes them.
        elsewhere: whether it may be about the model's name instead.
    """

    status: int
    text: str
    code: str = ""
    fields: tuple[str, ...] = ()
    elsewhere: bool = False


def complaint(error: openai.APIStatusError) -> Complaint | None:
    """Return what an error of the SDK says about the request; None where it is about something else."""
    status, body, text = error.status_code, error.body, str(error)
    if status not in _STATUSES or is_filtered(error):
        return None
    details: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    if context_error(text, details) is not None:
        return None
    said = text + " " + (json.dumps(body, default=str) if body else "")
    problems = details.get("detail")
    listed = [one for one in problems if isinstance(one, Mapping)] if isinstance(problems, list) else []
    places = [str(part) for one in listed for part in one.get("loc") or () if part != "body"]
    codes = [str(details.get("code") or ""), *(str(one.get("type")) for one in listed)]
    param = details.get("param")
    named = ([param] if isinstance(param, str) and param else []) + places
    code = next((code for code in codes if code), "")
    return Complaint(status, said, code, tuple(named), is_unknown_model(error))


def culprit(about: Complaint, sent: Mapping[str, Any]) -> str | None:
    """Return the feature of ``sent`` that the endpoint does not support, by what it says; None where it says none.

    A feature is a field's name, ``json_schema`` or ``json_object`` (kinds of ``response_format``), or ``forced_tool``
    (a ``tool_choice`` that names a function).
    """
    name = _named(about, sent)
    if name is None or name not in FIELDS:
        return None
    unsupported = name in _OURS or _is_unsupported(about) or (name == "response_format" and _lists_kinds(about))
    return feature(name, sent) if unsupported else None


def feature(name: str, sent: Mapping[str, Any]) -> str:
    """Return what can be given up of a field: the most demanding of its forms."""
    value = sent.get(name)
    if name == "response_format" and isinstance(value, Mapping):
        return str(value.get("type")) if value.get("type") in ("json_schema", "json_object") else name
    return "forced_tool" if name == "tool_choice" and isinstance(value, Mapping) else name


def suspects(about: Complaint, sent: Mapping[str, Any]) -> list[str]:
    """Return the features that may be behind an error which names none, the likeliest first.

    Only what shapes the exchange is suspected, never a number that the caller chose: that may as well be wrong. Of a
    failing server only what is known to make some fail.
    """
    if about.status not in _MUTE_STATUSES or about.elsewhere or about.fields or _named(about, sent) is not None:
        return []
    return [feature(name, sent) for name in (_HEAVY if about.status == _FAILING else _SHAPING) if name in sent]


def shape(sent: Mapping[str, Any]) -> set[str]:
    """Return the features of ``sent`` that shape the exchange."""
    return {feature(name, sent) for name in _SHAPING if name in sent}


def _named(about: Complaint, sent: Mapping[str, Any]) -> str | None:
    if about.fields:
        roots = [re.split(r"[.\[]", field, maxsplit=1)[0] for field in about.fields]
        return next((root for root in roots if root in sent and root not in ("model", "messages")), None)
    found = [
        (match.start(), name)
        for name in sent
        if name not in ("model", "messages") and (match := re.search(_pattern(name), about.text, re.IGNORECASE))
    ]
    return min(found)[1] if found else None


def _pattern(name: str) -> str:
    name = re.escape(name)
    quoted = rf"['\"`]{name}['\"`]"
    plain = rf"(?:supports?|parameters?|arguments?|fields?|supplied):? {name}\b" if name in _WORDS else rf"\b{name}\b"
    return f"{quoted}|{_SPOKEN.get(name, plain)}"


def _lists_kinds(about: Complaint) -> bool:
    """Whether the kinds of ``response_format`` that are known are listed, as llama-cpp-python does with status 500."""
    return bool(re.search(r"json_object|\btext\b", about.text)) and not re.search(
        "invalid schema", about.text, re.IGNORECASE
    )


def _is_unsupported(about: Complaint) -> bool:
    if "supported values are" in about.text.lower():
        return False
    if about.code in _CODES or _ONLY_DEFAULT.search(about.text):
        return True
    return bool(_UNSUPPORTED.search(about.text)) and not _OUT_OF_RANGE.search(about.text)
