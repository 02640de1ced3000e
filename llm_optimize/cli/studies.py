"""Looking studies up in a store without making one."""

from __future__ import annotations

import difflib
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.cli.wording import one_line, score_text
from llm_optimize.core.events import Opened
from llm_optimize.core.folding import read_folding
from llm_optimize.core.growing import folded
from llm_optimize.errors import BadInput
from llm_optimize.stores.opening import default_path
from llm_optimize.stores.postgres import PostgresStore
from llm_optimize.stores.postgres_address import Address, is_address
from llm_optimize.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from llm_optimize.core.events import Event
    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial
    from llm_optimize.stores.listing import StudyInfo

__all__ = [
    "LATEST",
    "LONG",
    "AnyStore",
    "Location",
    "StudyEvents",
    "fold",
    "next_name",
    "of_interest",
    "open_at",
    "open_existing",
    "opened_with",
    "origins",
    "state",
    "store_flag",
    "store_path",
    "store_value",
    "study_events",
    "when",
]

Location = Path | Address
"""Where a store is; its text is fit to be shown."""

AnyStore = SQLiteStore | PostgresStore
"""A store that the commands read."""


def store_path(given: str | None) -> Location:
    """Return the store's address or absolute path: what ``--store`` says, else the default.

    Raises:
        BadInput: the path is empty, or the address makes no sense.
    """
    if given is not None and is_address(given):
        return Address.parse(given)
    if given is not None and not given.strip():
        msg = "--store: the path is empty; give the path of a file, or leave the flag out"
        raise BadInput(msg)
    return (Path(given).expanduser() if given is not None else default_path()).absolute()


def store_value(given: str | None) -> str | Path:
    """Return what ``open_store`` takes: ``auto``, an address, or a path, whatever that is called."""
    if given is None:
        return "auto"
    return given if is_address(given) else Path(given)


def store_flag(given: str | None) -> str:
    """Return what to add to a command so that it looks into the same store; a password is left out."""
    return "" if given is None else f" --store {Address.parse(given) if is_address(given) else given}"


def open_existing(path: Location) -> AnyStore | None:
    """Return the store, or None where there is no such file: reading makes none."""
    return open_at(path) if isinstance(path, Address) or path.exists() else None


def open_at(path: Location) -> AnyStore:
    """Return the store; a file that is missing is made."""
    return PostgresStore(path.conninfo, path.timing) if isinstance(path, Address) else SQLiteStore(path)


def next_name(path: Location, stem: str) -> str:
    """Return the first of stem-1, stem-2, ... that the store does not hold."""
    store = open_existing(path)
    known = set(store.studies()) if store else set()
    return next(name for i in range(1, len(known) + 2) if (name := f"{stem}-{i}") not in known)


LONG = 50_000
"""Trials, beyond which not all are counted by origin and failure."""

LATEST = 10_000
"""Those that are counted then."""


class StudyEvents:
    """A study's log, read anew by whoever goes through it: a long one is never in memory as a whole."""

    def __init__(self, store: AnyStore, name: str) -> None:
        """Read nothing yet."""
        self._store = store
        self._name = name

    def __iter__(self) -> Iterator[Event]:
        """Yield the events, oldest first."""
        return (event for _, event in self._store.read(self._name))

    def latest(self, most: int) -> Iterator[Event]:
        """Yield the latest events, at most so many, oldest first."""
        last = read_folding(self._store, self._name).sequence
        return (event for _, event in self._store.read(self._name, max(0, last - most)))

    @property
    def settings(self) -> Mapping[str, Any]:
        """Those of the latest session."""
        opened = self._store.of_kinds(self._name, "opened")
        return next((event.settings for event in reversed(opened) if isinstance(event, Opened)), {})

    @property
    def history(self) -> History:
        """The history that the log leads to; from the snapshot on, where there is one."""
        return read_folding(self._store, self._name).history


def study_events(path: Location, name: str) -> tuple[AnyStore, StudyEvents]:
    """Return the store and the study's log.

    Raises:
        BadInput: there is no such study; names the closest ones.
    """
    store = open_existing(path)
    known = store.studies() if store else ()
    if store is None or name not in known:
        raise BadInput(_unknown(path, name, known))
    return store, StudyEvents(store, name)


def fold(events: Iterable[Event]) -> History:
    """Return the history that a log leads to."""
    return events.history if isinstance(events, StudyEvents) else folded(events)


def opened_with(events: StudyEvents | Sequence[Event]) -> Mapping[str, Any]:
    """Return the settings of the latest session."""
    if isinstance(events, StudyEvents):
        return events.settings
    return next((event.settings for event in reversed(events) if isinstance(event, Opened)), {})


def of_interest(history: History) -> tuple[Sequence[Trial], str]:
    """Return the trials to count: all, or the latest of a long study, which would take minutes; then words for that."""
    if len(history.trials) <= LONG:
        return history.trials, ""
    return history.recent(LATEST), f" of the latest {LATEST}"


def origins(history: History) -> str:
    """Return who made how many of the candidates, with the best score of each; see :func:`of_interest`."""
    trials, of_latest = of_interest(history)
    counts = Counter(trial.candidate.origin for trial in trials)
    best: dict[str, float] = {}
    for trial in trials:
        if trial.score is not None:
            best[trial.candidate.origin] = max(best.get(trial.candidate.origin, trial.score), trial.score)
    return (
        "; ".join(
            f"{one_line(origin) or '(none)'} {count}"
            + (f" (best {score_text(best[origin])})" if origin in best else "")
            for origin, count in counts.most_common()
        )
        + of_latest
    )


def state(info: StudyInfo) -> str:
    """Return what a study is doing, in a few words."""
    if info.owner_pid is not None:
        return f"running (process {info.owner_pid})"
    return f"stopped: {info.last_reason}" if info.last_reason else "killed; resume goes on"


def when(at: float) -> str:
    """Return a time of the log as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _unknown(path: Location, name: str, known: Sequence[str]) -> str:
    if not known:
        return f"study {name!r} is not in {path}: it holds no study; give --store PATH of the file that does"
    close = difflib.get_close_matches(name, known, 3, 0.4)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "`llm-optimize list` shows those that are"
    return f"study {name!r} is not in {path}: {hint}"
