"""What all who watch share: one reader per study, one report at a time, one listing; nothing of it waits for a reader.

Everything here runs in the server's event loop, but for reading the store, which threads do. The study's own thread
only ever calls :meth:`Hub.wake` and :meth:`Hub.hear`, which set a flag.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput, StoreError
from llm_optimize.report.data import report_data
from llm_optimize.serve.answers import server_sent
from llm_optimize.serve.following import Follower
from llm_optimize.serve.listening import Listening
from llm_optimize.serve.sources import Announcing
from llm_optimize.serve.speech import Speech
from llm_optimize.serve.telling import cut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from llm_optimize.core.chat import Piece
    from llm_optimize.serve.sources import Source
    from llm_optimize.stores.listing import StudyInfo

__all__ = ["STREAMS", "Hub", "TooMany"]

STREAMS = 64
"""How many readers there may be at once."""

_POLL_S = 0.25  # how often another process's log is looked at while somebody watches
_READING_S = 0.5  # how often one who waits for a long log to be read is told how far it is
_LIST_S = 1.0
_BEAT_S = 10.0  # a stream without news says that it is alive
_READ = 16  # studies whose past is kept in memory, watched ones aside
_SPEECH_S = 0.1  # between two parts of a reply that are sent to one reader
_REST = 5  # times as long as a report took nobody gets a newer one: it may use a sixth of a core


class TooMany(Exception):
    """As many streams are open as may be."""


class _Watched:
    """A study that somebody watches."""

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self.readers = 0
        self.news = asyncio.Event()  # replaced when it is set, so each reader waits for the next news
        self.nudge = asyncio.Event()
        self.report: tuple[int, bytes] = (0, b"")
        self.rests_until = 0.0
        self.unreadable = False
        self.reporting = asyncio.Lock()
        self.task: asyncio.Task[None] | None = None

    def announce(self) -> None:
        old, self.news = self.news, asyncio.Event()
        old.set()


class Hub:
    """The studies of one store, for the readers of the live page."""

    def __init__(self, store: Source, only: str | None = None, running: str | None = None) -> None:
        """Read nothing yet.

        Args:
            store: where the studies are.
            only: the one study to show; None for all.
            running: the study that this process runs, whose replies are heard here.
        """
        self.store = store
        self.only = only
        self.running = running
        self.speech = Speech(self.wake)
        self._watched: dict[str, _Watched] = {}
        self._read: dict[str, Follower] = {}  # those that were asked for last, so that their logs are read once
        self._streams = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = threading.Event()
        self._closing = False
        self._listing: tuple[float, list[dict[str, Any]]] = (0.0, [])
        self._listed = asyncio.Lock()
        self._followers: dict[str, Follower] = {}  # of those watched; never changed, only replaced: a thread reads it
        self._listening: Listening | None = None

    # --- called from the study's threads --------------------------------------------------------------------------

    def wake(self) -> None:
        """Say that there is news; from any thread, at no cost for it."""
        loop = self._loop
        if loop is None or self._woken.is_set():
            return
        self._woken.set()
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(self._nudge)

    def hear(self, piece: Piece) -> None:
        """Take in a part of a reply."""
        self.speech.hear(piece)

    def close(self) -> None:
        """Let the streams send what there is and end; from any thread."""
        self._closing = True
        if self._listening is not None:
            self._listening.close()
        self._woken.clear()
        self.wake()

    def _sequences(self) -> dict[str, int]:
        return {name: follower.sequence for name, follower in self._followers.items()}

    def _nudge(self) -> None:
        self._woken.clear()
        for watched in self._watched.values():
            watched.nudge.set()

    # --- called from the server's loop ----------------------------------------------------------------------------

    def attach(self) -> None:
        """Belong to the running event loop."""
        self._loop = asyncio.get_running_loop()

    def shows(self, study: str) -> bool:
        """Return whether a study may be looked at."""
        return self.only is None or study == self.only

    async def studies(self) -> list[dict[str, Any]]:
        """Return a line about each study; at most a second old, or ten times as old as finding it out took."""
        async with self._listed:
            until, lines = self._listing
            began = time.monotonic()
            if began >= until:
                found = await asyncio.to_thread(self.store.overview)
                lines = [_line(info, self.running) for info in found if self.shows(info.name)]
                now = time.monotonic()
                self._listing = (now + max(_LIST_S * 0.9, 10 * (now - began)), lines)
            return lines

    async def up_to_date(self, study: str) -> Follower:
        """Return a study, read as far as its log goes now.

        Raises:
            BadInput: there is no such study.
        """
        follower = await self.follower(study)
        while await asyncio.to_thread(follower.refresh):
            pass
        return follower

    async def follower(self, study: str) -> Follower:
        """Return a study as far as it has been read.

        Raises:
            BadInput: there is no such study.
        """
        if not self.shows(study) or not await self._known(study):
            msg = f"study {cut(study)!r} is not here: the page at / lists those that are"
            raise BadInput(msg)
        watched = self._watched.get(study)
        follower = watched.follower if watched is not None else self._read.get(study) or Follower(self.store, study)
        self._read.pop(study, None)
        while len(self._read) >= _READ:
            del self._read[next(iter(self._read))]
        self._read[study] = follower
        return follower

    async def _known(self, study: str) -> bool:
        def look() -> bool:
            return next(iter(self.store.read(study)), None) is not None

        return study in self._read or study in self._watched or await asyncio.to_thread(look)

    async def report(self, study: str) -> bytes:
        """Return the report's data as JSON, with the sequence number up to which it goes; perhaps not the newest.

        Raises:
            BadInput: there is no such study.
        """
        follower = await self.up_to_date(study)
        with self._watching(follower) as watched:
            async with watched.reporting:
                upto, body = watched.report
                if upto < follower.sequence and time.monotonic() >= watched.rests_until:
                    began = time.monotonic()
                    upto, body = await asyncio.to_thread(_report, follower)
                    now = time.monotonic()
                    watched.report, watched.rests_until = (upto, body), now + _REST * (now - began)
                return body

    async def events(self, study: str, position: int, most: int | None = None) -> AsyncGenerator[bytes]:
        """Yield a study's events behind a position as they come, and what its models say, for one reader.

        Args:
            study: its name.
            position: the last event that the reader knows.
            most: of more past events only the latest so many are sent; None sends all.

        Raises:
            BadInput: there is no such study.
            TooMany: too many are reading already.
        """
        follower = await self.follower(study)
        await asyncio.to_thread(follower.refresh)
        self._refuse_many()
        return self._events(follower, position, most)

    async def listings(self) -> AsyncGenerator[bytes]:
        """Yield the listing whenever it has changed, for one reader.

        Raises:
            TooMany: too many are reading already.
        """
        self._refuse_many()
        return self._listings()

    def _refuse_many(self) -> None:
        if self._streams >= STREAMS:
            raise TooMany

    async def _events(self, follower: Follower, position: int, most: int | None) -> AsyncGenerator[bytes]:
        known: dict[str, tuple[int, int, bool]] = {}
        stood = 0.0
        # A store that cannot be read ends the stream: the browser comes back, and is told why.
        with self._counted(), self._watching(follower) as watched, suppress(StoreError):
            while not (follower.caught_up or self._closing or watched.unreadable):
                yield server_sent("reading", {"events": follower.sequence})
                await _either(watched.news, _READING_S)
            if most is not None:
                position = max(position, follower.sequence - most)
            while True:
                news, last = watched.news, self._closing
                if last:
                    await asyncio.to_thread(follower.refresh)  # what came before the end was said belongs to it
                rows = await asyncio.to_thread(follower.after, position)
                for row in rows:
                    yield server_sent("log", row, row["seq"])
                    position = row["seq"]
                for part in self.speech.since(known) if follower.study == self.running else ():
                    yield server_sent("speech", part)
                if rows:
                    stood = 0.0
                    continue
                if time.monotonic() >= stood:
                    yield server_sent("standing", {**follower.standing(), **await self._state(follower)})
                    stood = time.monotonic() + _LIST_S
                if last:
                    return
                at_once = time.monotonic() + _SPEECH_S
                await _either(news, _BEAT_S)
                await asyncio.sleep(max(0.0, at_once - time.monotonic()))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    async def _state(self, follower: Follower) -> dict[str, Any]:
        lines = await self.studies()
        state = next((line["state"] for line in lines if line["name"] == follower.study), "unknown")
        return {"state": state, "here": follower.study == self.running}

    async def _listings(self) -> AsyncGenerator[bytes]:
        sent: list[dict[str, Any]] | None = None
        with self._counted():
            while not self._closing:
                lines = await self.studies()
                yield server_sent("studies", lines) if lines != sent else b": alive\n\n"
                sent = lines
                await asyncio.sleep(_LIST_S)

    @contextmanager
    def _watching(self, follower: Follower) -> Iterator[_Watched]:
        """Keep a study followed while the block runs; the last one to leave ends it."""
        study = follower.study
        watched = self._watched.get(study)
        if watched is None:
            watched = self._watched[study] = _Watched(follower)
            self._followers = {name: one.follower for name, one in self._watched.items()}
            if self._listening is None and isinstance(self.store, Announcing):
                self._listening = Listening(self.store, self._sequences, self.wake)
            watched.task = asyncio.create_task(self._follow(watched))
        watched.readers += 1
        try:
            yield watched
        finally:
            watched.readers -= 1

    async def _follow(self, watched: _Watched) -> None:
        """Look for news as long as somebody is interested, and a while longer: a page that reloads comes back."""
        alone_since: float | None = None
        announced = 0
        try:
            while alone_since is None or time.monotonic() - alone_since < _BEAT_S:
                said = watched.nudge.is_set()
                watched.nudge.clear()
                more = await self._refreshed(watched)
                if said or watched.follower.sequence > announced:
                    announced = watched.follower.sequence
                    watched.announce()
                if not more:
                    await _either(watched.nudge, _POLL_S if self._listening is None else _BEAT_S)
                alone_since = None if watched.readers else alone_since or time.monotonic()
        finally:
            self._watched.pop(watched.follower.study, None)
            self._followers = {name: one.follower for name, one in self._watched.items()}

    @staticmethod
    async def _refreshed(watched: _Watched) -> bool:
        """Read what is new; return whether there is more."""
        try:
            more = await asyncio.to_thread(watched.follower.refresh)
        except StoreError:  # a file that is locked or gone for a while: the next look tells
            watched.unreadable = True
            return False
        watched.unreadable = False
        return more


def _report(follower: Follower) -> tuple[int, bytes]:
    upto = follower.sequence
    body = {"upto": upto, "data": report_data(follower.log())}
    return upto, json.dumps(body, allow_nan=False, default=str).encode()


def _line(info: StudyInfo, running: str | None) -> dict[str, Any]:
    state = "running" if info.owner_pid is not None else "stopped" if info.last_reason else "killed"
    return {
        "name": cut(info.name, 10_000),
        "state": state,
        "here": info.name == running,
        "trials": info.trials,
        "best": info.best_score,
        "reason": cut(info.last_reason or ""),
        "opened": info.opened_at,
        "updated": info.updated_at,
    }


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, or so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
