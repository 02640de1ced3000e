"""A store of documents: added, changed, deleted, saved, loaded, and asked by meaning, by words, by both."""

from __future__ import annotations

import json
import math

import pytest

from llm_optimize.errors import BadInput, ModelUnavailable, StoreError
from llm_optimize.retrieval.bm25 import BM25
from llm_optimize.retrieval.chunking import Chunking, Document
from llm_optimize.retrieval.fusing import fuse
from llm_optimize.retrieval.hnsw import HNSWIndex
from llm_optimize.retrieval.lexical import LexicalEmbedding
from llm_optimize.retrieval.store import DocumentStore

TEXTS = {
    "cats.md": "# Cats\n\n## Sleep\n\nCats sleep all day on the sofa.\n\n## Food\n\nCats eat mice and fish.",
    "dogs.md": "# Dogs\n\nDogs bark at the postman. Dogs eat bones.",
    "züge.md": "# Züge\n\nDer Zug nach Köln fährt um neun Uhr ab.",
    "東京.md": "東京の天気は晴れです。電車は九時に出ます。",
}
DOCUMENTS = [Document(name, text, f"https://x.example/{name}") for name, text in TEXTS.items()]
KINDS = ("dense", "bm25", "hybrid")


@pytest.fixture
def store():
    """The documents, embedded by their words."""
    made = DocumentStore(LexicalEmbedding(), Chunking(200, 0))
    made.add(DOCUMENTS)
    return made


def names(found):
    """Return the documents that were found."""
    return [one.chunk.document for one in found]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("query", "name", "link"),
    [
        ("where do cats sleep?", "cats.md", "cats.md#sleep"),
        ("what do cats eat: fish or mice", "cats.md", "cats.md#food"),
        ("who barks at the postman", "dogs.md", "dogs.md#dogs"),
        ("wann fährt der Zug nach Köln?", "züge.md", "züge.md#züge"),
        ("東京の天気", "東京.md", "東京.md"),
    ],
)
def test_a_question_finds_its_chunk(store, kind, query, name, link) -> None:
    """In each ranking and in other scripts; the chunk knows where it stands."""
    best = store.search(query, 2, kind)[0]
    assert best.chunk.document == name
    assert best.chunk.link == f"https://x.example/{link}"
    assert TEXTS[name][best.chunk.start : best.chunk.end] == best.chunk.text
    assert 0 < best.support <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_is_found_and_what_is_deleted_is_not(store, kind) -> None:
    """By the very next search, without a rebuild; an update is both."""
    store.add([Document("owls.md", "Owls hunt at night.")])
    assert names(store.search("owls at night", 1, kind)) == ["owls.md"]
    store.update(Document("owls.md", "Penguins swim well."))
    assert names(store.search("penguins swim", 1, kind)) == ["owls.md"]
    assert all("Owls" not in one.chunk.text for one in store.search("owls hunt at night", 9, kind))
    store.delete("owls.md")
    assert "owls.md" not in names(store.search("penguins swim well", 9, kind))
    assert [one.name for one in store.documents] == list(TEXTS)


@pytest.mark.parametrize("index", ["exact", "hnsw"])
def test_a_reloaded_store_answers_identically(store, tmp_path, index) -> None:
    """Every score of every ranking is the same to the last bit, also after changes; it can go on changing."""
    make, load = None, {}
    if index == "hnsw":
        pytest.importorskip("usearch", reason="the extra `ann` is not installed")
        make, load = HNSWIndex, {"index": HNSWIndex, "load_index": HNSWIndex.load}
    made = DocumentStore(LexicalEmbedding(), Chunking(200, 0), index=make)
    made.add(DOCUMENTS)
    made.delete("dogs.md")
    made.update(Document("cats.md", TEXTS["cats.md"] + "\n\nAnd cats purr."))
    made.save(tmp_path / "s")
    made.save(tmp_path / "s")
    again = DocumentStore.load(tmp_path / "s", LexicalEmbedding(), **load)
    queries = ["cats sleep", "Zug nach Köln", "天気", "purr"]
    for kind in KINDS:
        assert [again.search(one, 5, kind) for one in queries] == [made.search(one, 5, kind) for one in queries]
    assert (again.documents, again.chunks, again.chunking) == (made.documents, made.chunks, made.chunking)
    again.add([Document("owls.md", "Owls hunt at night.")])
    assert names(again.search("owls", 1)) == ["owls.md"]
    assert len(list((tmp_path / "s").iterdir())) == 2


