"""Calls leave spans, measurements and log lines by OpenTelemetry's names, and no prompt unless it is asked for."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llm_optimize import optimize
from llm_optimize.core.chat import Message, Request
from llm_optimize.core.metering import Scope, entered
from llm_optimize.errors import LLMOptimizeError, ModelRefused
from llm_optimize.llm import connect
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.stores import SQLiteStore
from llm_optimize.testing.server import Answer, ScriptedServer

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
SECRET = "the quick brown fox"


@pytest.fixture(scope="module")
def telemetry():
    """Set OpenTelemetry up as a program would; there is one per process, so it stays."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    return spans, reader


@pytest.fixture
def spans(telemetry, monkeypatch):
    """Give the finished spans of this test."""
    monkeypatch.delenv(CAPTURE, raising=False)
    telemetry[0].clear()
    return telemetry[0].get_finished_spans


def measured(reader):
    """Return by metric and type of token or error: (unit, count, sum)."""
    found = {}
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    kind = point.attributes.get("gen_ai.token.type") or point.attributes.get("error.type", "")
                    key = metric.name, kind, point.attributes["gen_ai.request.model"]
                    found[key] = metric.unit, point.count, point.sum
    return found


def test_a_call_is_a_span_by_the_conventions(spans, hello):
    """Name, kind and attributes are those of the conventions, with study and unit; no text is in it."""
    settings = {"temperature": 0.5, "max_tokens": 50, "seed": 3, "stop": "END", "top_p": 0.9}
    answer = Answer(f"said {SECRET}", usage={"prompt_tokens": 20, "completion_tokens": 5})
    with ScriptedServer(lambda *_: answer) as server:
        with entered(Scope("digits", "proposal/7")):
            connect(f"{server.url}#scripted").complete(Request(hello.messages, settings, "ask-0"))
        port = int(server.url.rpartition(":")[2].partition("/")[0])
    [span] = spans()
    assert (span.name, span.kind) == ("chat scripted", trace.SpanKind.CLIENT)
    assert span.status.status_code is trace.StatusCode.UNSET
    attributes = dict(span.attributes)
    assert attributes.pop("llm_optimize.usage.dollars") == 0.0
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "scripted",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.seed": 3,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.response.model": "scripted",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "server.address": "127.0.0.1",
        "server.port": port,
        "llm_optimize.study": "digits",
        "llm_optimize.unit": "proposal/7",
        "llm_optimize.source": "endpoint",
    }
    assert SECRET not in span.to_json()
    assert hello.messages[0].content not in span.to_json()


def test_the_names_are_those_of_the_conventions(spans, hello):
    """Every gen_ai attribute that is set stands in the installed list of the conventions."""
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes  # noqa: PLC0415 - deprecated as a whole

    known = {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}
    connect(ScriptedModel(["x"])).complete(Request(hello.messages, {"temperature": 1, "top_k": 4}, n=2))
    named = {name for name in spans()[0].attributes if name.startswith("gen_ai.")}
    assert len(named) > 8
    assert named <= known


@pytest.mark.parametrize(("mode", "shown"), [("SPAN_ONLY", True), ("true", True), ("EVENT_ONLY", False), ("", False)])
def test_texts_are_on_spans_only_if_asked_for(spans, monkeypatch, mode, shown):
    """The conventions' switch decides; the form is that of their JSON schemas."""
    monkeypatch.setenv(CAPTURE, mode)
    messages = (Message("system", "be good"), Message("user", SECRET))
    connect(ScriptedModel(["fine"])).complete(Request(messages))
    [span] = spans()
    assert ("gen_ai.input.messages" in span.attributes) == shown
    if shown:
        assert json.loads(span.attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "be good"}]
        assert json.loads(span.attributes["gen_ai.input.messages"]) == [
            {"role": "user", "parts": [{"type": "text", "content": SECRET}]}
        ]
        assert json.loads(span.attributes["gen_ai.output.messages"]) == [
            {"role": "assistant", "parts": [{"type": "text", "content": "fine"}], "finish_reason": "stop"}
        ]


def test_an_error_is_named_and_not_quoted(spans, telemetry):
    """A refused call has its error's kind on span and measurement; what the endpoint said, which quotes, is nowhere."""
    said = Answer(f"cannot process: {SECRET}", status=400)
    with ScriptedServer(lambda *_: said) as server, pytest.raises(ModelRefused, match=SECRET):
        connect(f"{server.url}#refusing").complete(Request((Message("user", SECRET),)))
    [span] = spans()
    assert span.attributes["error.type"] == "ModelRefused"
    assert span.status.status_code is trace.StatusCode.ERROR
    assert SECRET not in span.to_json()
    assert measured(telemetry[1])["gen_ai.client.operation.duration", "ModelRefused", "refusing"][:2] == ("s", 1)


def test_tokens_and_durations_are_measured_once(spans, telemetry, tmp_path, hello):
    """Two calls make two durations and their tokens by type; a reply recalled from the log is no third."""
    counts = {"prompt_tokens": 20, "completion_tokens": 5}
    with (
        ScriptedServer(lambda *_: Answer("x", usage=counts)) as server,
        SQLiteStore(tmp_path / "a.db") as store,
    ):
        for unit in ("proposal/0", "proposal/1", "proposal/1"):
            with entered(Scope("s", unit, None, store)):
                connect(f"{server.url}#measured").complete(Request(hello.messages, key="ask-0"))
    found = measured(telemetry[1])
    assert found["gen_ai.client.token.usage", "input", "measured"] == ("{token}", 2, 40)
    assert found["gen_ai.client.token.usage", "output", "measured"] == ("{token}", 2, 10)
    assert found["gen_ai.client.operation.duration", "", "measured"][:2] == ("s", 2)
    assert [span.attributes["llm_optimize.source"] for span in spans()] == ["endpoint", "endpoint", "log"]


