"""Which fields have an effect, found out at servers that check, ignore and refuse them."""

from __future__ import annotations

import pytest

from llm_optimize.errors import ModelRefused, ModelUnavailable
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.targets.probing import probe, probes
from llm_optimize.testing.server import Answer, ScriptedServer
from llm_optimize.testing.surface import Surface

ENDS = {"temperature": (0.1, 0.9), "top_k": (1, 100)}


def found(answer, ends=None):
    """What a probe says of a server, and how many requests it took."""
    with ScriptedServer(answer) as server:
        findings = probe(OpenAIChat("scripted", server.url, "key"), ends or ENDS)
        return {one.field: one.effect for one in findings}, len(server.requests)


def test_a_server_that_checks_its_fields_has_them_all():
    """Nonsense is refused for each field: an effect, in one request for all and one for each."""
    assert found(Surface()) == ({"temperature": "effect", "top_k": "effect"}, 3)


def test_a_field_that_is_passed_over_has_no_effect():
    """Nonsense is accepted, and equal seeds bring equal answers at both ends: ignored."""
    effects, requests = found(Surface(honoured=frozenset({"temperature", "seed"})))
    assert effects == {"temperature": "effect", "top_k": "ignored"}
    assert requests <= probes(len(ENDS))


def test_a_field_that_is_refused_has_no_effect():
    """A plausible value that is refused: not supported; the other fields are told apart from it."""
    effects, _ = found(Surface(refused=frozenset({"top_k"})))
    assert effects == {"temperature": "effect", "top_k": "refused"}


def test_a_server_that_repairs_nonsense_is_judged_by_its_answers():
    """A server that takes its default for nonsense, but whose answers differ with the field, has the field."""

    def answer(body, index):
        value = body.get("top_k")
        return f"answer {value if isinstance(value, int) else 40}"

    assert found(answer, {"top_k": (1, 100)})[0] == {"top_k": "effect"}


def test_where_answers_differ_by_themselves_it_is_unclear():
    """Without answers that repeat nothing can be told from them; the field stays in the search."""
    effects, _ = found(lambda body, index: f"answer {index}", {"top_k": (1, 100)})
    assert effects == {"top_k": "unclear"}


def test_limits_on_tokens_are_not_probed():
    """Their names differ between endpoints, which the first call settles."""
    assert found(Surface(), {"max_tokens": (1, 700)})[0] == {}


@pytest.mark.parametrize(("status", "error"), [(401, ModelRefused), (503, ModelUnavailable)])
def test_an_endpoint_in_trouble_says_nothing_of_its_fields(status, error):
    """A refused key or a busy server is an error, not a finding."""
    with ScriptedServer(lambda body, index: Answer("no", status=status)) as server, pytest.raises(error):
        probe(OpenAIChat("scripted", server.url, "key"), ENDS)
