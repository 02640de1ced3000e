"""What can be wrong with an endpoint for a whole run is one clear line with the remedy, through the whole stack."""

from __future__ import annotations

import pytest

from llm_optimize import llm
from llm_optimize.core.chat import Message, Request
from llm_optimize.core.metering import Scope, entered
from llm_optimize.errors import ContextTooLong, ModelRefused
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.testing.certificate import self_signed
from llm_optimize.testing.server import Answer, ScriptedServer

HELLO = Request((Message("user", "hello there"),))
ERRORS = {
    "key": (Answer("Incorrect API key provided", status=401), ModelRefused, "check OPENAI_API_KEY"),
    "model": (Answer("The model `m` does not exist", status=404, code="model_not_found"), ModelRefused, "it offers a"),
    "context": (Answer("maximum context length is 4096 tokens", status=400), ContextTooLong, "too long for the model"),
    "filter": (Answer("The response was filtered", status=400, code="content_filter"), ModelRefused, "reword the task"),
    "credit": (Answer("no quota", status=429, code="insufficient_quota"), ModelRefused, "no credit left"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", ERRORS)
def test_what_no_retry_can_cure_is_one_line_after_one_request(name, stream):
    """The error says what to do, and the endpoint is asked once, streamed or not."""
    answer, kind, remedy = ERRORS[name]
    heard = []
    with ScriptedServer(lambda _b, _i: answer, models=("a", "b")) as server:
        scope = Scope("s", "proposal/1", hear=heard.append if stream else None)
        with entered(scope), pytest.raises(kind) as caught:
            llm.connect(f"{server.url}#m").complete(HELLO)
        assert len(server.requests) == 1
        assert server.charged == 0
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_certificate_that_is_not_trusted(tmp_path, monkeypatch):
    """It is named as such, at once and before the run too, and SSL_CERT_FILE is the remedy that works."""
    certificate = self_signed(tmp_path)
    with ScriptedServer(lambda _b, _i: "hi", certificate=certificate, models=("m",)) as server:
        assert server.url.startswith("https://")
        for check in (
            lambda: llm.connect(f"{server.url}#m").complete(HELLO),
            lambda: OpenAIChat("m", server.url).preflight(),
        ):
            with pytest.raises(ModelRefused, match="certificate that this machine does not trust") as caught:
                check()
            assert "SSL_CERT_FILE" in str(caught.value)
            assert "\n" not in str(caught.value)
        assert not server.requests
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert OpenAIChat("m", server.url, api_key="another client").complete(HELLO).text == "hi"