def test_an_empty_store_and_an_empty_query_find_nothing(store, tmp_path) -> None:
    """And no model is asked for them."""

    class Silent:
        name = "silent"

        def embed(self, texts):
            raise AssertionError("asked")

    empty = DocumentStore(Silent())
    empty.add([])
    empty.add([Document("blank", " \n ")])
    assert [empty.search("x", 3, kind) for kind in KINDS] == [[], [], []]
    empty.save(tmp_path)
    assert DocumentStore.load(tmp_path, Silent()).search("x") == []
    for query in ("", " \n", "?!"):
        assert [store.search(query, 3, kind) for kind in KINDS] == [[], [], []]


@pytest.mark.parametrize("kind", KINDS)
def test_equal_texts_come_in_the_order_of_addition(kind) -> None:
    """A text that stands in several documents is found in each, the first one first, with equal scores."""
    store = DocumentStore(LexicalEmbedding())
    store.add([Document(name, "The same words here.") for name in ("b", "a", "c")])
    found = store.search("same words", 3, kind)
    assert names(found) == ["b", "a", "c"]
    if kind != "hybrid":
        assert len({one.score for one in found}) == 1
    store.delete("b")
    store.add([Document("b", "The same words here.")])
    assert names(store.search("same words", 3, kind)) == ["a", "c", "b"]


def test_what_cannot_be_done_changes_nothing(store) -> None:
    """Taken names, unknown names, a model that fails: the store is as it was."""
    before = store.chunks
    for wrong in ([Document("n", "x"), Document("n", "y")], [Document("cats.md", "x")], [Document("", "x")]):
        with pytest.raises(BadInput, match="documents"):
            store.add(wrong)
    for work in (lambda: store.delete("nobody"), lambda: store.update(Document("nobody", "x"))):
        with pytest.raises(BadInput, match="nobody"):
            work()

    class Down:
        name = LexicalEmbedding().name

        def embed(self, texts):
            raise ModelUnavailable("no answer")

    store.model = Down()
    for work in (lambda: store.add([Document("n", "x")]), lambda: store.update(Document("cats.md", "new"))):
        with pytest.raises(ModelUnavailable):
            work()
    assert store.chunks == before
    assert names(store.search("cats sleep", 1, "bm25")) == ["cats.md"]


def test_settings_that_cannot_work_are_refused(store) -> None:
    """The message names the field; without a model there is ranking by words."""
    for wrong in ({"k": 0}, {"kind": "magic"}):
        with pytest.raises(BadInput, match=next(iter(wrong))):
            store.search("x", **wrong)
    plain = DocumentStore(None)
    plain.add(DOCUMENTS)
    assert names(plain.search("cats sleep", 1, "bm25")) == ["cats.md"]
    with pytest.raises(BadInput, match="no embedding model"):
        plain.search("cats")


def test_a_damaged_or_strange_store_is_refused(store, tmp_path) -> None:
    """Nothing there, another model, a vector file that does not fit."""
    with pytest.raises(StoreError, match="holds no documents"):
        DocumentStore.load(tmp_path, LexicalEmbedding())
    store.save(tmp_path)
    with pytest.raises(BadInput, match="lexical-1024"):
        DocumentStore.load(tmp_path, LexicalEmbedding(64))
    manifest = tmp_path / "documents.json"
    held = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(held | {"chunks": held["chunks"][:-1]}))
    with pytest.raises(StoreError, match="vectors"):
        DocumentStore.load(tmp_path, LexicalEmbedding())


def test_bm25_is_the_formula() -> None:
    """Scores by hand for three short texts; deletion gives the scores of an index that never had the text."""
    texts = {1: "a b", 2: "a a c", 3: "d"}
    index = BM25(k1=1.2, b=0.75)
    for key, text in texts.items():
        index.add(key, text)
    mean = 2.0
    rarity = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    right = {
        key: rarity * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * size / mean)) for key, tf, size in ((1, 1, 2), (2, 2, 3))
    }
    found = index.search("a", 5)
    assert dict(found) == pytest.approx(right)
    assert [key for key, _ in found] == sorted(right, key=right.__getitem__, reverse=True)
    assert all(score < index.most("a") for _, score in found)
    index.add(4, "a a a e")
    index.delete(4)
    assert index.search("a", 5) == found
    assert (len(index), index.search("zebra", 3), index.search("", 3)) == (3, [], [])
    for work in (lambda: index.add(1, "x"), lambda: index.delete(9)):
        with pytest.raises(BadInput, match="key"):
            work()


def test_reciprocal_ranks_are_summed() -> None:
    """By hand: two rankings, one key in both."""
    assert fuse([[1, 2], [2, 3]], 1.0) == [(2, pytest.approx(1 / 3 + 1 / 2)), (1, 0.5), (3, pytest.approx(1 / 3))]
    with pytest.raises(BadInput, match="constant"):
        fuse([], 0)
