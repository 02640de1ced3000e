"""What a sweep shows and writes while it runs: a line for each pair, and every answer as it arrives."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Proposed, Retold, Stopped, Told
from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from llm_optimize.core.events import Event
    from llm_optimize.core.types import Outcome
    from llm_optimize.sweep.wording import Words

__all__ = ["Lines", "Rows", "settings_line"]

_RESULTS = "results.jsonl"


def settings_line(settings: Mapping[str, Any]) -> str:
    """Return settings in a line: ``temperature=0.3 top_k=15``."""
    return " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in settings.items()
    )


@dataclass(slots=True)
class Lines:
    """An observer that has each pair with its similarity said.

    Attributes:
        words: of a language.
        say: prints a line.
    """

    words: Words
    say: Callable[[str], None]
    _known: dict[int, dict[str, Any]] = field(default_factory=dict)
    _best: float | None = None

    def __call__(self, event: Event) -> None:
        """Say what the event is about."""
        match event:
            case Proposed():
                self._known |= {one.id: json.loads(one.text)["settings"] for one in event.candidates}
            case Told() | Retold():
                self._told(event.candidate_id, event.outcome)
            case Stopped():
                self.say(self.words.stopped.format(reason=event.reason))

    def _told(self, id_: int, outcome: Outcome) -> None:
        shown = settings_line(self._known.get(id_, {}))
        if not isinstance(outcome, Evaluation):
            self.say(self.words.failed.format(id=id_, why=f"{outcome.kind}: {outcome.message}"))
            return
        better = self._best is None or outcome.score > self._best
        self._best = outcome.score if better else self._best
        mark = " *" if better else ""
        self.say(self.words.scored.format(id=id_, similarity=outcome.score, mark=mark, settings=shown))


@dataclass(slots=True)
class Rows:
    """An observer that writes a line of JSON for each evaluation as it arrives; the log stays what counts.

    Attributes:
        folder: where ``results.jsonl`` is written.
    """

    folder: Path
    _known: dict[int, dict[str, Any]] = field(default_factory=dict)

    def begin(self, past: Iterable[Event]) -> None:
        """Begin the file anew with what the log holds: a killed run may have written one line less than it logged.

        Raises:
            BadInput: the folder cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path.write_text("", encoding="utf-8")
        except OSError as error:
            msg = f"folder: {self.folder} cannot be written to ({error.strerror}): give another, or None"
            raise BadInput(msg) from error
        for event in past:
            self(event)

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / _RESULTS

    def __call__(self, event: Event) -> None:
        """Write what the event is about."""
        if isinstance(event, Proposed):
            self._known |= {one.id: json.loads(one.text) for one in event.candidates}
        elif isinstance(event, Told | Retold):
            row = {"id": event.candidate_id, **self._known[event.candidate_id], **_result(event.outcome, event.seconds)}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _result(outcome: Outcome, seconds: float) -> dict[str, Any]:
    scored = isinstance(outcome, Evaluation)
    return {
        "response": outcome.answers[0] if isinstance(outcome, Evaluation) and outcome.answers else None,
        "responses": list(outcome.answers) if isinstance(outcome, Evaluation) else [],
        "similarity": outcome.score if isinstance(outcome, Evaluation) else None,
        "similarities": list(outcome.examples) if isinstance(outcome, Evaluation) else [],
        "tokens": outcome.usage.tokens,
        "seconds": round(seconds, 6),
        "failure": "" if scored else f"{outcome.kind}: {outcome.message}",  # type: ignore[union-attr]  # a Failure by now
    }
