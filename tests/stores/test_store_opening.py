"""From what a user says to a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_optimize.core.events import Guided
from llm_optimize.errors import BadInput, StoreError
from llm_optimize.stores import MemoryStore, SQLiteStore, default_path, open_store


@pytest.fixture(autouse=True)
def _working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLM_OPTIMIZE_HOME", raising=False)


def test_default_path_follows_the_environment(monkeypatch):
    """The default file lies in the working folder, or in the folder that LLM_OPTIMIZE_HOME names."""
    assert default_path() == Path(".llm_optimize/studies.db")
    monkeypatch.setenv("LLM_OPTIMIZE_HOME", "/some/home")
    assert default_path() == Path("/some/home/studies.db")
    monkeypatch.setenv("LLM_OPTIMIZE_HOME", "")
    assert default_path() == Path(".llm_optimize/studies.db")


def test_auto_makes_the_default_folder_and_hides_it_from_git(tmp_path):
    """``auto`` makes the folder, in which git ignores everything."""
    with open_store("auto") as store:
        assert store.path == tmp_path / ".llm_optimize" / "studies.db"
    assert (tmp_path / ".llm_optimize" / ".gitignore").read_text() == "*\n"


def test_auto_leaves_a_folder_of_the_users_alone(tmp_path, monkeypatch):
    """A folder named by LLM_OPTIMIZE_HOME is made with its parents and gets no file but the store."""
    monkeypatch.setenv("LLM_OPTIMIZE_HOME", str(tmp_path / "deep" / "home"))
    open_store("auto").close()
    assert [path.name for path in (tmp_path / "deep" / "home").iterdir()] == ["studies.db"]


def test_auto_where_nothing_can_be_made(tmp_path):
    """A working folder in which the default folder cannot be made is an error that names the remedies."""
    (tmp_path / ".llm_optimize").write_text("in the way")
    with pytest.raises(StoreError, match=r"studies\.db"):
        open_store("auto")


@pytest.mark.parametrize("as_type", [str, Path])
def test_paths_open_sqlite(tmp_path, as_type):
    """A text or a path is a SQLite file there."""
    with open_store(as_type(tmp_path / "runs" / "mine.db")) as store:
        assert isinstance(store, SQLiteStore)
        store.append("study", Guided("x"))
    assert (tmp_path / "runs" / "mine.db").is_file()


def test_none_is_memory_and_a_store_is_itself():
    """None opens a store in memory; a store that is given is used."""
    store = open_store(None)
    assert isinstance(store, MemoryStore)
    assert open_store(store) is store


@pytest.mark.parametrize("value", [3, True, object(), b"bytes", MemoryStore, ["a.db"]])
def test_anything_else_is_bad_input(value):
    """What is neither path nor store is refused in one line that says what to give."""
    with pytest.raises(BadInput, match=r"^store is .*give a path, 'auto', None") as caught:
        open_store(value)
    assert "\n" not in str(caught.value)
