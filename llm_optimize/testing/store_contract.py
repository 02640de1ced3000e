"""What every store must do, as tests that anyone can run for a store of their own.

Subclass :class:`StoreContract` in a test file and give it the fixture ``store``::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            with MyStore(tmp_path / "log") as store:
                yield store

Tests of :class:`~llm_optimize.core.protocols.ReplyLog`, :class:`~llm_optimize.core.protocols.Shelving` and
:class:`~llm_optimize.core.protocols.Ownable` are skipped for a store that does not offer them.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from llm_optimize.core.events import Event, Guided, Opened, Proposed, Stopped, Told
from llm_optimize.core.folding import Folding
from llm_optimize.core.growing import folded
from llm_optimize.core.protocols import ExchangeLog, Ownable, ReplyLog, Shelving, Store
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem, Usage
from llm_optimize.errors import StudyOwned

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["StoreContract", "sample_events"]

_THREADS = 4
_EACH = 50


def sample_events() -> tuple[Event, ...]:
    """Return a small study with one event of each kind and every field filled, the awkward characters included."""
    awkward = 'naïve 🙂 \x00 \u2028 "quoted" \\ \n\t\'; DROP TABLE events; --'
    usage = Usage(2, 100, 50, 20, 0.0125, 1.5, estimated=True)
    return (
        Opened(
            Problem(f"task {awkward}", "question", "start"), 7, {"max_steps": 3, "model": "m", "deep": [1, None]}, 1.0
        ),
        Proposed((Candidate(0, "start", origin="start"),), at=2.0),
        Told(0, Evaluation(3, awkward, {"length": 5.0}, (1.0, 0.0), usage, (awkward, "")), 0.5, 3.0),
        Proposed((Candidate(1, awkward, "why", "chat:m", 0), Candidate(2, "two")), usage, 0, "note", 4.0),
        Told(1, Failure("raised", "ValueError: no", usage), 0.25, 5.0),
        Guided("be brief", 6.0),
        Told(2, Evaluation(-1.5), at=7.0),
        Stopped("3 steps", 8.0),
    )


def _long_study(trials: int) -> Iterator[Event]:
    yield Opened(Problem("task", "question"), at=1.0)
    for id_ in range(trials):
        yield Proposed((Candidate(id_, f"text {id_}"),), Usage(calls=1), id_, at=2.0 + id_)
        yield Told(id_, Evaluation(id_ * 37 % 101), 0.1, 2.5 + id_)


class StoreContract:
    """The tests; each says in one sentence what must hold."""

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store of the kind under test; a subclass overrides this."""
        msg = "override the fixture `store`"
        raise NotImplementedError(msg)

    def test_is_a_store(self, store: Store) -> None:
        """The object has the methods of the protocol."""
        assert isinstance(store, Store)

    def test_events_come_back_as_they_were(self, store: Store) -> None:
        """Every event reads back equal to what was appended, in order, numbered from 1 without a gap."""
        events = sample_events()
        numbers = [store.append("study", event) for event in events]
        assert numbers == list(range(1, len(events) + 1))
        assert list(store.read("study")) == list(zip(numbers, events, strict=True))

    def test_integer_scores_stay_integers(self, store: Store) -> None:
        """An integer score comes back as one, of any size."""
        store.append("study", Told(0, Evaluation(10**30)))
        [(_, event)] = store.read("study")
        assert isinstance(event, Told)
        assert isinstance(event.outcome, Evaluation)
        assert isinstance(event.outcome.score, int)
        assert event.outcome.score == 10**30

    def test_reads_begin_behind_after(self, store: Store) -> None:
        """Nothing up to and including ``after`` is read, and nothing at all when nothing is new."""
        events = sample_events()
        for event in events:
            store.append("study", event)
        assert [number for number, _ in store.read("study", 5)] == [6, 7, 8]
        assert list(store.read("study", len(events))) == []
        assert list(store.read("study", 10_000)) == []

    def test_long_logs_are_read_whole(self, store: Store) -> None:
        """A log of more than a thousand events comes back whole, from the beginning and from its middle."""
        for number in range(1, 1_201):
            store.append("study", Guided(str(number)))
        assert [event.text for _, event in store.read("study") if isinstance(event, Guided)] == [
            str(number) for number in range(1, 1_201)
        ]
        assert sum(1 for _ in store.read("study", 600)) == 600  # noqa: PLR2004 - half of them

    def test_reading_may_stop_early(self, store: Store) -> None:
        """A read that is abandoned after its first event holds nothing up."""
        for event in sample_events():
            store.append("study", event)
        reading = iter(store.read("study"))
        assert next(reading)[0] == 1
        assert store.append("study", Guided("more")) == len(sample_events()) + 1

    def test_appending_while_reading_ends(self, store: Store) -> None:
        """A loop that appends one event for each that it reads comes to an end."""
        store.append("study", Guided("first"))
        for number, _ in store.read("study"):
            assert number == 1
            store.append("study", Guided("echo"))
        assert [number for number, _ in store.read("study")] == [1, 2]

    def test_unknown_studies_are_empty(self, store: Store) -> None:
        """An unknown study reads as nothing, and reading does not create it."""
        assert list(store.read("nobody")) == []
        assert list(store.studies()) == []

    def test_studies_are_apart_and_listed_in_order(self, store: Store) -> None:
        """Each study numbers its own events, and the listing gives the oldest study first."""
        names = ["zebra", "apple", "name with spaces / slashes' and ünïcode"]
        for _ in range(2):
            for name in names:
                store.append(name, Guided(name))
        assert list(store.studies()) == names
        for name in names:
            assert list(store.read(name)) == [(1, Guided(name)), (2, Guided(name))]

    def test_threads_lose_nothing(self, store: Store) -> None:
        """Appends from several threads at once are all kept, and numbered without a gap."""
        ready = threading.Barrier(_THREADS)

        def work(thread: int) -> list[int]:
            ready.wait()
            return [store.append("study", Guided(f"{thread}/{number}")) for number in range(_EACH)]

        with ThreadPoolExecutor(_THREADS) as pool:
            numbers = [number for part in pool.map(work, range(_THREADS)) for number in part]
        assert sorted(numbers) == list(range(1, _THREADS * _EACH + 1))
        texts = {event.text for _, event in store.read("study") if isinstance(event, Guided)}
        assert texts == {f"{thread}/{number}" for thread in range(_THREADS) for number in range(_EACH)}

    def test_first_reply_stays(self, store: Store) -> None:
        """A reply is recalled by study and key as it was written first; others are unknown."""
        if not isinstance(store, ReplyLog):
            pytest.skip("keeps no replies")
        body = "naïve 🙂 \x00 \ud800 \n"
        store.remember("study", "proposal/0/ask-0", body)
        store.remember("study", "proposal/0/ask-0", "second")
        store.remember("other", "proposal/0/ask-0", "other's")
        assert store.recall("study", "proposal/0/ask-0") == body
        assert store.recall("other", "proposal/0/ask-0") == "other's"
        assert store.recall("study", "proposal/1/ask-0") is None
        assert store.recall("nobody", "proposal/0/ask-0") is None

    def test_replies_make_no_study(self, store: Store) -> None:
        """A study that has replies but no event yet is not listed."""
        if not isinstance(store, ReplyLog):
            pytest.skip("keeps no replies")
        store.remember("study", "key", "body")
        assert list(store.studies()) == []
        assert store.append("study", Guided("first")) == 1

    def test_entries_are_written_together_and_listed_in_order(self, store: Store) -> None:
        """Several entries are kept by one call, the first body under a key stays, and keys come in order of writing."""
        if not isinstance(store, ExchangeLog):
            pytest.skip("keeps no exchanges")
        store.remember("study", "zebra", "old")
        store.remember_all("study", {"text/b": "B \ud800", "text/a": "A", "zebra": "new", "text%": "%"})
        store.remember_all("study", {"text/a": "again", "text/c": ""})
        store.remember_all("study", {})
        assert list(store.keys("study")) == ["zebra", "text/b", "text/a", "text%", "text/c"]
        assert list(store.keys("study", "text/")) == ["text/b", "text/a", "text/c"]
        assert [store.recall("study", key) for key in ("zebra", "text/a", "text/b", "text/c")] == [
            *("old", "A", "B \ud800", ""),
        ]
        assert list(store.keys("other")) == []

    def test_entries_from_threads_are_all_kept(self, store: Store) -> None:
        """Threads that write overlapping entries at once lose none of them."""
        if not isinstance(store, ExchangeLog):
            pytest.skip("keeps no exchanges")
        ready = threading.Barrier(_THREADS)

        def work(thread: int) -> None:
            ready.wait()
            for number in range(_EACH):
                store.remember_all("study", {f"text/{number}": str(number), f"reply/{thread}/{number}": "x"})

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(work, range(_THREADS)))
        assert len(store.keys("study", "reply/")) == _THREADS * _EACH
        assert [store.recall("study", f"text/{number}") for number in range(_EACH)] == list(map(str, range(_EACH)))

    def test_keys_with_a_prefix_are_those(self, store: Store) -> None:
        """A prefix means what it says, whatever characters it consists of and whatever follows it."""
        if not isinstance(store, ExchangeLog):
            pytest.skip("keeps no exchanges")
        names = ("a/1", "a/10/x", "a/2", "b", "a", "A/1", "a/1é🙂", "a%1", "a_1", "a/1 z")
        store.remember_all("study", dict.fromkeys(names, ""))
        for prefix in ("", "a", "a/", "a/1", "a/10", "a%", "a_", "é", "a/1é"):
            assert list(store.keys("study", prefix)) == [name for name in names if name.startswith(prefix)]

    def test_events_are_fetched_by_number(self, store: Store) -> None:
        """Events come by their numbers, each once, whatever the order asked for; others are missing."""
        if not isinstance(store, Shelving):
            pytest.skip("does not shelve")
        events = sample_events()
        for event in events:
            store.append("study", event)
        store.append("other", Guided("other's"))
        assert dict(store.fetch("study", [5, 2, 5, 99, 0])) == {2: events[1], 5: events[4]}
        assert dict(store.fetch("study", [])) == {}
        assert dict(store.fetch("nobody", [1])) == {}

    def test_many_events_are_fetched_at_once(self, store: Store) -> None:
        """A thousand numbers are one question."""
        if not isinstance(store, Shelving):
            pytest.skip("does not shelve")
        for number in range(1100):
            store.append("study", Guided(str(number)))
        assert sorted(store.fetch("study", range(1, 1101))) == list(range(1, 1101))

    def test_a_snapshot_is_kept_in_parts(self, store: Store) -> None:
        """A head takes the place of the one before, a part follows those before it, and what is behind it goes."""
        if not isinstance(store, Shelving):
            pytest.skip("does not shelve")
        assert list(store.kept_fold("study")) == []
        store.append("study", Guided("x"))
        assert list(store.kept_fold("study")) == []
        store.keep_fold("study", b"head 1", b"\x00part 1\xff", 1)
        store.keep_fold("study", b"head 2", b"part 2", 2)
        store.keep_fold("study", b"head 3", b"part 3", 3)
        store.keep_fold("other", b"other's", b"part", 1)
        assert list(store.kept_fold("study")) == [b"head 3", b"\x00part 1\xff", b"part 2", b"part 3"]
        store.keep_fold("study", b"head 4", b"another", 2)
        assert list(store.kept_fold("study")) == [b"head 4", b"\x00part 1\xff", b"another"]
        store.keep_fold("study", b"head 5", b"", 1)
        assert list(store.kept_fold("study")) == [b"head 5", b""]
        assert list(store.kept_fold("other")) == [b"other's", b"part"]

    def test_a_twin_sees_the_same_and_stays_open(self, store: Store) -> None:
        """A twin reads the same logs after the store that it is of was closed."""
        close = getattr(store, "close", None)
        if not isinstance(store, Shelving) or close is None:
            pytest.skip("does not shelve")
        store.append("study", Guided("first"))
        twin = store.twin()
        store.append("study", Guided("second"))
        close()
        assert dict(twin.fetch("study", [2])) == {2: Guided("second")}

    def test_a_long_study_goes_on_from_its_snapshot(self, store: Store) -> None:
        """Folded from the snapshot and what came since, a study is what its whole log leads to."""
        if not isinstance(store, Shelving):
            pytest.skip("does not shelve")
        for event in _long_study(150):
            store.append("study", event)
        first = Folding(store, "study", 40, keeping=True)
        first.read(store)
        again = Folding(store, "study", 40)
        assert 0 < again.sequence < first.sequence
        again.read(store)
        whole = folded(_long_study(150))
        assert list(again.history.trials) == list(whole.trials)
        assert (again.history.best, again.history.usage, again.history.next_id) == (whole.best, whole.usage, 150)
        assert again.history.seen("text 77") == whole.seen("text 77")

    def test_one_owner_at_a_time(self, store: Store) -> None:
        """A second claim is refused until the first owner releases; other studies are free."""
        if not isinstance(store, Ownable):
            pytest.skip("has no owners")
        store.claim("study")
        with pytest.raises(StudyOwned, match="study"):
            store.claim("study")
        store.claim("other")
        store.release("study")
        store.claim("study")

    def test_releasing_without_a_claim_does_nothing(self, store: Store) -> None:
        """Releasing a study that nobody owns, or twice, is no error."""
        if not isinstance(store, Ownable):
            pytest.skip("has no owners")
        store.release("study")
        store.claim("study")
        store.release("study")
        store.release("study")
        store.claim("study")

    def test_ownership_stops_no_reader_or_guide(self, store: Store) -> None:
        """Guidance may be appended and the log read while somebody owns the study."""
        if not isinstance(store, Ownable):
            pytest.skip("has no owners")
        store.claim("study")
        assert store.append("study", Guided("shorter")) == 1
        assert list(store.read("study")) == [(1, Guided("shorter"))]
