"""The outermost layer: one span, two measurements and one log line for each call of a model.

Spans and metrics follow OpenTelemetry's conventions for generative AI (:mod:`llm_optimize.llm.telemetry`). They cost
nothing until a program sets up OpenTelemetry; only its API is needed here (extra ``otel``).

Log lines go to the logger ``llm_optimize.llm``: one of level INFO per call, with unit of work, model, tokens, dollars,
seconds and finish reason. What was asked and answered is logged, at level DEBUG, only with
``LLM_OPTIMIZE_LOG_PROMPTS=1``; without it no log record holds a prompt, and of an error only its kind, since endpoints
quote the prompt in what they say.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.metering import current_scope
from llm_optimize.llm.provenance import noting
from llm_optimize.llm.telemetry import chat_span
from llm_optimize.llm.wrapper import Wrapper

if TYPE_CHECKING:
    from llm_optimize.core.chat import Reply, Request
    from llm_optimize.core.protocols import ChatModel

__all__ = ["Traced", "logs_prompts"]

_LOG = logging.getLogger("llm_optimize.llm")


@dataclass(frozen=True, slots=True)
class Traced(Wrapper):
    """A model whose calls can be watched.

    Attributes:
        inner: the model.
    """

    inner: ChatModel

    def complete(self, request: Request) -> Reply:
        """Answer as ``inner``, and leave a trace.

        Raises:
            ModelError: as ``inner``.
            BudgetExceeded: as ``inner``.
        """
        scope = current_scope()
        began = time.perf_counter()
        _log_text("asked", request, unit := scope.name if scope is not None else "")
        with noting() as provenance, chat_span(self.inner, request, scope) as span:
            try:
                reply = self.inner.complete(request)
            except BaseException as error:
                kind = type(error).__name__
                span.fail(kind, time.perf_counter() - began)
                _LOG.info("%s %s: failed after %.2f s: %s", unit or "-", self.name, time.perf_counter() - began, kind)
                raise
            seconds = time.perf_counter() - began
            span.finish(reply, seconds, provenance.source)
        if _LOG.isEnabledFor(logging.INFO):
            _log_reply(unit, reply.model or self.name, reply, seconds, provenance.source)
        return reply


def logs_prompts() -> bool:
    """Return whether the user wants prompts and replies in the log (``LLM_OPTIMIZE_LOG_PROMPTS``)."""
    return os.environ.get("LLM_OPTIMIZE_LOG_PROMPTS", "0").lower() not in ("", "0", "false")


def _log_reply(unit: str, model: str, reply: Reply, seconds: float, source: str) -> None:
    usage, whence = reply.usage, "" if source == "endpoint" else f" (from the {source})"
    text = "%s %s%s: %d tokens in (%d cached), %d out, $%.6f, %.2f s, %s"
    counts = usage.tokens_in, usage.tokens_cached, usage.tokens_out, usage.dollars
    _LOG.info(text, unit or "-", model, whence, *counts, seconds, reply.finish_reason)
    if _LOG.isEnabledFor(logging.DEBUG) and logs_prompts():
        _LOG.debug("%s answered: %r", unit or "-", reply)


def _log_text(what: str, request: Request, unit: str) -> None:
    if _LOG.isEnabledFor(logging.DEBUG) and logs_prompts():
        _LOG.debug("%s %s: %r", unit or "-", what, request.messages)
