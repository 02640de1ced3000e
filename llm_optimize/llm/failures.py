"""The openai SDK's errors, translated into ours: what a retry can cure, what it cannot, and what the user should do.

Endpoints agree on the status and little else, so a prompt that is too long is also recognised by what OpenAI, vLLM,
llama.cpp, llama-cpp-python, Ollama, LM Studio, Anthropic, Google and Mistral say about it. llama.cpp names its limit
in ``n_ctx`` (ggml-org/llama.cpp#15780); LM Studio reports it with status 200 (lmstudio-bug-tracker#2322).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadReply, ContextTooLong, ModelError, ModelRefused, ModelUnavailable

if TYPE_CHECKING:
    import openai

__all__ = ["RetryLater", "context_error", "is_filtered", "is_unknown_model", "one_line", "retry_after", "translate"]

_TOO_LONG_CODES = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "model_max_prompt_tokens_exceeded"}
)
_TOO_LONG = re.compile(
    r"(maximum|max(imum)? model|available|model'?s) (context|model|prompt) (length|size|window)"
    r"|(exceed|longer|larger|greater|overflow|too (long|large|many)).{0,80}(context (length|size|window|limit)|n_ctx)"
    r"|(exceed|longer|larger|greater).{0,80}maximum (number of tokens|model)"
    r"|context (length|size|window|limit).{0,40}(exceed|overflow)|context (the )?overflows"
    r"|prompt (is |size )?too (long|large)|too many (input )?tokens|input tokens exceed|request too large",
    re.IGNORECASE,
)
_LIMITS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?:context (?:length|window|size)|model length)(?: is| of|:)?(?: only)? \(?(\d[\d,]*)",
        r"> (\d[\d,]*) maximum",
        r"maximum number of tokens allowed \(?(\d[\d,]*)",
        r"(\d[\d,]*) maximum context",
        r"limit of (\d[\d,]*) tokens",
        r"\blimit (\d[\d,]*)",
    )
)
_SMALLEST_LIMIT = 64  # a smaller figure is a misprint, as in vllm-project/vllm#33418 ("is 3 tokens")
_UNKNOWN_MODEL = re.compile(
    r"(model|deployment).{0,80}(not found|not exist|unknown|no such|not available|not supported|invalid)"
    r"|(unknown|invalid|no such|unsupported) model",
    re.IGNORECASE | re.DOTALL,
)
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})
_FILTERED = re.compile(
    r"content[ _-]?(filter|management policy|policy)|flagged|moderation|safety (system|filter)", re.IGNORECASE
)
_WAIT_STATUSES = frozenset({408, 409, 425, 429})
_HOPELESS_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_LINE = 300
_HTTP_DATE = re.compile(r"(\d{1,2})[ -](\w{3})[ -](\d{4}) (\d\d):(\d\d):(\d\d) GMT")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class RetryLater(ModelUnavailable):
    """Unavailable for now; the endpoint may have said for how long.

    Attributes:
        retry_after: seconds that the endpoint asked to wait, or None.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """Keep the wait beside the message."""
        super().__init__(message)
        self.retry_after = retry_after


def translate(error: openai.OpenAIError, url: str, model: str) -> ModelError:
    """Return our error for one of the SDK's; the message is one line with the remedy.

    Args:
        error: any error of the SDK.
        url: the endpoint's base URL.
        model: the model that was asked for.
    """
    import openai  # noqa: PLC0415 - heavy: only loaded by those who call a model

    if isinstance(error, openai.APITimeoutError):
        return RetryLater(f"{url} did not answer in time: is the server alive? a slow model needs a longer timeout")
    if isinstance(error, openai.APIConnectionError) and _is_about_trust(error):
        cause = one_line(str(error.__cause__ or error))
        return ModelRefused(f"{url} {_CERTIFICATE} ({cause})")
    if isinstance(error, openai.APIConnectionError):
        cause = one_line(str(error.__cause__ or error))
        return RetryLater(f"{url} cannot be reached ({cause}): is the server running, and base_url right?")
    if isinstance(error, openai.APIStatusError):
        return _from_status(error, url, model)
    if isinstance(error, openai.APIResponseValidationError | openai.LengthFinishReasonError):
        return BadReply(f"{url} answered with something that is no chat completion: {one_line(str(error))}")
    return ModelRefused(f"the request to {url} was not sent: {type(error).__name__}: {one_line(str(error))}")


