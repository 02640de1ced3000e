"""What a run prints."""

from __future__ import annotations

import io

from llm_optimize.core.events import Guided, Opened, Proposed, Stopped, Told
from llm_optimize.core.printing import Printer
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem

EVENTS = (
    Opened(Problem("t")),
    Proposed((Candidate(0, "start", origin="start"),)),
    Told(0, Evaluation(0.5, "half")),
    Proposed((Candidate(1, "\nbetter\n", "Longer is better.", "chat:m"),), note="a duplicate of #0 was dropped"),
    Told(1, Evaluation(0.75)),
    Guided("be brief"),
    Proposed((Candidate(2, "broken"),)),
    Told(2, Failure("raised", "ValueError: no")),
    Stopped("max_steps: 2 steps are done"),
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def printed(stream):
    printer = Printer(stream)
    for event in EVENTS:
        printer(event)
    return stream.getvalue()


def test_a_run_prints_candidates_scores_feedback_failures_and_the_best():
    """Everything that a person needs to follow a run is there, and a pipe gets no escapes."""
    text = printed(io.StringIO())
    assert "\x1b" not in text
    assert text.splitlines() == [
        "#0 (start)", "start", "#0 score 0.5", "half",
        "note: a duplicate of #0 was dropped", "Longer is better.", "#1 (chat:m)", "better",
        "#1 score 0.75 *best so far*",
        "guidance: be brief", "#2", "broken", "#2 failed (raised): ValueError: no",
        "stopped: max_steps: 2 steps are done", "best: 0.75 (#1)", "better",
    ]  # fmt: skip


def test_a_terminal_gets_colours_unless_they_are_unwanted(monkeypatch):
    """NO_COLOR is obeyed."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[36;1m" in printed(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(Terminal())


def test_without_a_stream_it_prints_to_whatever_stdout_is(capsys):
    """The stream is looked up when something is printed."""
    Printer()(EVENTS[1])
    assert capsys.readouterr().out == "#0 (start)\nstart\n"
