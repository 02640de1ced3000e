"""The scripted server counts what a provider would charge, also as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from llm_optimize.testing.server import Answer, ScriptedServer


def post(url, body=None, key=None):
    """Ask the server with nothing but the standard library."""
    headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    content = json.dumps(body or {"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    asked = urllib.request.Request(f"{url}/chat/completions", content, headers)
    with urllib.request.urlopen(asked, timeout=30) as response:
        return json.loads(response.read())["choices"][0]["message"]["content"]


def get(url):
    """Fetch JSON."""
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.loads(response.read())


def test_the_same_key_gets_the_same_answer_free_of_charge():
    """Repeats are counted apart; requests without a key are charged each time."""
    with ScriptedServer(lambda _body, index: f"answer {index}") as server:
        said = [post(server.url, key=key) for key in ("a", "a", "b", None, None, "a")]
        assert said == ["answer 0", "answer 0", "answer 1", "answer 2", "answer 3", "answer 0"]
        counts = {"requests": 6, "charged": 4, "repeats": 2, "tokens_in": 20, "tokens_out": 12}
        assert server.counts() == counts
        assert get(server.url.removesuffix("/v1") + "/counts") == server.counts()
        assert [request.repeat for request in server.requests] == [False, True, False, False, False, True]
        assert all(request.left_whole() for request in server.requests)


def test_failures_are_neither_charged_nor_kept():
    """After an error the same key is asked of the script again."""
    answers = [Answer("busy", status=429, headers={"Retry-After": "3"}), "fine"]
    with ScriptedServer(lambda _body, index: answers[index]) as server:
        with pytest.raises(urllib.error.HTTPError) as caught:
            post(server.url, key="a")
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "3")
        caught.value.close()
        assert post(server.url, key="a") == "fine"
        assert (server.charged, server.repeats) == (1, 0)


def test_a_lost_answer_is_charged_and_kept():
    """The client saw nothing, the provider charged, and the repeat is free."""
    with ScriptedServer(lambda _body, _index: Answer("paid", lose=True)) as server:
        with pytest.raises(ConnectionError):
            post(server.url, key="a")
        assert not server.requests[0].written
        assert post(server.url, key="a") == "paid"
        assert (server.charged, server.repeats) == (1, 1)


def test_simultaneous_repeats_are_charged_once():
    """Two requests with one key at once: the second waits for the first one's answer."""
    with ScriptedServer(lambda _body, index: f"answer {index}") as server:
        said = []
        threads = [threading.Thread(target=lambda: said.append(post(server.url, key="k"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == ["answer 0"] * 8
        assert (server.charged, server.repeats) == (1, 7)


def test_models_can_be_listed_or_not():
    """The list of models, and 404 where it is switched off."""
    with ScriptedServer(lambda _body, _index: "", models=("a", "b")) as server:
        assert [model["id"] for model in get(f"{server.url}/models")["data"]] == ["a", "b"]
    with ScriptedServer(lambda _body, _index: "", models=None) as server:
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(f"{server.url}/models")
        caught.value.close()


def test_closing_does_not_wait_for_slow_answers():
    """A server with an hour-long answer under way closes at once."""
    arrived, ended = threading.Event(), []

    def slow(_body, _index):
        arrived.set()
        return Answer("late", delay=3600)

    def call():
        try:
            post(server.url)
        except OSError as error:
            ended.append(error)

    with ScriptedServer(slow) as server:
        thread = threading.Thread(target=call)
        thread.start()
        assert arrived.wait(30)
    thread.join(30)
    assert not thread.is_alive()
    assert len(ended) == 1


def test_it_runs_as_a_process_of_its_own(tmp_path):
    """``python -m llm_optimize.testing.server module:function`` prints its URL and serves until it is ended."""
    (tmp_path / "script.py").write_text(
        "def answer(body, index):\n    return body['messages'][0]['content'] + str(index)\n"
    )
    command = [sys.executable, "-m", "llm_optimize.testing.server", "script:answer", "--port", "0", "--model", "x"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            assert post(url) == "hi0"
            assert get(f"{url}/models")["data"][0]["id"] == "x"
        finally:
            process.terminate()
