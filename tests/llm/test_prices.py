"""Prices: the package's, the user's, and none."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput
from llm_optimize.llm.prices import PriceBook

MILLION = Usage(1, 1_000_000, 0, 1_000_000)


def test_known_models_have_their_published_price():
    """OpenAI's gpt-4 costs 30 and 60 dollars per million; cached tokens of gpt-5 cost a tenth."""
    assert PriceBook().dollars("gpt-4", MILLION) == pytest.approx(90.0)
    fresh = PriceBook().dollars("gpt-5", Usage(1, 100_000))
    assert PriceBook().dollars("gpt-5", Usage(1, 100_000, 100_000)) == pytest.approx(fresh / 10)


def test_tiers_are_priced_by_the_size_of_the_prompt():
    """Long prompts of gemini-2.5-pro cost twice as much per token; the cached part is cheaper in both tiers."""
    short, long = (PriceBook().dollars("gemini-2.5-pro", Usage(1, size)) / size for size in (100_000, 300_000))
    assert long == pytest.approx(2 * short)
    cached = PriceBook().dollars("gemini-2.5-pro", Usage(1, 300_000, 300_000)) / 300_000
    assert cached == pytest.approx(long / 10)


def test_a_gateways_prefix_is_looked_through():
    """``openai/gpt-4`` costs what ``gpt-4`` costs."""
    assert PriceBook().dollars("openai/gpt-4", MILLION) == PriceBook().dollars("gpt-4", MILLION)


def test_unknown_models_cost_nothing_and_are_known_as_such():
    """A local model has no price."""
    assert not PriceBook().price_known("qwen3:8b")
    assert PriceBook().dollars("qwen3:8b", MILLION) == 0.0


def test_an_unknown_price_is_said_once_however_many_ask_at_once(caplog):
    """Thirty-two chains that make their first call in the same moment bring one warning."""
    ready = threading.Barrier(32)

    def ask(_):
        ready.wait()
        return PriceBook().dollars("asked-at-once", Usage(1, 10, 0, 10))

    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(ask, range(32))) == {0.0}
    assert [record.message for record in caplog.records if "asked-at-once" in record.message][1:] == []
    assert "asked-at-once" in caplog.text


def test_own_prices_win_over_the_file_and_the_file_over_the_package(tmp_path, monkeypatch):
    """The nearest source of a price is used."""
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"gpt-4": [1, 2], "mine": [3, 4, 0]}))
    monkeypatch.setenv("LLM_OPTIMIZE_PRICES", str(path))
    assert PriceBook().dollars("gpt-4", MILLION) == 3.0
    assert PriceBook({"mine": (5, 5)}).dollars("mine", MILLION) == 10.0
    assert PriceBook().dollars("mine", Usage(1, 1_000_000, 1_000_000)) == 0.0


@pytest.mark.parametrize("numbers", [(), (1,), (1, 2, 3, 4), (1, -2), (1, "2"), (1, float("nan")), 3, None, (True, 1)])
def test_a_price_that_is_none_is_named(numbers):
    """A malformed price names the model and the form."""
    with pytest.raises(BadInput, match=r"prices: 'm' is .* dollars per million"):
        PriceBook({"m": numbers})


@pytest.mark.parametrize("content", ["", "[1]", "{", None])
def test_a_price_file_that_cannot_be_read_is_named(content, tmp_path, monkeypatch):
    """The variable, the path and the form are in the message."""
    path = tmp_path / "prices.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("LLM_OPTIMIZE_PRICES", str(path))
    with pytest.raises(BadInput, match="LLM_OPTIMIZE_PRICES"):
        PriceBook()


def test_pricing_never_opens_a_connection():
    """Looking up known and unknown prices opens no socket."""
    program = """
import sys
def watch(event, arguments):
    if event.startswith("socket.connect") or event == "socket.getaddrinfo":
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(watch)
from llm_optimize.core.types import Usage
from llm_optimize.llm.prices import PriceBook
assert PriceBook().dollars("gpt-5", Usage(1, 1000, 0, 1000)) > 0
assert PriceBook().dollars("nobody-knows", Usage(1, 1000)) == 0
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode == 0


def test_without_the_package_prices_are_unknown():
    """The optional package may be missing."""
    program = """
import sys
sys.modules["genai_prices"] = None
from llm_optimize.core.types import Usage
from llm_optimize.llm.prices import PriceBook
assert not PriceBook().price_known("gpt-5")
assert PriceBook().dollars("gpt-5", Usage(1, 1000)) == 0
assert PriceBook({"gpt-5": (1, 1)}).dollars("gpt-5", Usage(1, 1_000_000)) == 1
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
