"""A request with its settings: what is refused before a call, its text, its slots, its ready form."""

from __future__ import annotations

import json
import shlex

import pytest

from llm_optimize.errors import BadInput
from llm_optimize.targets.chat_call import ChatCall, check_slots, curl
from llm_optimize.targets.endpoint import Endpoint, base_of
from llm_optimize.targets.fields import check_field


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_p", 1.01), ("top_p", -0.1), ("temperature", 2.1), ("temperature", True), ("temperature", "hot"),
        ("top_k", 1.5), ("max_tokens", 0), ("frequency_penalty", -2.5), ("presence_penalty", 3), ("min_p", 2),
        ("temperature", float("nan")), ("stream", True), ("n", 2), ("extra", {1, 2}),
    ],
)  # fmt: skip
def test_what_no_endpoint_takes_is_refused(name, value):
    """A value out of range, of the wrong kind, or of a field that is no setting is an error that names the field."""
    with pytest.raises(BadInput, match=name):
        check_field(name, value)


def test_any_other_field_passes():
    """A field without a known range may hold whatever JSON can."""
    for value in (1, "a", [1], {"a": None}):
        check_field("mirostat", value)


def test_a_call_is_one_canonical_text():
    """Equal calls are equal texts whatever the order of their settings; the text leads back to the call."""
    one = ChatCall("Grüße {{x}}", "sys", {"b": 1, "a": 0.5})
    assert one.text == ChatCall("Grüße {{x}}", "sys", {"a": 0.5, "b": 1}).text
    assert ChatCall.of(one.text).text == one.text
    assert list(json.loads(one.text)) == ["prompt", "settings", "system_prompt"]
    assert "Grüße" in one.text


@pytest.mark.parametrize("text", ["x", "[]", '{"prompt": "a"}', '{"prompt":"a","settings":[],"system_prompt":""}'])
def test_a_text_that_is_no_call_is_refused(text):
    """What is no JSON object with the three parts is no candidate."""
    with pytest.raises(BadInput, match="no request"):
        ChatCall.of(text)


def test_slots_are_filled_in_one_pass():
    """Values stand in for slots in both prompts; a value that looks like a slot stays as it is."""
    call = ChatCall("{{a}} {{ b }}", "about {{a}}")
    system, user = call.messages({"a": "{{b}}", "b": 2})
    assert (system.content, user.content) == ("about {{b}}", "{{b}} 2")
    with pytest.raises(BadInput, match=r"slot \{\{b\}\} has no value"):
        call.messages({"a": 1})


def test_a_missing_slot_is_named_before_any_call():
    """Which prompt, which slot and which set of inputs."""
    with pytest.raises(BadInput, match=r"user_prompts\[0\] has the slot {{article}}, and inputs\[1\] has title"):
        check_slots([("user_prompts[0]", "{{article}}")], [{"article": "x"}, {"title": "y"}])


def test_the_ready_request_holds_everything():
    """Body and command are what would be sent, quotes in texts included; a key is never written down."""
    body = ChatCall("It's {{x}}", "", {"temperature": 0.3, "top_k": 15}).body("m", {"x": '"y"'})
    assert body["messages"] == [{"role": "user", "content": 'It\'s "y"'}]
    words = shlex.split(curl("https://host/v1/", body, with_key=True))
    assert words[1] == "https://host/v1/chat/completions"
    assert json.loads(words[-1]) == body
    assert "Authorization: Bearer $OPENAI_API_KEY" in words


def test_the_url_may_hold_the_path():
    """The endpoint's path is cut off; what is no URL is refused by name."""
    assert base_of("http://localhost:11434/v1/chat/completions/") == "http://localhost:11434/v1"
    with pytest.raises(BadInput, match="url"):
        base_of("localhost")
    with pytest.raises(BadInput, match="proxy"):
        Endpoint("m", "http://127.0.0.1/v1", proxy="nowhere")
    with pytest.raises(BadInput, match="timeout"):
        Endpoint("m", "http://127.0.0.1/v1", timeout=0)
