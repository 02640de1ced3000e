"""Every error that llm_optimize raises on purpose, as one tree.

::

    LLMOptimizeError
    ├── BadInput (ValueError)   a setting that cannot work; names the field and the remedy; nothing was spent
    │   └── StartFailed         x0 could not be scored, so no model call was made
    ├── NoCandidate             a reply holds no candidate: prose, refusal, empty, cut off
    ├── BudgetExceeded          the next call or evaluation would pass a cap; the study ends with its best so far
    ├── ModelError              the chat model could not answer
    │   ├── ModelRefused        it never will as asked: wrong key, unknown model, malformed request (400, 401, 403, 404)
    │   │   └── ContextTooLong  the request is longer than the model's context; a shorter one may work
    │   ├── ModelUnavailable    unreachable, overloaded or failing beyond the retries' deadline
    │   └── BadReply            the endpoint answered, but not with a chat completion (an HTML page, no choices)
    ├── SandboxError            the jail itself failed; a program that fails inside is a value, not an error
    └── StoreError              the log of a study cannot be read or written
        ├── StudyOwned          another live process runs this study
        └── StoreTooNew         the file was written by a newer llm_optimize
"""

from __future__ import annotations

__all__ = [
    "BadInput",
    "BadReply",
    "BudgetExceeded",
    "ContextTooLong",
    "LLMOptimizeError",
    "ModelError",
    "ModelRefused",
    "ModelUnavailable",
    "NoCandidate",
    "SandboxError",
    "StartFailed",
    "StoreError",
    "StoreTooNew",
    "StudyOwned",
]


class LLMOptimizeError(Exception):
    """Root of the tree: ``except LLMOptimizeError`` catches whatever this package raises on purpose."""


class BadInput(LLMOptimizeError, ValueError):
    """A setting that cannot work. The message is one line: the field, what is wrong, the remedy."""


class StartFailed(BadInput):
    """The start text x0 could not be scored; the candidate stays pending and is tried again on resume."""


class NoCandidate(LLMOptimizeError):
    """A model's reply carries no candidate. The message is the reason, fit to be told to the model."""


class BudgetExceeded(LLMOptimizeError):
    """Refused before it was spent: the message names the cap, what is used, and what the next call would need."""


class ModelError(LLMOptimizeError):
    """The chat model could not answer; says nothing about any candidate, so it is never scored."""


class ModelRefused(ModelError):
    """The endpoint will not serve this request, now or later: key, model name or request is wrong."""


class ContextTooLong(ModelRefused):
    """The request does not fit the model's context.

    Attributes:
        limit: the model's context in tokens where the endpoint said so, else None.
    """

    def __init__(self, message: str, limit: int | None = None) -> None:
        """Keep the limit beside the message."""
        super().__init__(message)
        self.limit = limit


class ModelUnavailable(ModelError):
    """No answer within the deadline, after every retry that the policy allows."""


class BadReply(ModelError):
    """The endpoint answered with status 200 but not with a chat completion."""


class SandboxError(LLMOptimizeError):
    """The sandbox itself failed (its process died, it could not start): says nothing about the program."""


class StoreError(LLMOptimizeError):
    """A study's log cannot be read or written; the message names the path and the remedy."""


class StudyOwned(StoreError):
    """Another live process owns the study: one owner at a time, any number of readers and guides."""


class StoreTooNew(StoreError):
    """The store was written by a newer version: upgrade llm_optimize, or use another file."""
