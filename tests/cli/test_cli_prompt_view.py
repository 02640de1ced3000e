"""The live view of ``llm-optimize prompt``: its lines for any size, and the whole command in a real terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

from llm_optimize.cli.prompt_frame import Looks, Shown, Sizes, frame, scrolled
from llm_optimize.cli.prompt_terminal import Stage
from llm_optimize.cli.wording import columns
from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Problem, Usage
from llm_optimize.proposers.parents.population import GENERATION
from llm_optimize.testing.server import ScriptedServer

_SIZES = Sizes("prompt-1", 2, 4, 2)
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def past(*, text="Sum up {text} in German, please.", judged=4):
    """A search in its first generation: the initial prompt and some of three candidates are judged."""
    history = History.empty().after(Opened(Problem("t", "q", "Sum up {text} please.")))
    history = history.after(Proposed((Candidate(0, "Sum up {text} please.", origin="start"),)))
    spent = Usage(5, 1200, 0, 300, 0.0125)
    history = history.after(Told(0, Evaluation(0.25, usage=spent)))
    made = [
        Candidate(number, f"{text}{' ' * (number - 1)}", origin="chat:gpt/clarity", parent=0) for number in (1, 2, 3)
    ]
    history = history.after(Proposed(tuple(made), slot=0, arm=f"{GENERATION}0"))
    for one in made[: judged - 1]:
        history = history.after(Told(one.id, Evaluation(0.75 if one.id == 1 else 0.5, usage=spent)))
    return history


def plain(lines):
    """The lines without styles."""
    return [_STYLE.sub("", line) for line in lines]


def test_a_frame_says_what_there_is_to_know() -> None:
    """Best prompt, score and gain, the progress of each generation, tokens, price and keys are on the screen."""
    lines = plain(frame(past(judged=3), _SIZES, Shown(), Looks(79, 24), 12))
    text = "\n".join(lines)
    assert lines[1] == "score 0.75  (#1, generation 0, clarity)  initial 0.25  gain +0.5"
    assert lines[3].strip() == "Sum up {text} in German, please."
    assert re.search(r"generation 0  █+░+ 3/4  best 0\.75", text)
    assert re.search(r"generation 1  ░+ 0/2  to come", text)
    assert "3 prompts judged | 3.6k tokens in, 900 out | 15 calls | $0.0375 | 12 s" in text
    assert lines[-1] == "c copy  d diff  arrows scroll  q quit"
    assert len(lines) == 24


def test_the_diff_is_by_words_and_marked_without_colours() -> None:
    """What is new and what went stands in the text itself, so that it can be read in any terminal."""
    lines = frame(past(text="Sum up {text} in German."), _SIZES, Shown(diff=True), Looks(79, 24, colours=False), 1)
    assert lines[3] == "Sum up {text} [-please-]{+in German+}."
    assert "\x1b" not in "".join(lines)
    coloured = frame(past(text="Sum up {text} in German."), _SIZES, Shown(diff=True), Looks(79, 24), 1)
    assert "\x1b[32m" in coloured[3]


@pytest.mark.parametrize("diff", [False, True])
@pytest.mark.parametrize(("width", "height"), [(79, 24), (40, 12), (20, 8), (9, 5), (1, 1), (200, 60)])
def test_no_line_is_wider_and_no_frame_higher_than_the_terminal(width, height, diff) -> None:
    """At any size, with long words, wide characters, tabs and control characters in the prompt."""
    text = "日本語のテキスト {text} " * 9 + "x" * 300 + "\n\n\tindented \x1b[2J\x07 end\n" + "word " * 50
    lines = frame(past(text=text), _SIZES, Shown(diff=diff, said="said " * 30), Looks(width, height), 1)
    assert len(lines) <= height
    assert max(map(columns, plain(lines))) <= max(width, 2)
    assert "\x07" not in "".join(lines)
    assert "\x1b[2J" not in "".join(lines)


def test_every_word_of_the_prompt_can_be_scrolled_to() -> None:
    """Scrolling by lines reaches the last one, stops there, and comes back; what is left is said."""
    text = "{text} " + "\n".join(f"line {number}" for number in range(100))
    shown, seen, looks = Shown(), [], Looks(79, 24)
    for _ in range(120):
        seen += plain(frame(past(text=text), _SIZES, shown, looks, 1))
        shown = scrolled(past(text=text), _SIZES, shown, looks, 1)
    assert all(f"line {number}" in seen for number in range(1, 100))
    assert any("more lines below, press down" in line for line in seen)
    top = scrolled(past(text=text), _SIZES, shown, looks, -1).top
    assert top == shown.top - 1, "the way back begins at once"
    assert scrolled(past(text=text), _SIZES, shown, looks, -(10**6)).top == 0


def test_ascii_terminals_get_ascii() -> None:
    """Without block characters bars and rules are drawn by others."""
    lines = frame(past(), _SIZES, Shown(), Looks(79, 24, colours=False, plain=True), 1)
    assert "\n".join(lines).isascii()
    assert any("####" in line for line in lines)


def test_keys_that_come_together_or_in_parts_are_told_apart(tmp_path) -> None:
    """Arrows pressed quickly arrive as one piece, slow lines send them in two; Esc alone is Esc, others are nothing."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "rb", 0) as keyboard, (tmp_path / "screen").open("w", encoding="utf-8") as screen:
        stage = Stage(keyboard, screen)
        with stage.taken():
            os.write(ours, b"\x1b[B\x1bOAd\x1b[6~xq\x1b[1;5C")
            assert [stage.key(5) for _ in range(7)] == ["down", "up", "diff", "page down", "", "quit", ""]
            os.write(ours, b"\x1b")
            assert stage.key(5) == "quit"
            assert stage.key(0) == ""
    os.close(ours)


