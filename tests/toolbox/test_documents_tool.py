"""The tool that searches documents: what a model is told, alone and in a run over real HTTP."""

from __future__ import annotations

import json

import pytest

from llm_optimize import optimize
from llm_optimize.errors import BadInput
from llm_optimize.retrieval.chunking import Document
from llm_optimize.retrieval.lexical import LexicalEmbedding
from llm_optimize.retrieval.store import DocumentStore
from llm_optimize.testing.server import Answer, ScriptedServer
from llm_optimize.toolbox import search_documents


@pytest.fixture
def store():
    """Three short documents."""
    made = DocumentStore(LexicalEmbedding())
    made.add(
        [
            Document("cats.md", "# Sleep\n\nCats sleep all day.", "https://x.example/cats"),
            Document("dogs.md", "Dogs bark. " * 400),
            Document("owls.md", "Owls hunt at night."),
        ]
    )
    return made


def ask(tool, **arguments):
    """Return (ok, what the model is told)."""
    use = tool.call(json.dumps(arguments))
    return use.ok, use.result


def test_passages_come_with_their_links_best_first(store) -> None:
    """Numbered, each under its link and heading; no more than asked for or allowed."""
    tool = search_documents(store, k=2)
    ok, told = ask(tool, query="when do cats sleep", count=1)
    assert ok
    assert told == "[1] https://x.example/cats#sleep > Sleep\n# Sleep\n\nCats sleep all day."
    assert ask(tool, query="cats and owls", count=50)[1].count("\n\n[") <= 1


def test_what_is_added_later_is_found(store) -> None:
    """The next call sees the store as it is."""
    tool = search_documents(store, kind="bm25")
    assert ask(tool, query="penguins") == (True, "(nothing was found: try other words)")
    store.add([Document("penguins.md", "Penguins swim.")])
    assert "Penguins swim." in ask(tool, query="penguins")[1]


def test_an_empty_query_is_told_to_the_model(store) -> None:
    """As what went wrong, not as a result."""
    assert ask(search_documents(store), query=" ") == (False, "query is empty: say what to look for")


def test_settings_that_cannot_work_are_refused(store) -> None:
    """Before a model sees the tool."""
    for k in (0, 99):
        with pytest.raises(BadInput, match="k is"):
            search_documents(store, k=k)
    tool = search_documents(store, about="notes on animals", name="look_up")
    assert tool.name == "look_up"
    assert "notes on animals" in tool.description


def test_a_model_uses_it_in_a_run(store) -> None:
    """Over real HTTP: the model asks, is told the passage, and proposes from it; the log has the call."""

    def answer(body, _index):
        told = [message for message in body["messages"] if message["role"] == "tool"]
        if not told:
            return Answer(None, tool_calls=(("search_documents", {"query": "when do cats sleep"}),))
        assert "Cats sleep all day." in told[-1]["content"]
        return "As the notes say.\n```\nall day\n```"

    with ScriptedServer(answer) as server:
        result = optimize.run(
            "t", "q", lambda text: float(text.strip() == "all day"), "never", 1, f"{server.url}#scripted",
            verbose=False, store=None, tools=[search_documents(store)],
        )  # fmt: skip
    assert (result.best.text.strip(), result.best.score) == ("all day", 1.0)
