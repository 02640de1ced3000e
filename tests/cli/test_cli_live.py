"""The live view: what a terminal shows while a study runs, and that it is clean behind it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading

import pytest

from llm_optimize.cli.live import Standing, frame, sparkline
from llm_optimize.cli.speech import Speech
from llm_optimize.cli.wording import clean, columns, duration, one_line, trim
from llm_optimize.core.budget import Budget
from llm_optimize.core.chat import Piece
from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Problem, Usage
from llm_optimize.testing.server import Answer, Fault, ScriptedServer


class Glass:
    """As much of a terminal as the view uses: line feeds, returns, erase below, cursor up, styles, wrapping."""

    def __init__(self, width):
        self.width = width
        self.rows = [[]]
        self.row = self.column = 0
        self.frames = []
        self.styles = 0
        self._rest = b""

    def feed(self, said):
        text, self._rest = _whole(self._rest + said)
        for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x1b]", text):
            self._take(piece)

    @property
    def lines(self):
        return ["".join(row).rstrip() for row in self.rows]

    def _take(self, piece):
        if piece == "\n":
            self.row += 1
            self.rows += [[]] * (self.row == len(self.rows))
        elif piece == "\r":
            self.column = 0
        elif piece == "\x1b[J":
            self.frames.append(self.lines)
            self.rows[self.row] = self.rows[self.row][: self.column]
            del self.rows[self.row + 1 :]
        elif piece.endswith("A") and len(piece) > 1:
            self.row -= int(piece[2:-1])
        elif piece.endswith("m") and len(piece) > 1:
            self.styles += 1
        else:
            assert len(piece) == 1, f"a control sequence that was not agreed on: {piece!r}"
            self._put(piece)

    def _put(self, character):
        if self.column == self.width:
            self._take("\n")
            self.column = 0
        row = self.rows[self.row]
        row += [" "] * (self.column + 1 - len(row))
        row[self.column] = character
        self.column += 1


def _whole(said):
    """Return what can be read of these bytes, and the rest: a character or a control sequence that is cut."""
    end = len(said)
    while end and (said[end - 1] & 0xC0) == 0x80:
        end -= 1
    end -= bool(end and said[end - 1] >= 0xC0)
    try:
        said.decode()
    except UnicodeDecodeError:
        pass
    else:
        end = len(said)
    start = said.rfind(b"\x1b", 0, end)
    if start >= 0 and not re.match(rb"\x1b\[[0-9;?]*[A-Za-z]", said[start:end]):
        end = start
    return said[:end].decode(), said[end:]


class Terminal:
    """Runs the command in a terminal of its own; a task waits in its scorer until a frame that is asked for is seen."""

    def __init__(self, cli, server):
        self.cli = cli
        self.go = cli.folder / "go"
        os.mkfifo(self.go)
        self.words = ("run", cli.write(_NOISY), "--model", f"{server.url}#scripted")

    def run(self, *words, width=80, waits=0, until="", then=None, **env):
        """Return the exit code and the screen.

        Args:
            words: more flags.
            width: columns.
            waits: at the candidate of this length the scorer waits for a frame with ``until``;
            until: text of that frame.
            then: what to do with the process when it is seen, instead of letting the scorer go on.
            env: more of the environment.
        """
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        more = {"TERM": "xterm", "LANG": "C.UTF-8", "WAIT_AT": str(waits), "GO": str(self.go)}
        command = [*self.cli.command, *map(str, (*self.words, *words))]
        ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        with subprocess.Popen(command, cwd=self.cli.folder, env=self.cli.env | more | env, **ends) as process:
            os.close(theirs)
            glass = Glass(width)
            try:
                while piece := self._read(ours, process):
                    glass.feed(piece)
                    if until and any(until in line for line in glass.lines):
                        until = ""
                        (then or self._let_go)(process)
            except OSError:  # the other end is closed
                pass
            os.close(ours)
        return process.returncode, glass

    def _let_go(self, _):
        # The frame may be seen before the scorer waits, so the writing end waits for the reading one, aside.
        threading.Thread(target=self.go.write_text, args=("go",), daemon=True).start()

    @staticmethod
    def _read(ours, process):
        if not select.select([ours], [], [], 60)[0]:
            process.kill()
            pytest.fail("the command has said nothing for a minute")
        return os.read(ours, 65536)


_NOISY = """
import os, subprocess
TASK, QUESTION, x0, MAX_STEPS = "t", "q", "start", 4
BUDGET = {"evaluations": 50, "tokens": 100_000, "seconds": 500}