# --- in a terminal --------------------------------------------------------------------------------------------------


class Model:
    """A server that proposes and judges, and holds back its judgements behind the first ones until told."""

    def __init__(self, free):
        self.held = threading.Event()
        self.go = threading.Event()
        self._free = free
        self._judged = 0
        self.server = ScriptedServer(self._answer)

    def _answer(self, body, _):
        text = body["messages"][-1]["content"]
        found = re.search(r"<<<CANDIDATE ([0-9a-f]{16})>>>\n(.*?)\n<<<END CANDIDATE", text, re.DOTALL)
        if not found:
            shown = re.findall(r"The current x:\n\n`+\n(.*?)\n`+\n", text, re.DOTALL)
            return f"```\n{shown[-1]}\nBe exact ({sum(map(ord, text)) % 1000}).\n```"
        self._judged += 1
        if self._judged > self._free:
            self.held.set()
            self.go.wait(120)
        names = re.findall(r"^- (\w+) \(0 worst", text, re.MULTILINE)
        mark = min(1 + 3 * found[2].count("Be exact"), 10)
        return json.dumps({"fence_code": found[1], **{name: {"reason": "So.", "mark": mark} for name in names}})


@pytest.fixture
def model():
    """Judges the initial prompt and two more, then waits."""
    held = Model(3)
    with held.server:
        yield held
        held.go.set()


def words(cli, model, *more):
    """The command line."""
    size = ("--num_iters", "1", "--num_samples", "4", "--judge-samples", "1", "--price", "2.5,10")
    return [*cli.command, "prompt", "--model", f"{model.server.url}#scripted", *size, *more]


class Pty:
    """The command in a pseudo terminal of its own."""

    def __init__(self, command, cli, width=80, height=24):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        ends = {"stdin": theirs, "stderr": theirs, "stdout": subprocess.PIPE, "start_new_session": True}
        self.process = subprocess.Popen(
            command, cwd=cli.folder, env=cli.env | {"TERM": "xterm", "LANG": "C.UTF-8"}, **ends
        )
        self.said = ""

    def until(self, part):
        """Read until the terminal has been sent this."""
        late = time.monotonic() + 120
        while part not in _STYLE.sub("", self.said):
            if time.monotonic() > late or not select.select([self.ours], [], [], 60)[0]:
                pytest.fail(f"{part!r} never came; the last was {self.said[-2000:]!r}")
            self.said += os.read(self.ours, 65536).decode(errors="replace")

    def press(self, keys):
        """Type."""
        os.write(self.ours, keys.encode())

    def end(self):
        """Wait for the end; return exit code and stdout, and see that the terminal is as it was."""
        out = self.process.communicate(timeout=60)[0].decode()
        while select.select([self.ours], [], [], 0.2)[0]:
            self.said += os.read(self.ours, 65536).decode(errors="replace")
        assert termios.tcgetattr(self.theirs) == self.before, "echo and lines are back"
        assert self.said.count("\x1b[?1049h") == self.said.count("\x1b[?1049l") == 1, "the screen is back"
        assert self.said.rindex("\x1b[?25h") > self.said.rindex("\x1b[?25l"), "the cursor is back"
        os.close(self.theirs)
        os.close(self.ours)
        return self.process.returncode, out


@pytest.mark.parametrize(
    ("leave", "code", "reason"),
    [
        ("q", 0, "quit by a key; the best so far is #"),
        ("\x1b", 0, "quit by a key; the best so far is #"),
        (signal.SIGINT, 130, "interrupted by Ctrl-C; the best so far is #"),
        (signal.SIGTERM, 143, "interrupted by Ctrl-C; the best so far is #"),
    ],
    ids=["q", "escape", "ctrl-c", "sigterm"],
)
def test_leaving_early_gives_the_best_so_far_and_the_terminal_back(cli, model, leave, code, reason) -> None:
    """Whoever leaves while judges are out gets the best prompt on stdout at once, and is told that there was more."""
    terminal = Pty(words(cli, model, "--prompt", "Sum up {text}.", "--improve", "shorter"), cli)
    assert model.held.wait(100)
    terminal.until("3 prompts judged")
    terminal.press(leave) if isinstance(leave, str) else terminal.process.send_signal(leave)
    returned, out = terminal.end()
    assert returned == code, terminal.said[-2000:]
    assert out.startswith("Sum up {text}.")
    assert reason in terminal.said.rpartition("\x1b[?1049l")[2]


