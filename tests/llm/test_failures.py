"""Every error of the SDK has a translation, and "too long" is recognised in every dialect."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta

import httpx2
import openai
import pytest

from llm_optimize.errors import BadReply, ContextTooLong, ModelError, ModelUnavailable
from llm_optimize.llm.failures import RetryLater, context_error, is_unknown_model, retry_after, translate

URL = "http://127.0.0.1:1/v1"


def tree(kind):
    """Return a class and all below it."""
    return [kind, *(found for below in kind.__subclasses__() for found in tree(below))]


def instance(kind):
    """Build an error of the SDK without a server."""
    request = httpx2.Request("POST", URL)
    given = {
        "message": "m",
        "request": request,
        "response": httpx2.Response(418, request=request),
        "body": None,
        "completion": type("Completion", (), {"usage": None})(),
        "unsent_messages": [],
        "symbol": "s",
    }
    wanted = inspect.signature(kind.__init__).parameters
    arguments = {name: value for name, value in given.items() if name in wanted}
    return kind(**arguments) if arguments else kind()


@pytest.mark.parametrize("kind", tree(openai.OpenAIError), ids=lambda kind: kind.__name__)
def test_no_error_of_the_sdk_is_missed(kind):
    """Whatever the SDK raises becomes one of our errors in one line."""
    ours = translate(instance(kind), URL, "m")
    assert isinstance(ours, ModelError)
    assert URL in str(ours)
    assert "\n" not in str(ours)
    if issubclass(kind, openai.APIConnectionError):
        assert isinstance(ours, ModelUnavailable)
    if issubclass(kind, openai.APIResponseValidationError):
        assert isinstance(ours, BadReply)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.", 8192),
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (...)", 4096),
        ("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", 4096),
        ("This model's maximum context length is 3 tokens. However, your request has 8 input tokens.", None),
        ("the request exceeds the available context size. try increasing the context size", None),
        ("request (5000 tokens) exceeds the available context size (2048 tokens), try increasing it", 2048),
        ("Requested tokens (2285) exceed context window of 2048", 2048),
        ("input length exceeds maximum context length", None),
        ("the input length exceeds the context length", None),
        ("Trying to keep 5000 tokens when context the overflows. However, it has context length of only 4096", 4096),
        ("prompt is too long: 210000 tokens > 200000 maximum", 200000),
        ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", 1048576),
        ("Prompt contains 40000 tokens, too large for model with 32768 maximum context length", 32768),
        ("Input tokens exceed the configured limit of 272,000 tokens. Your messages resulted in 300000", 272000),
        ("Your input exceeds the context window of this model.", None),
        ("Request too large for gpt-4 in organization x on tokens per min (TPM): Limit 10000, Requested 20000.", 10000),
        ("The prompt (total length 25938) is too long to fit into the model (context length 4096).", 4096),
    ],
)  # fmt: skip
def test_too_long_is_recognised(text, limit):
    """The wording of each server is understood, with its limit where it names one."""
    error = context_error(text)
    assert isinstance(error, ContextTooLong)
    assert error.limit == limit


def test_too_long_by_code():
    """A code is enough, and llama.cpp's n_ctx is the limit."""
    assert context_error("x", {"code": "context_length_exceeded"}) is not None
    body = {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 14429, "n_ctx": 8192}
    assert context_error("x", body).limit == 8192


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens is too large: 100000",
        "Rate limit reached for gpt-4: Limit 10000, Used 9990, Requested 100",
        "Unsupported parameter: 'temperature'",
        "the server is overloaded, please try again",
        "model 'x' not found",
        "you must provide a context",
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        "timeout exceeded: context canceled",
    ],
)
def test_other_complaints_are_not_too_long(text):
    """What a shorter prompt would not cure is not taken for it."""
    assert context_error(text) is None


def test_retry_after_in_every_form():
    """Seconds, milliseconds and HTTP dates are understood; nonsense is None."""
    assert retry_after({"retry-after": "0"}) == 0.0
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    later = datetime.now(UTC) + timedelta(seconds=600)
    assert 590 < retry_after({"retry-after": later.strftime("%a, %d %b %Y %H:%M:%S GMT")}) <= 600
    assert retry_after({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}) == 0.0
    assert retry_after({"retry-after": "Sun, 31 Feb 2027 08:49:37 GMT"}) is None
    assert retry_after({"retry-after": "-5"}) is None
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize(
    ("status", "text", "unknown"),
    [
        (404, "The model `x` does not exist or you do not have access to it.", True),
        (404, 'model "x" not found, try pulling it first', True),
        (400, "/chat/completions: Invalid model name passed in model=x", True),
        (404, "Not Found", False),
        (400, "Unsupported value: 'temperature' does not support 0.3 with this model.", False),
        (500, "model not found", False),
    ],
)
def test_unknown_model_is_told_from_other_complaints(status, text, unknown):
    """Only a complaint about the name lists the models that there are."""
    response = httpx2.Response(status, request=httpx2.Request("POST", URL))
    error = openai.APIStatusError(text, response=response, body={"message": text})
    assert is_unknown_model(error) is unknown


def test_retry_later_keeps_the_wait():
    """The wait stands beside the message."""
    assert (str(RetryLater("busy", 3.0)), RetryLater("busy", 3.0).retry_after) == ("busy", 3.0)
