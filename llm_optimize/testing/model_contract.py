"""What every chat model must do; make a test class of it for a model of your own.

::

    class TestMyModel(ChatModelContract):
        def model_that_says(self, text):
            return MyModel(canned=text)

        def model_that_fails(self):
            return MyModel(broken=True)

pytest then runs every ``test_`` method below.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from llm_optimize.core.chat import Message, Reply, Request
from llm_optimize.errors import ModelError

if TYPE_CHECKING:
    from llm_optimize.core.protocols import ChatModel

__all__ = ["ChatModelContract"]

_THREADS = 8


class ChatModelContract:
    """The contract of :class:`~llm_optimize.core.protocols.ChatModel`; override the two ``model_that_`` methods."""

    def model_that_says(self, text: str) -> ChatModel:
        """Return a model that answers every request with ``text``."""
        raise NotImplementedError

    def model_that_fails(self) -> ChatModel:
        """Return a model that has no answer to any request."""
        raise NotImplementedError

    def test_the_reply_is_what_was_said(self) -> None:
        """The text comes back unchanged, blanks, line breaks and characters outside ASCII included."""
        for text in ("hello", "\n```python\nx = 1\n```\n", "Straße 東京 🎉"):
            reply = self.model_that_says(text).complete(_request())
            assert isinstance(reply, Reply)
            assert reply.text == text
            assert reply.finish_reason

    def test_usage_is_counted(self) -> None:
        """One answered call is one call, with tokens on both sides and nothing negative."""
        usage = self.model_that_says("hello").complete(_request()).usage
        assert usage.calls == 1
        assert usage.tokens_in > 0
        assert usage.tokens_out > 0
        assert 0 <= usage.tokens_cached <= usage.tokens_in
        assert usage.dollars >= 0
        assert usage.seconds >= 0

    def test_settings_and_roles_are_accepted(self) -> None:
        """A whole chat with settings is answered like a single message."""
        messages = (Message("system", "s"), Message("user", "u"), Message("assistant", "a"), Message("user", "v"))
        request = Request(messages, {"temperature": 0.0, "max_tokens": 100}, key="ask-0")
        assert self.model_that_says("hello").complete(request).text == "hello"

    def test_a_failure_is_an_error_never_an_empty_reply(self) -> None:
        """No answer is a ModelError whose message is one line."""
        said: object = None
        try:
            said = self.model_that_fails().complete(_request())
        except ModelError as error:
            said = error
        assert isinstance(said, ModelError)
        assert str(said)
        assert "\n" not in str(said)

    def test_threads_may_ask_at_once(self) -> None:
        """Calls from several threads are all answered."""
        model = self.model_that_says("hello")
        said: list[str] = []
        threads = [
            threading.Thread(target=lambda: said.append(model.complete(_request()).text)) for _ in range(_THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == ["hello"] * _THREADS


def _request() -> Request:
    return Request((Message("user", "Say something, please."),))
