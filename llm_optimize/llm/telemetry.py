"""OpenTelemetry's conventions for generative AI, in one place: names, spans and metrics of a model's calls.

The names are those of https://github.com/open-telemetry/semantic-conventions-genai, all in development; they are kept
here as constants, since the package that lists them changes with each release. Spans are called ``chat <model>`` and
``execute_tool <name>``. Without OpenTelemetry's API, or while nobody has imported it, everything here does nothing: who
has not imported it has set up no exporter. Prompts and replies are put on spans only where
``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` is ``SPAN_ONLY``, ``SPAN_AND_EVENT`` or ``true``.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llm_optimize.llm.endpoint import OPENAI_URL, environment_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.metrics import Histogram
    from opentelemetry.trace import Span

    from llm_optimize.core.chat import Message, Reply, Request
    from llm_optimize.core.metering import Scope
    from llm_optimize.core.protocols import ChatModel

__all__ = ["CallSpan", "capturing", "chat_span", "tool_span"]

_SCOPE_NAME = "llm_optimize"
_CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_PROVIDERS = {
    "anthropic.com": "anthropic",
    "cohere.com": "cohere",
    "deepseek.com": "deepseek",
    "googleapis.com": "gcp.gemini",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "openai.azure.com": "azure.ai.openai",
    "perplexity.ai": "perplexity",
    "x.ai": "x_ai",
}
_SETTINGS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
}
# The conventions advise these bounds: doublings from 10 ms, and powers of four from one token.
_SECONDS = [0.01 * 2**power for power in range(14)]
_TOKENS = [4.0**power for power in range(14)]


class CallSpan:
    """What is to be told of one call; this one tells nobody."""

    def finish(self, reply: Reply, seconds: float, source: str) -> None:
        """Tell of a reply, how long it took, and where it came from (``endpoint``, or what stood in for it)."""

    def fail(self, kind: str, seconds: float) -> None:
        """Tell of an error by its kind; what it says may quote the prompt."""


class _Telling(CallSpan):
    """One that tells OpenTelemetry."""

    def __init__(self, span: Span, common: dict[str, Any]) -> None:
        self._span = span
        self._common = common  # the attributes that measurements share with the span

    def finish(self, reply: Reply, seconds: float, source: str) -> None:
        span, usage = self._span, reply.usage
        if reply.model:
            self._common["gen_ai.response.model"] = reply.model
        if span.is_recording():
            span.set_attributes(
                {
                    **({"gen_ai.response.model": reply.model} if reply.model else {}),
                    "gen_ai.response.finish_reasons": [one.finish_reason for one in (reply, *reply.more)],
                    "gen_ai.usage.input_tokens": usage.tokens_in,
                    "gen_ai.usage.output_tokens": usage.tokens_out,
                    "gen_ai.usage.cache_read.input_tokens": usage.tokens_cached,
                    "llm_optimize.usage.dollars": usage.dollars,
                    "llm_optimize.source": source,
                }
            )
            if capturing():
                span.set_attribute("gen_ai.output.messages", _json([_answer(one) for one in (reply, *reply.more)]))
        if source != "endpoint":
            return  # what was paid for before is not measured again
        tokens, duration = _instruments()
        duration.record(seconds, self._common)
        tokens.record(usage.tokens_in, {**self._common, "gen_ai.token.type": "input"})
        tokens.record(usage.tokens_out, {**self._common, "gen_ai.token.type": "output"})

    def fail(self, kind: str, seconds: float) -> None:
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra, loaded by those who set it up

        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR, kind))
        _instruments()[1].record(seconds, {**self._common, "error.type": kind})


_SILENT = CallSpan()


@contextmanager
def chat_span(model: ChatModel, request: Request, scope: Scope | None) -> Iterator[CallSpan]:
    """Span a call of ``model``; what is done in the block is inside the span.

    Args:
        model: whose name, settings and server are told.
        request: what it is asked.
        scope: the unit of work that asks, if there is one.
    """
    if "opentelemetry.trace" not in sys.modules:
        yield _SILENT
        return
    from opentelemetry import trace  # noqa: PLC0415 - an extra, loaded by those who set it up

    settings = {**_of(model, "settings", {}), **request.settings}
    asked = str(settings.get("model") or getattr(model, "name", ""))
    server = _server(model)
    common = {"gen_ai.operation.name": "chat", "gen_ai.request.model": asked, **server}
    kind = trace.SpanKind.CLIENT if "server.address" in server else trace.SpanKind.INTERNAL
    tracer = trace.get_tracer(_SCOPE_NAME)
    with tracer.start_as_current_span(
        f"chat {asked}".rstrip(), kind=kind, attributes=common, record_exception=False, set_status_on_exception=False
    ) as span:
        if span.is_recording():
            span.set_attributes(_asked(request, settings, scope))
        yield _Telling(span, common)


@contextmanager
def tool_span(name: str) -> Iterator[Callable[[str], None]]:
    """Span the execution of a tool that a model has called; yields a function that takes the kind of a failure."""
    if "opentelemetry.trace" not in sys.modules:
        yield lambda _: None
        return
    from opentelemetry import trace  # noqa: PLC0415 - an extra, loaded by those who set it up

    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
    tracer = trace.get_tracer(_SCOPE_NAME)
    with tracer.start_as_current_span(
        f"execute_tool {name}", attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:

        def fail(kind: str) -> None:
            span.set_attribute("error.type", kind)
            span.set_status(trace.Status(trace.StatusCode.ERROR, kind))

        yield fail


def capturing() -> bool:
    """Return whether the user wants prompts and replies on spans."""
    return os.environ.get(_CAPTURE, "").strip().lower() in ("span_only", "span_and_event", "true")


def _instruments() -> tuple[Histogram, Histogram]:
    from opentelemetry import metrics  # noqa: PLC0415 - an extra, loaded by those who set it up

    return _histograms(metrics.get_meter_provider())


@lru_cache(maxsize=4)
def _histograms(provider: Any) -> tuple[Histogram, Histogram]:  # noqa: ANN401 - a MeterProvider, which is not loaded here
    meter = provider.get_meter(_SCOPE_NAME)
    tokens = meter.create_histogram(
        "gen_ai.client.token.usage",
        unit="{token}",
        description="Number of input and output tokens used.",
        explicit_bucket_boundaries_advisory=_TOKENS,
    )
    duration = meter.create_histogram(
        "gen_ai.client.operation.duration",
        unit="s",
        description="GenAI operation duration.",
        explicit_bucket_boundaries_advisory=_SECONDS,
    )
    return tokens, duration


def _asked(request: Request, settings: Mapping[str, Any], scope: Scope | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        attribute: settings[name]
        for name, attribute in _SETTINGS.items()
        if isinstance(settings.get(name), int | float) and not isinstance(settings[name], bool)
    }
    stop = settings.get("stop")
    if stop:
        attributes["gen_ai.request.stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    if request.n != 1:
        attributes["gen_ai.request.choice.count"] = request.n
    if scope is not None:
        attributes |= {"llm_optimize.study": scope.study, "llm_optimize.unit": scope.name}
    if capturing():
        system = [{"type": "text", "content": one.content} for one in request.messages if one.role == "system"]
        attributes["gen_ai.system_instructions"] = _json(system)
        attributes["gen_ai.input.messages"] = _json([_turn(one) for one in request.messages if one.role != "system"])
    return attributes


def _turn(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        parts = [{"type": "tool_call_response", "id": message.tool_call_id, "response": message.content}]
        return {"role": "tool", "parts": parts}
    return {"role": message.role, "parts": _parts(message)}


def _answer(reply: Reply) -> dict[str, Any]:
    parts = [{"type": "reasoning", "content": reply.reasoning}] if reply.reasoning else []
    return {"role": "assistant", "parts": [*parts, *_parts(reply)], "finish_reason": reply.finish_reason}


def _parts(said: Message | Reply) -> list[dict[str, Any]]:
    text = said.text if hasattr(said, "text") else said.content
    calls = [
        {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments} for call in said.tool_calls
    ]
    return [*([{"type": "text", "content": text}] if text else []), *calls]


def _server(model: ChatModel) -> dict[str, Any]:
    innermost: Any = model
    while getattr(innermost, "inner", None) is not None:
        innermost = innermost.inner
    if hasattr(innermost, "now"):  # the default model is what its options say at this moment
        innermost = innermost.now()
    if not hasattr(innermost, "base_url"):
        return {"gen_ai.provider.name": type(innermost).__name__.lower()}
    client = getattr(innermost, "client", None)
    url = str(client.base_url) if client is not None else innermost.base_url or environment_url() or OPENAI_URL
    parts = urlsplit(url)
    host = parts.hostname or ""
    provider = next((name for end, name in _PROVIDERS.items() if host == end or host.endswith(f".{end}")), "openai")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"gen_ai.provider.name": provider, "server.address": host, "server.port": port}


def _of(model: object, attribute: str, default: Any) -> Any:  # noqa: ANN401 - whatever the attribute holds
    held: Any = model
    while held is not None:
        if hasattr(held, attribute):
            return getattr(held, attribute)
        held = getattr(held, "inner", None)
    return default


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False)
