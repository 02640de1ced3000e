"""The folder's files: what is on disk, what a damaged one says, and which parts items go to."""

from __future__ import annotations

import pytest

from llm_optimize.core.linefiles import read_lines
from llm_optimize.distill.choosing import best_of
from llm_optimize.distill.comparing import compared
from llm_optimize.distill.files import Folder, Lines, Replies
from llm_optimize.distill.items import Item
from llm_optimize.distill.records import Answer, Answers, Rewrite
from llm_optimize.distill.report import first_words
from llm_optimize.errors import BadInput, StoreError
from llm_optimize.scorers.parting import normalised, parted


def test_a_record_is_on_disk_when_it_was_appended(tmp_path):
    """Another reader finds each record at once, whatever is in its texts."""
    file = Lines(tmp_path / "x.jsonl")
    awkward = 'quotes " and \\ \n new \u2028 lines, \ud800 half a pair, \x00'
    for number in range(3):
        file.append({"id": number, "text": awkward})
        records, end = read_lines(tmp_path / "x.jsonl")
        assert records == [{"id": one, "text": awkward} for one in range(number + 1)]
        assert end == (tmp_path / "x.jsonl").stat().st_size
    file.close()


@pytest.mark.parametrize("torn", [b'{"id": 2, "te', b'{"id": 2}', b"\x00\x00\x00\n", b'{"id"\n'])
def test_what_was_written_in_part_is_cut_off(tmp_path, torn):
    """A last line without its end, or of rubbish, is as if it had never been; the next one stands in its place."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"id":1}\n' + torn)
    file = Lines(path)
    assert file.records == [{"id": 1}]
    file.append({"id": 3})
    file.close()
    assert path.read_bytes() == b'{"id":1}\n{"id":3}\n'


def test_a_damaged_line_in_the_middle_is_an_error(tmp_path):
    """What cannot have come from a kill is not passed over: the message names file and line."""
    (tmp_path / "x.jsonl").write_bytes(b'{"id":1}\nrubbish\n{"id":3}\n')
    with pytest.raises(StoreError, match=r"x\.jsonl, line 2: is damaged"):
        Lines(tmp_path / "x.jsonl")


def test_the_first_reply_under_a_key_stays(tmp_path):
    """A reply is remembered once, also by the next session."""
    replies = Replies(tmp_path / "r.jsonl")
    replies.remember("", "a", "one")
    replies.remember("", "a", "two")
    replies.close()
    again = Replies(tmp_path / "r.jsonl")
    assert (again.recall("", "a"), again.recall("", "b")) == ("one", None)
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 1
    again.close()


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path):
    """A file in the folder's place is told in one line."""
    (tmp_path / "x").write_text("")
    with pytest.raises(BadInput, match="cannot be made"), Folder(tmp_path / "x" / "y"):
        pass


def test_no_text_is_in_both_parts():
    """However the seed falls, an item and all that share a normalised text with it are in one part."""
    bests = [(str(i), [f"Question {i % 30}?", f"QUESTION {i % 30}", f"version {i}"]) for i in range(90)]
    shares = set()
    for seed in range(20):
        parts = parted(bests, 0.2, seed)
        texts = {
            part: {normalised(text) for name, some in bests if parts[name] == part for text in some}
            for part in ("train", "validation")
        }
        assert not texts["train"] & texts["validation"]
        held = {normalised(some[0]) for name, some in bests if parts[name] == "validation"}
        assert len(held) == 6
        shares.add(frozenset(held))
        assert parted(list(reversed(bests)), 0.2, seed) == parts
    assert len(shares) > 10


def test_a_chain_of_shared_texts_stays_together():
    """Sharing is transitive: a with b by one text, b with c by another."""
    parts = parted([("a", ["1", "x"]), ("b", ["2", "X!", "y"]), ("c", ["3", "Y"]), ("d", ["4"])], 0.5, 1)
    assert parts["a"] == parts["b"] == parts["c"] != parts["d"]
    assert set(parted([("a", ["1"])], 0.5, 1).values()) == {"train"}
    assert parted([], 0.5, 1) == {}


def answers(version, *scores):
    return Answers("i", version, tuple(Answer("", score) for score in scores))


def test_the_first_of_the_best_is_kept_and_a_tie_is_the_originals():
    """Equal scores change nothing; of equals the earlier rewrite; one that was never scored is not chosen."""
    item = Item("i", "mmlu", "ask", "", float)
    made = [Rewrite("i", 1, 0, "one", "new"), Rewrite("i", 1, 1, "two", "new"), Rewrite("i", 2, 0, "three", "new")]
    scored = {"1-0": answers("1-0", 0.5, 0.5), "1-1": answers("1-1", 1, 1), "2-0": answers("2-0", 1, 1)}
    assert best_of(item, answers("original", 0, 0), made, scored).improved == "two"
    assert not best_of(item, answers("original", 1, 1), made, scored).is_improved
    assert not best_of(item, answers("original", 0, 0), made, {"1-0": answers("1-0", None)}).is_improved
    assert not best_of(item, answers("original", 0.5), made[:1], scored, 0.4).is_improved


def test_a_kept_original_differs_by_exactly_nothing():
    """Items whose original was kept are part of the comparison with a difference of 0; without items there is none."""
    found = compared([(0.0, 1.0), (0.5, None), (0.25, None)])
    assert (found.items, found.changed) == (3, 1)
    assert found.difference == pytest.approx(1 / 3)
    assert not found.is_clear
    assert "within the noise" in str(found)
    assert compared([]) is None


def test_first_words_are_counted_without_case_and_marks():
    """The most frequent first; a text without words has none."""
    assert first_words(["**What** now", "what?", "Name", "...", ""]) == (("what", 2), ("name", 1))
