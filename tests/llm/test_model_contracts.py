"""Every chat model of this package keeps the published contract, over HTTP where it is one for HTTP."""

from __future__ import annotations

import pytest

from llm_optimize.core.metering import Scope, entered
from llm_optimize.errors import ModelRefused
from llm_optimize.llm import connect
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.model import CalledModel
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.priced import Priced
from llm_optimize.llm.recorded import Recorded
from llm_optimize.llm.retrying import Retrying
from llm_optimize.testing.model_contract import ChatModelContract
from llm_optimize.testing.server import Answer, ScriptedServer


class TestScripted(ChatModelContract):
    """The published scripted model."""

    def model_that_says(self, text):
        """Answer by a function."""
        return ScriptedModel(lambda _request: text)

    def model_that_fails(self):
        """Have nothing to say."""
        return ScriptedModel([])


class TestWrapped(TestScripted):
    """Each wrapper around the scripted model, inside a unit of work."""

    @pytest.fixture(autouse=True, params=[Retrying, Priced, Recorded])
    def wrapped_in_scope(self, request):
        """Run each test for each wrapper."""
        self.wrapper = request.param
        with entered(Scope("study", "proposal/0")):
            yield

    def model_that_says(self, text):
        """Wrap the scripted model."""
        return self.wrapper(super().model_that_says(text))

    def model_that_fails(self):
        """Wrap one that refuses."""
        return self.wrapper(ScriptedModel([ModelRefused("no")]))


class TestCalled(ChatModelContract):
    """The predecessor's model objects."""

    def model_that_says(self, text):
        """Return an object with content."""
        return CalledModel(lambda _messages: type("Result", (), {"content": text})())

    def model_that_fails(self):
        """Return nothing that holds a text."""
        return CalledModel(lambda _messages: None)


class TestOverHTTP(ChatModelContract):
    """The client, bare, against a real server."""

    @pytest.fixture(autouse=True)
    def servers(self):
        """Close what a test opened."""
        self.opened = []
        yield
        for server in self.opened:
            server.close()

    def url(self, answer):
        """Return the URL of a new server."""
        server = ScriptedServer(lambda _body, _index: answer).start()
        self.opened.append(server)
        return server.url

    def model_that_says(self, text):
        """Ask a server that answers."""
        return OpenAIChat("scripted", self.url(text))

    def model_that_fails(self):
        """Ask a server that refuses."""
        return OpenAIChat("scripted", self.url(Answer("no\nway", status=401)))


class TestConnected(TestOverHTTP):
    """The whole stack."""

    def model_that_says(self, text):
        """Connect by URL and name."""
        return connect(self.url(text) + "#scripted")

    def model_that_fails(self):
        """Connect to a server that refuses."""
        return connect(self.url(Answer("no\nway", status=401)) + "#scripted")