def test_it_asks_for_what_is_not_given_and_stays_until_a_key(cli, model) -> None:
    """Prompt and wish are asked for; at the end the view stays with the reason, and what was printed comes after it."""
    model.go.set()
    terminal = Pty(words(cli, model), cli)
    terminal.until("Prompt to make better: ")
    terminal.press("Sum up {text}.\\nIn German.\n")
    terminal.until("What should be better")
    terminal.press("shorter\n")
    terminal.until("prompt-1: generations: 1 after the first one are done")
    terminal.press("d")
    terminal.until("{+")
    fcntl.ioctl(terminal.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
    before = len(terminal.said)
    terminal.press("d")
    terminal.until("prompt-1: generations: 1 after the fir…")
    assert before < len(terminal.said)
    terminal.press("q")
    code, out = terminal.end()
    assert (code, out.startswith("Sum up {text}.\nIn German.")) == (0, True)
    after = terminal.said.rpartition("\x1b[?1049l")[2]
    assert "judges its own proposals" in terminal.said
    assert "ended: generations: 1 after the first one are done" in after


def test_plain_output_in_a_terminal_is_lines(cli, model) -> None:
    """``--plain`` takes nothing over, though there is a terminal."""
    model.go.set()
    terminal = Pty(words(cli, model, "--prompt", "Sum up {text}.", "--improve", "shorter", "--plain"), cli)
    terminal.until("ended: generations: 1")
    assert terminal.process.communicate(timeout=60)[0].startswith(b"Sum up {text}.")
    assert terminal.process.returncode == 0
    assert "\x1b" not in terminal.said
    os.close(terminal.theirs)
    os.close(terminal.ours)


class Tmux:
    """A terminal as people have it, whose screen can be read."""

    def __init__(self, folder):
        self._base = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]

    def __call__(self, *words):
        """Run a command of tmux and return what it prints."""
        done = subprocess.run([*self._base, *words], capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

    def until(self, part):
        """Wait until the screen shows this; return the screen."""
        for _ in range(600):
            screen = self("capture-pane", "-p")
            if part in screen:
                return screen
            threading.Event().wait(0.05)
        pytest.fail(f"{part!r} never came; the screen is\n{screen}")


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed: apt-get install -y tmux")
def test_each_key_in_a_real_terminal(cli, model, tmp_path) -> None:
    """In tmux: copy reaches the clipboard, diff comes and goes, arrows scroll, a resize is followed, q quits."""
    tmux = Tmux(tmp_path)
    kept = {name: value for name, value in cli.env.items() if name.startswith("LLM_OPTIMIZE") or name == "PATH"}
    tmux("new-session", "-d", "-x", "80", "-y", "24", *(f"-e{name}={value}" for name, value in kept.items()), "sh")
    try:
        tmux("set", "-s", "set-clipboard", "on")
        start = "Sum up {text}." + "".join(f"\\nRule {number}." for number in range(30))
        command = words(cli, model, "--prompt", start, "--improve", "shorter")
        tmux("send-keys", f"cd {shlex.quote(str(cli.folder))}; {shlex.join(command)}; echo code $?", "Enter")
        screen = tmux.until("3 prompts judged")
        assert re.search(r"score \S+  \(#\d, generation 0, \w+\)  initial ", screen)
        assert re.search(r"generation 0  █+░+ 3/5", screen)
        assert re.search(r"tokens in, \S+ out \| \d+ calls \| \$0\.0", screen)
        assert "Rule 20." not in screen
        tmux("send-keys", "Down", "Down")
        assert "Rule 0." not in tmux.until("Rule 16.")
        tmux("send-keys", "End")
        tmux.until("Be exact (")
        tmux("send-keys", "Up")
        tmux("send-keys", "d")
        tmux.until("changes against the initial prompt")
        tmux("send-keys", "End")
        tmux.until("{+")
        tmux("send-keys", "d")
        tmux.until("best prompt so far")
        tmux("send-keys", "c")
        tmux.until("copied by the terminal")
        assert tmux("show-buffer").startswith("Sum up {text}.\nRule 0.\n")
        tmux("resize-window", "-x", "50", "-y", "14")
        screen = tmux.until("more line")
        assert max(map(columns, screen.splitlines())) <= 50
        tmux("send-keys", "q")
        tmux.until("code 0")
        tmux("resize-window", "-x", "100", "-y", "80")
        tmux("send-keys", "echo back", "Enter")
        assert "quit by a key" in re.sub(r"\n", "", tmux.until("echo back"))
    finally:
        tmux("kill-server")


def test_a_terminal_that_goes_away_ends_the_search(cli, model) -> None:
    """When the window is closed the process ends by itself, its study as it was."""
    terminal = Pty(words(cli, model, "--prompt", "Sum up {text}.", "--improve", "shorter"), cli)
    assert model.held.wait(100)
    terminal.until("3 prompts judged")
    os.close(terminal.theirs)
    os.close(terminal.ours)
    terminal.process.communicate(timeout=60)
    done = cli("show", "prompt-1")
    assert "3 evaluations" in done.stdout
