"""What the live page's server streams: every event once and in order, whoever reads slowly, late or not at all."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import ExitStack

from llm_optimize import Draft, MaxSteps, MemoryStore, Proposal, SQLiteStore
from llm_optimize.core.chat import Piece
from llm_optimize.core.events import Guided, Opened, Proposed, Stopped, Told
from llm_optimize.core.folding import Folding
from llm_optimize.core.metering import current_scope
from llm_optimize.core.types import Candidate, Evaluation, Problem
from llm_optimize.serve.following import Follower
from llm_optimize.serve.hub import STREAMS
from llm_optimize.serve.speech import Speech


def logged(event, count):
    """Return the numbers of the next events of a log, other kinds passed over."""
    numbers = []
    while len(numbers) < count:
        one = event()
        if one.get("event") == "log":
            assert int(one["id"]) == one["data"]["seq"]
            numbers.append(one["data"]["seq"])
    return numbers


def to_the_end(event, seen):
    """Keep the numbers of a stream's events until it ends."""
    while one := event():
        if one.get("event") == "log":
            seen.append(one["data"]["seq"])


def test_a_reader_that_comes_back_misses_nothing_and_sees_nothing_twice(page_of):
    """The number that a browser sends back, or the address names, is where the stream goes on."""
    with page_of() as page:
        page.study.run()
        total = len(list(page.store.read("demo")))
        with page.stream("/api/events?study=demo") as event:
            assert logged(event, 4) == [1, 2, 3, 4]
        with page.stream("/api/events?study=demo&after=0", Last_Event_ID="4") as event:
            assert logged(event, total - 4) == list(range(5, total + 1))
        with page.stream(f"/api/events?study=demo&after={total}") as event:
            page.store.append("demo", Guided("by another process"))
            assert logged(event, 1) == [total + 1]


def test_events_come_while_the_study_runs_and_its_end_before_the_stream_s(page_of):
    """A reader sees each evaluation before the next is made, and the session's end though the server ends with it."""
    begun, seen, scored = threading.Event(), threading.Event(), []

    def score(text):
        if scored:
            assert seen.wait(20)
        scored.append(text)
        begun.set()
        return len(text)

    with page_of(score) as page:
        running = threading.Thread(target=page.study.run)
        running.start()
        assert begun.wait(20)
        with page.stream("/api/events?study=demo") as event:
            lines = []
            while not any("scored" in line for line in lines):
                one = event()
                lines += [one["data"]["line"]] if one["event"] == "log" else []
            assert len(scored) == 1
            seen.set()
            running.join()
            while not any(line.startswith("the session ended: max_steps") for line in lines):
                one = event()
                lines += [one["data"]["line"]] if one.get("event") == "log" else []


def test_every_reader_has_seen_everything_when_the_server_ends(page_of):
    """Whatever each was doing when the last event came: no stream ends without it."""
    seen = [[] for _ in range(16)]
    with ExitStack() as stack:
        with page_of(stop=MaxSteps(60)) as page:
            assert page.study.history.next_id == 0  # which opens it
            readers = [stack.enter_context(page.stream("/api/events?study=demo")) for _ in seen]
            threads = [threading.Thread(target=to_the_end, args=pair) for pair in zip(readers, seen, strict=True)]
            for thread in threads:
                thread.start()
            page.study.run()
            total = len(list(page.store.read("demo")))
        for thread in threads:
            thread.join()
    assert seen == [list(range(1, total + 1))] * 16


