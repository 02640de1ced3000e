"""The cache's stores: bounded memory; a file that processes share, that a kill leaves usable, and that may break."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import sqlite3
import subprocess
import sys

import pytest

from llm_optimize.errors import BadInput, StoreError
from llm_optimize.llm.cache_stores import MemoryCache, SQLiteCache, open_cache
from llm_optimize.stores.sqlite import SQLiteStore


@pytest.fixture
def writer(root):
    """Give a function that starts a process that writes replies into a file."""

    def start(*arguments):
        command = [sys.executable, str(root / "tests" / "helpers" / "cache_writer.py"), *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    return start


@pytest.fixture
def path(tmp_path):
    """Return where the cache's file is to be."""
    return tmp_path / "folder" / "replies.db"


def test_memory_forgets_what_was_not_used_longest():
    """A full cache drops the entry whose last use is longest ago."""
    cache = MemoryCache(2)
    cache.put("a", "1")
    cache.put("b", "2")
    assert cache.get("a") == "1"
    cache.put("c", "3")
    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == ("1", None, "3", 2)
    assert len(pickle.loads(pickle.dumps(cache))) == 0


def test_a_file_keeps_what_was_put(path):
    """What one opened, another opened later finds; the newest body under a key is the one kept."""
    first = SQLiteCache(path)
    first.put("a", "1")
    first.put("a", "2")
    first.close()
    second = pickle.loads(pickle.dumps(SQLiteCache(path)))
    assert (second.get("a"), second.get("b")) == ("2", None)
    second.close()


def test_a_file_is_bounded(path):
    """Opening a file with too many replies deletes the oldest."""
    cache = SQLiteCache(path)
    for number in range(10):
        cache.put(str(number), "x")
    cache.close()
    small = SQLiteCache(path, entries=3)
    assert [number for number in range(10) if small.get(str(number))] == [7, 8, 9]
    small.close()


def test_processes_share_a_file(path, writer):
    """Four processes that make and fill the same file at once lose nothing."""
    processes = [writer(path, name, 50) for name in "abcd"]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    cache = SQLiteCache(path)
    assert all(cache.get(f"{name}-{number}") for name in "abcd" for number in range(50))
    cache.close()


def test_a_kill_in_the_middle_of_writing_leaves_the_file_usable(path, writer):
    """After SIGKILL every reply that was reported written is there, and more can be written."""
    for name in "abc":
        process = writer(path, name)
        lines = [process.stdout.readline().strip() for _ in range(20)]
        process.kill()
        lines += process.communicate()[0].split("\n")[:-1]
        cache = SQLiteCache(path)
        assert all(cache.get(line) for line in lines)
        cache.put("after", "kill")
        assert cache.get("after") == "kill"
        cache.close()


def _child(cache, answers):
    cache.put("child", "1")
    answers.put(cache.get("parent"))
    cache.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_uses_a_connection_of_its_own(path):
    """A cache that was open when the process forked works on both sides."""
    cache = SQLiteCache(path)
    cache.put("parent", "1")
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_child, args=(cache, answers))
    child.start()
    child.join(60)
    assert (child.exitcode, answers.get(), cache.get("child")) == (0, "1", "1")
    cache.close()


def test_a_damaged_file_is_set_aside(path, caplog):
    """A cache that cannot be read is kept under another name, a fresh one begins, and the log says so."""
    cache = SQLiteCache(path)
    for number in range(200):
        cache.put(str(number), "x" * 1000)
    cache.close()
    content = bytearray(path.read_bytes())
    content[200:20_000] = b"\xff" * 19_800
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "llm_optimize"):
        fresh = SQLiteCache(path)
        assert fresh.get("1") is None
    fresh.put("1", "again")
    assert fresh.get("1") == "again"
    fresh.close()
    assert path.with_name("replies.db.damaged").read_bytes()[:200] == bytes(content[:200])
    assert "was damaged" in caplog.text


def test_damage_that_shows_late_is_set_aside_too(path, caplog):
    """Damage in a page that is read only later begins a fresh file in the middle of a run."""
    cache = SQLiteCache(path)
    for number in range(200):
        cache.put(str(number), "x" * 1000)
    cache.close()
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "llm_optimize"):
        fresh = SQLiteCache(path)
        assert [fresh.get(str(number)) for number in range(200)].count(None) >= 199
    fresh.put("1", "again")
    assert fresh.get("1") == "again"
    fresh.close()
    assert caplog.text.count("was damaged") == 1


def test_a_file_of_another_kind_is_never_touched(tmp_path):
    """A text, another program's database and a study's store are refused, and stay as they are."""
    text = tmp_path / "notes.txt"
    text.write_text("my notes, which are longer than the header of a database would be" * 4)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    studies = tmp_path / "studies.db"
    store = SQLiteStore(studies)
    assert list(store.studies()) == []
    store.close()
    for file in (text, other, studies):
        before = file.read_bytes()
        with pytest.raises(BadInput, match="another kind"):
            SQLiteCache(file)
        assert file.read_bytes() == before


def test_a_cache_that_cannot_be_made_is_said_before_anything_is_spent(tmp_path):
    """A folder, an empty path, a folder that is a file, nonsense: an error of one line that names the cache."""
    (tmp_path / "file").write_text("x")
    for wrong, error in [(tmp_path, BadInput), ("", BadInput), (3.5, BadInput), (tmp_path / "file" / "a", StoreError)]:
        with pytest.raises(error, match=r"^cache: ") as caught:
            open_cache(wrong)
        assert "\n" not in str(caught.value)


def test_the_environment_names_the_default(monkeypatch, path):
    """Without an argument LLM_OPTIMIZE_CACHE decides: a path, off, else memory."""
    assert isinstance(open_cache(None), MemoryCache)
    monkeypatch.setenv("LLM_OPTIMIZE_CACHE", "off")
    assert open_cache(None) is None
    monkeypatch.setenv("LLM_OPTIMIZE_CACHE", str(path))
    opened = open_cache(None)
    assert isinstance(opened, SQLiteCache)
    opened.close()
    assert open_cache(cache=False) is None