def context_error(text: str, body: object = None) -> ContextTooLong | None:
    """Return the error for a message that says "too long", with the limit where it names one; else None.

    Example:
        >>> context_error("This model's maximum context length is 4096 tokens. However, you requested 5000").limit
        4096
    """
    details = body if isinstance(body, Mapping) else {}
    codes = {str(details.get("code")), str(details.get("type"))}
    if not codes & _TOO_LONG_CODES and not _TOO_LONG.search(text):
        return None
    found = next((match for pattern in _LIMITS if (match := pattern.search(text))), None)
    stated = details.get("n_ctx") or (found and int(found[1].replace(",", "")))
    limit = stated if isinstance(stated, int) and stated >= _SMALLEST_LIMIT else None
    return ContextTooLong(f"the request is too long for the model: {one_line(text)}", limit)


def is_unknown_model(error: openai.OpenAIError) -> bool:
    """Return whether the endpoint says that it does not know the model's name."""
    body, status = getattr(error, "body", None), getattr(error, "status_code", 0)
    code = str(body.get("code")) if isinstance(body, Mapping) else ""
    return code == "model_not_found" or (status in (400, 404, 422) and bool(_UNKNOWN_MODEL.search(str(error))))


def is_filtered(error: openai.OpenAIError) -> bool:
    """Return whether the endpoint's content filter refuses the prompt."""
    body, status = getattr(error, "body", None), getattr(error, "status_code", 0)
    code = str(body.get("code")) if isinstance(body, Mapping) else ""
    return code in _FILTER_CODES or (status in (400, 403, 422) and bool(_FILTERED.search(str(error))))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, given as seconds or as an HTTP date, or None.

    Example:
        >>> retry_after({"retry-after": "1.5"}), retry_after({"retry-after-ms": "250"})
        (1.5, 0.25)
    """
    for header, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(header) or ""
        if re.fullmatch(r"\s*\d+(\.\d*)?\s*", value):
            return float(value) * unit
    return _until(headers.get("retry-after") or "")


def one_line(text: str) -> str:
    """Return ``text`` on one line of at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _LINE else line[: _LINE - 3] + "..."


def _until(http_date: str) -> float | None:
    # By hand: email.utils takes 12 ms to import, strptime follows the locale.
    parts = _HTTP_DATE.search(http_date)
    if parts is None or parts[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(parts[index]) for index in (1, 3, 4, 5, 6))
    try:
        then = datetime(year, _MONTHS.index(parts[2]) + 1, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    return max(then.timestamp() - time.time(), 0.0)


def _from_status(error: openai.APIStatusError, url: str, model: str) -> ModelError:
    status, said = error.status_code, _said(error)
    too_long = context_error(said, error.body)
    if too_long is not None:
        return too_long
    if status in _WAIT_STATUSES or status >= 500:  # noqa: PLR2004 - the first status that blames the server
        if error.code in _HOPELESS_CODES:
            return ModelRefused(f"{url} refuses: {said} (status {status}): the account has no credit left; top it up")
        return RetryLater(f"{url} is busy or failing (status {status}): {said}", retry_after(error.response.headers))
    if is_filtered(error):
        return ModelRefused(f"{url}: the content filter of model {model!r} {_FILTER_REMEDY} ({status}: {said})")
    return ModelRefused(f"{_REMEDIES.get(status, _MALFORMED).format(url=url, model=model)} ({status}: {said})")


def _said(error: openai.APIStatusError) -> str:
    body: Any = error.body
    if isinstance(body, Mapping):
        nested = body.get("error")
        message = body.get("message") or (nested.get("message") if isinstance(nested, Mapping) else nested)
        return one_line(str(message or body.get("detail") or error))
    return one_line(str(body or error))


def _is_about_trust(error: BaseException | None) -> bool:
    # The HTTP library wraps the error that names the certificate once or twice.
    while error is not None:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


_CERTIFICATE = (
    "has a certificate that this machine does not trust: set SSL_CERT_FILE to its authority's certificate (PEM), "
    "install the ca-certificates package, or check the host's name"
)
_FILTER_REMEDY = "refuses the prompt: reword the task, the question or the feedback, or use another model"
_MALFORMED = "{url} refuses the request for model {model!r}: change the setting that it names"
_REMEDIES = {
    401: "{url} does not accept the key: check OPENAI_API_KEY",
    403: "{url} does not allow this key to use model {model!r}: check OPENAI_API_KEY and the account's rights",
    404: "{url} has no chat endpoint or no model {model!r}: check base_url (it usually ends with /v1) and the name",
}