def score(text):
    print("scoring", len(text))
    print("part", end=" ")
    subprocess.run(["echo", "child", str(len(text))])
    if len(text) == int(os.environ["WAIT_AT"]):
        with open(os.environ["GO"]) as pipe:
            pipe.read()
    print("whole")
    return len(text)
"""
_LENGTHS = (5, 10, 14, 18, 22)


@pytest.fixture
def terminal(cli, server):
    """A terminal, and a task that prints, whole lines and parts of lines, and whose child processes print."""
    return Terminal(cli, server)


def test_a_terminal_sees_the_run_and_is_left_clean(terminal):
    """Frames show where it stands; prints and new bests stay, in order; at the end nothing of the block is left."""
    code, glass = terminal.run(waits=18, until="step 2/4 | 1 pending")
    assert code == 0
    seen = "\n".join(line for shown in glass.frames for line in shown)
    for part in (
        "▁",
        "step 2/4 | 1 pending",
        " tokens",
        "no price known",
        "of 50 evaluations",
        "idea: Longer is better",
    ):
        assert part in seen
    assert [line for line in glass.lines if line.startswith("scoring")] == [f"scoring {n}" for n in _LENGTHS]
    assert [line for line in glass.lines if line.startswith("child")] == [f"child {n}" for n in _LENGTHS]
    assert glass.lines.count("part whole") == len(_LENGTHS)
    text = "\n".join(glass.lines)
    assert "#4  chat:scripted  score 22  best 22 (#4)" in text
    assert "left:" not in text
    assert "step " not in text.replace("max_steps", "").replace("4 steps", "")


def test_ctrl_c_in_a_terminal_leaves_it_clean(terminal):
    """The block is erased, the best so far is printed, the exit code is 130."""
    code, glass = terminal.run(waits=14, until="step 1/4", then=lambda process: process.send_signal(signal.SIGINT))
    text = "\n".join(glass.lines)
    assert code == 130
    assert "left:" not in text
    assert "longlong" in glass.lines
    assert "ended: interrupted by Ctrl-C" in text


def test_no_colours_where_they_are_not_wanted(terminal):
    """There are styles by default; NO_COLOR leaves the redrawing without any; a dumb terminal gets plain lines."""
    _, styled = terminal.run("--max-steps", 1, waits=10, until="step 0/1")
    assert styled.styles
    _, plain = terminal.run("--max-steps", 1, waits=10, until="step 0/1", NO_COLOR="1")
    assert plain.frames
    assert not plain.styles
    _, dumb = terminal.run("--max-steps", 1, TERM="dumb")
    assert not dumb.frames
    assert not dumb.styles


def test_a_narrow_terminal_is_not_overrun(terminal):
    """In 24 columns no line of the block wraps, so it is erased whole."""
    code, glass = terminal.run("--max-steps", 2, width=24, waits=14, until="step 1/2")
    assert code == 0
    assert not any(line.startswith(("left:", "idea:", "step ")) for line in glass.lines)


def _history():
    history = History.empty().after(Opened(Problem("t", "q", "start"), at=1.0))
    for number in range(30):
        candidate = Candidate(number, f"text {number}", "日本語の説明 " * 20, "chat:m")
        history = history.after(Proposed((candidate,), Usage(1, 1000, 0, 500, 0.25), number, "", 2.0))
        history = history.after(Told(number, Evaluation(number / 7), 0.1, 3.0))
    return history


@pytest.mark.parametrize("width", [0, 1, 5, 20, 79, 200])
def test_no_line_is_wider_than_the_terminal(width):
    """Every line fits, with wide characters, at any width."""
    standing = Standing(Budget(100, 10**6, 9.0, 60), 40, tuple(range(500)), 3, "idea: 日本語の説明 " * 30)
    assert all(columns(line) <= width for line in frame(_history(), standing, width))


def test_a_frame_says_what_is_left_of_each_budget():
    """Each cap that is set is shown with what is left of it; a spent one is 0, not negative."""
    lines = frame(_history(), Standing(Budget(100, 50_000, 7.0, 60), 20, (1.0,), 0, ""), 200)
    assert lines[-1] == "left: 0 steps | 70 of 100 evaluations | 5k of 50k tokens | $0.00 of $7.00 | 0 s of 1 min 00 s"


def test_sparkline():
    """The curve keeps its ends when it is thinned, is flat for equal values, and bears any finite numbers."""
    assert sparkline([], 10) == ""
    assert sparkline([3, 3, 3], 10) == "▁▁▁"
    assert sparkline(range(1000), 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([-1.7e308, 1.7e308], 10) == "▁█"
    assert sparkline([1, 2], 0) == ""


def test_wording():
    """Texts of others cannot steer the terminal, and cuts count columns."""
    assert one_line("a\n b\x1b[2J\u202e") == "a b\ufffd[2J\ufffd"
    assert trim("日本語", 5) == "日本…"
    assert columns(clean("日本語" * 100, 9)) <= 9
    assert duration(59.9) == "59 s"


def test_what_the_model_says_is_seen_while_it_says_it(cli):
    """A reply that is still being written is on the screen: its last lines, under the name of the proposal."""
    said = Answer("the first line\nthe last line so far\n" + "never seen " * 100, fault=Fault("stall", after=3000))
    with ScriptedServer(lambda _body, _index: said) as server:
        code, glass = Terminal(cli, server).run(
            until="the last line so far", then=lambda process: process.send_signal(signal.SIGINT)
        )
        assert server.requests[0].body["stream"] is True
    assert code == 130
    seen = [line for shown in glass.frames for line in shown]
    assert "proposal 0 writes:" in seen
    assert "  the first line" in seen
    assert "never seen " * 20 not in "\n".join(seen)
    assert not any("writes:" in line for line in glass.lines)


def test_without_a_terminal_nothing_is_streamed(cli, server):
    """Plain output asks for whole replies."""
    assert cli("run", cli.write(), "--model", f"{server.url}#scripted").returncode == 0
    assert server.requests
    assert not any("stream" in received.body for received in server.requests)


def test_the_lines_of_what_is_said():
    """The last three lines of the unit that has spoken longest, none too wide; thinking is told from writing."""
    speech = Speech()
    assert speech.lines(80) == (False, ())
    for text in ("Six by ", "seven.\n", "\x1b[2J"):
        speech.hear(Piece("proposal/1", "reasoning", text))
    speech.hear(Piece("proposal/2", "text", "other"))
    assert speech.lines(80) == (True, ["proposal 1 thinks:", "  Six by seven.", "  \ufffd[2J"])
    speech.hear(Piece("proposal/1", "text", "a\n\n日本語の説明\nb c\n" + "long " * 900))
    assert speech.lines(30)[0] is False
    for width in (0, 1, 2, 3, 5, 30):
        lines = speech.lines(width)[1]
        assert len(lines) <= 4
        assert all(columns(line) <= width for line in lines)
    speech.hear(Piece("proposal/1", "end"))
    assert speech.lines(80)[1] == ["proposal 2 writes:", "  other"]
    speech.hear(Piece("proposal/2", "end"))
    assert speech.lines(80) == (False, ())
