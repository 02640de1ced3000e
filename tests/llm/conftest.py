"""What the tests of the model side share: an environment without the user's own settings, and short requests."""

from __future__ import annotations

import pytest

from llm_optimize.core.chat import Message, Request

_SETTINGS = (
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "LLM_OPTIMIZE_MODEL",
    "LLM_OPTIMIZE_PRICES",
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    """No setting of the machine reaches a test, and no request leaves it."""
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LLM_OPTIMIZE_NO_REQUESTS", "1")


@pytest.fixture
def hello():
    """Return a request of one short message."""
    return Request((Message("user", "hello there"),))