def test_a_reader_that_takes_nothing_holds_nobody_up(page_of):
    """The study runs to its end, and another reader sees all of it, while one does not read at all."""
    with page_of(lambda text: (len(text), "x" * 50_000), stop=MaxSteps(300)) as page:
        assert page.study.history.next_id == 0  # which opens it: it is there to be read
        with socket.create_connection(("127.0.0.1", page.port)) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.sendall(b"GET /api/events?study=demo HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert page.study.run().reason == "max_steps: 300 steps are done"
            total = len(list(page.store.read("demo")))
            with page.stream("/api/events?study=demo") as event:
                assert logged(event, total) == list(range(1, total + 1))


def test_as_many_streams_as_may_be_and_no_more(page_of):
    """One more is refused, and welcome when another has gone."""
    with page_of() as page:
        page.study.run()
        with ExitStack() as stack:
            events = [stack.enter_context(page.stream("/api/events?study=demo")) for _ in range(STREAMS)]
            for event in events:
                assert logged(event, 1) == [1]
            assert page.ask("/api/events?study=demo")[0] == 503
        status = 503
        while status == 503:
            with socket.create_connection(("127.0.0.1", page.port)) as one:
                one.sendall(b"GET /api/events?study=demo HTTP/1.1\r\nHost: localhost\r\n\r\n")
                status = int(one.recv(100).split()[1])
        assert status == 200


def test_the_report_s_data_say_how_far_they_go(page_of):
    """The page asks again for what has come since; a study whose texts are halves of characters is no trouble."""
    with page_of() as page:
        page.study.run()
        page.store.append("demo", Guided("\ud800 </script>"))
        status, _, body = page.ask("/api/report?study=demo")
        answer = json.loads(body)
        assert status == 200
        assert answer["upto"] == len(list(page.store.read("demo")))
        assert "guidance: \ud800 </script>" in answer["data"]["texts"]
        assert json.loads(page.ask("/api/studies")[2])["studies"][0]["name"] == "demo"


def test_what_is_said_is_written_by_the_page_s_server(page_of):
    """Each decision becomes an event of the same store, for the study to heed."""
    with page_of() as page:
        page.study.run()
        for body in ({"act": "say", "text": "brief"}, {"act": "pin", "candidate": 1}, {"act": "unpin"},
                     {"act": "reject", "candidate": 2, "text": "spam"}, {"act": "accept", "candidate": 3},
                     {"act": "inject", "text": "mine"}, {"act": "raise", "text": "steps=9"}):  # fmt: skip
            status, _, answer = page.ask("/api/say?study=demo", "POST", body)
            now = "now: it is the result until the study is resumed"
            heeded = now if body["act"] == "accept" else "when the study is resumed"
            assert (status, json.loads(answer)["heeded"]) == (200, heeded)
        said = [event for _, event in page.store.read("demo") if isinstance(event, Guided)]
        assert [event.act for event in said] == ["say", "pin", "unpin", "reject", "accept", "inject", "raise"]
        assert [event.candidate_id for event in said] == [None, 1, None, 2, 3, None, None]
        assert all(event.at > 0 for event in said)


def test_a_reply_is_shown_while_it_is_being_written(page_of):
    """The reader has its first words before the model says the next ones; they are no events of the log."""
    heard = threading.Event()

    class Speaking:
        def propose(self, history, n):
            scope = current_scope()
            scope.say("text", "Once upon")
            assert heard.wait(20)
            scope.say("text", " a time")
            scope.say("end")
            return Proposal((Draft("xy"),))

    with page_of(stop=MaxSteps(1), proposer=Speaking()) as page:
        assert page.study.history.next_id == 0
        with page.stream("/api/events?study=demo") as event:
            running = threading.Thread(target=page.study.run)
            running.start()
            said = ""
            while said != "Once upon a time":
                one = event()
                if one.get("event") == "speech":
                    assert "id" not in one
                    assert one["data"]["unit"] == "proposal/0"
                    said += one["data"]["text"]
                    heard.set()
            running.join()


def test_a_small_curve_shows_the_best_after_each_evaluation(page_of):
    """Of a long study so many points as a card has room for; the last one is today's best."""
    with page_of(lambda text: -len(text) if len(text) > 3 else len(text), stop=MaxSteps(400)) as page:
        page.study.run()
        best = json.loads(page.ask("/api/curve?study=demo")[2])["best"]
        assert len(best) == 120
        assert best[-1] == 3
        assert best == sorted(best)


def test_a_log_longer_than_what_is_kept_ready_is_read_from_the_store(tmp_path):
    """Every number once, in order, from any place; what is kept is bounded."""
    store = SQLiteStore(tmp_path / "s.db")
    store.append("long", Opened(Problem("t")))
    for i in range(2200):
        store.append("long", Guided(f"word {i}"))
    follower = Follower(store, "long")
    assert not follower.refresh()
    assert (follower.sequence, follower.caught_up) == (2201, True)
    for start in (0, 700, 1201, 1202, 2199, 2201, 5000):
        numbers, position = [], start
        while rows := follower.after(position):
            numbers += [row["seq"] for row in rows]
            position = numbers[-1]
        assert numbers == list(range(start + 1, 2202))


def test_where_a_study_stands_names_the_caps_in_force():
    """Those of the session's settings, as they were raised."""
    store = MemoryStore()
    store.append(
        "one", Opened(Problem("t"), 0, {"in_force": {"max_steps": 5, "budget": {"tokens": 100, "dollars": None}}})
    )
    store.append("one", Guided("tokens=500", act="raise"))
    store.append("one", Guided("", act="pause"))
    follower = Follower(store, "one")
    follower.refresh()
    standing = follower.standing()
    assert standing["caps"] == {"steps": 5, "tokens": 500}
    assert (standing["paused"], standing["stopping"], standing["reason"]) == (True, False, None)
    store.append("one", Stopped("enough"))
    follower.refresh()
    assert follower.standing()["reason"] == "enough"


def test_each_reader_hears_a_reply_at_its_own_pace():
    """One that listens often and one that comes late read the same; a new reply of the same unit begins afresh."""
    speech = Speech(lambda: None)
    often, late, heard = {}, {}, ""
    for word in ("Once ", "upon ", "a time"):
        speech.hear(Piece("proposal/0", "text", word))
        heard += "".join(part["text"] for part in speech.since(often))
    assert speech.since(often) == []
    [part] = speech.since(late)
    assert heard == part["text"] == "Once upon a time"
    assert part["fresh"]
    speech.hear(Piece("proposal/0", "end"))
    assert [(part["text"], part["ended"], part["fresh"]) for part in speech.since(late)] == [("", True, False)]
    speech.hear(Piece("proposal/0", "text", "again"))
    assert [(part["text"], part["fresh"]) for part in speech.since(late)] == [("again", True)]


def test_what_is_kept_of_replies_is_bounded():
    """Long replies lose their beginning, and of very many the oldest are forgotten."""
    speech, known = Speech(lambda: None), {}
    for unit in range(500):
        for _ in range(3):
            speech.hear(Piece(f"evaluation/{unit}", "text", "x" * 30_000))
    parts = speech.since(known)
    assert len(parts) == len(known) == 32
    assert {len(part["text"]) for part in parts} == {20_000}


def test_of_a_long_past_the_latest_is_sent(page_of):
    """As many events as were asked for, then what comes; a reader that knows some of them gets the others."""
    with page_of(stop=MaxSteps(20)) as page:
        page.study.run()
        total = len(list(page.store.read("demo")))
        with page.stream("/api/events?study=demo&most=5") as event:
            assert logged(event, 5) == list(range(total - 4, total + 1))
            page.store.append("demo", Guided("later"))
            assert logged(event, 1) == [total + 1]
        with page.stream(f"/api/events?study=demo&after={total}&most=5") as event:
            assert logged(event, 1) == [total + 1]
        assert page.ask("/api/events?study=demo&most=x")[0] == 400


def test_a_long_study_begins_with_its_snapshot(tmp_path):
    """What lies before comes from the store; where it stands, and what is decided, is the whole study's."""
    with SQLiteStore(tmp_path / "s.db") as store:
        settings = {"in_force": {"max_steps": 900, "budget": {}}}
        store.extend("long", [Opened(Problem("t", start="x"), 0, settings, at=1.0), *trials(150)])
        Folding(store, "long", least=100, keeping=True).read(store)
        store.append("long", Guided("later"))
        follower = Follower(store, "long")
        assert not follower.refresh()
        assert [row["seq"] for row in follower.after(301)] == [302]
        assert [row["seq"] for row in follower.after(0)] == list(range(1, 303))
        assert follower.curve(5) == [148.0, 149.0]  # the best of the snapshot, which ends before the last outcome
        assert follower.standing()["best_score"] == 149
        assert len(follower.log().trials) == 150
        assert follower.standing()["caps"] == {"steps": 900}


def trials(count):
    for number in range(count):
        yield Proposed((Candidate(number, f"text {number}"),), slot=number - 1, at=2.0 + number)
        yield Told(number, Evaluation(float(number)), 0.1, 2.5 + number)


def test_a_study_that_is_about_to_begin_has_a_page(page_of):
    """Who opens the address before the first event waits for it, and is not told that there is no such study."""
    with page_of() as page, page.stream("/api/events?study=demo") as event:
        assert event()["event"] == "standing"
        assert page.ask("/api/report?study=demo")[0] == 404
        assert page.ask("/api/events?study=other")[0] == 400
        page.study.run()
        assert logged(event, 2) == [1, 2]
        assert page.ask("/api/report?study=demo")[0] == 200