def test_tools_are_spans(spans):
    """A tool's execution is a span of its own, marked where it failed, without arguments or results."""

    def double(number: int) -> int:
        """Double a number."""
        return 2 * number

    calls = [("double", {"number": 4}), ("double", {"number": SECRET})]

    def answer(body, index):
        if body["messages"][-1]["role"] == "tool":
            return "```\nlonger\n```"
        return Answer(None, tool_calls=calls)

    with ScriptedServer(answer) as server:
        optimize.run("t", "q", len, "x", 1, f"{server.url}#scripted", verbose=False, store=None, tools=[double])
    tools = [span for span in spans() if span.name == "execute_tool double"]
    assert [span.attributes.get("error.type") for span in tools] == [None, "tool_error"]
    assert tools[0].attributes["gen_ai.operation.name"] == "execute_tool"
    assert not any(SECRET in span.to_json() for span in spans())


def test_nothing_is_loaded_that_the_program_did_not_load():
    """Without OpenTelemetry set up, a call imports none of it."""
    script = """
import sys
from llm_optimize import ScriptedModel
from llm_optimize.llm import connect
from llm_optimize.core.chat import Message, Request
connect(ScriptedModel(["x"])).complete(Request((Message("user", "hi"),)))
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def faulty(body, index):
    """Answer badly in every way that quotes the prompt, and well in between."""
    prompt = "".join(message["content"] for message in body["messages"])
    quoted = prompt[prompt.index(SECRET) :][:60]
    return {
        1: Answer(f"try later: {quoted}", status=503),
        2: Answer(f"slow down: {quoted}", status=429, headers={"Retry-After": "0"}),
        4: Answer(status=502, raw=f"<html>{quoted}".encode()),
        6: Answer(SECRET, finish_reason="length"),
        8: Answer(None, refusal=SECRET),
        11: Answer(f"bad request: {quoted}", status=400),
    }.get(index, f"{SECRET}\n```\n{SECRET} {index}\n```")


def logged(caplog, tmp_path):
    """Run a study with faults to its bitter end; return every record, formatted, of whatever logger and level."""
    with caplog.at_level(1), ScriptedServer(faulty) as server:
        caplog.set_level(1, "llm_optimize")
        caplog.set_level(1, "llm_optimize.llm")
        try:
            task = f"Write about {SECRET}."
            result = optimize.run(
                task, SECRET, lambda text: (len(text), SECRET), SECRET, 12, f"{server.url}#scripted",
                verbose=False, store=tmp_path / "a.db", study="s",
            )  # fmt: skip
            assert isinstance(result.error, ModelRefused)
            assert SECRET in str(result.error), "the endpoint quotes the prompt, or this test shows nothing"
        except LLMOptimizeError as error:
            pytest.fail(f"it ended too soon: {error}")
    formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")
    return [formatter.format(record) for record in caplog.records]


def test_no_log_record_holds_a_prompt(caplog, tmp_path, monkeypatch):
    """Of a run with every fault that quotes the prompt, no record of any logger at any level holds a piece of it."""
    monkeypatch.delenv("LLM_OPTIMIZE_LOG_PROMPTS", raising=False)
    lines = logged(caplog, tmp_path)
    assert [line for line in lines if SECRET in line] == []
    ours = [line for line in lines if line.startswith("llm_optimize.llm INFO proposal/")]
    assert any("tokens in" in line and line.endswith(", stop") for line in ours)
    assert any(line.endswith("failed after 0.01 s: ModelRefused") or ": ModelRefused" in line for line in ours)
    assert len(ours) > 6
    assert any("attempt 1 failed" in line and "status 503" in line for line in lines)


def test_prompts_are_logged_if_asked_for(caplog, tmp_path, monkeypatch):
    """With the switch, prompts and replies come at level DEBUG."""
    monkeypatch.setenv("LLM_OPTIMIZE_LOG_PROMPTS", "1")
    lines = logged(caplog, tmp_path)
    assert any(line.startswith("llm_optimize.llm DEBUG proposal/0 asked") and SECRET in line for line in lines)
    assert any(line.startswith("llm_optimize.llm DEBUG proposal/0 answered") and SECRET in line for line in lines)


def test_a_call_is_one_line(caplog):
    """The line of a call has unit, model, tokens, dollars, seconds and finish reason."""
    counts = {"prompt_tokens": 20, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 8}}
    with caplog.at_level(logging.INFO, "llm_optimize.llm"), ScriptedServer(lambda *_: Answer("x", usage=counts)) as s:
        model = connect(f"{s.url}#scripted", prices={"scripted": (1000, 2000)})
        with entered(Scope("s", "evaluation/3")):
            model.complete(Request((Message("user", "hi"),)))
    [line] = [record.getMessage() for record in caplog.records if record.name == "llm_optimize.llm"]
    assert line.startswith("evaluation/3 scripted: 20 tokens in (8 cached), 5 out, $0.0")
    assert line.endswith(" s, stop")
