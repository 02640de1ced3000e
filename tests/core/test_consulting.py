"""Interactive mode: a person is asked every few evaluations, over real streams."""

from __future__ import annotations

import io
import sys

import pytest

from llm_optimize.core.consulting import Consult, Dialog
from llm_optimize.core.events import Guided
from llm_optimize.core.stopping import MaxSteps
from llm_optimize.errors import BadInput


def dialog(text):
    """A dialog that reads this, with what it will have written."""
    out = io.StringIO()
    return Dialog(io.StringIO(text), out), out


@pytest.fixture
def past(study):
    """A history of three scored trials."""
    one = study(lambda text: float(len(text)), stop=MaxSteps(2))
    one.run()
    return one.last


def test_a_run_asks_every_few_evaluations(study):
    """Asked after 2, 4 and 6 evaluations; what was said is in the log and heeded."""
    asked = []

    def ask(history):
        asked.append(len(history.trials))
        return [Guided(f"word {len(asked)}")]

    one = study(len, stop=MaxSteps(6), consult=Consult(2, ask))
    one.run()
    assert asked == [2, 4, 6]
    assert one.last.guidance == ("word 1", "word 2", "word 3")


def test_a_person_can_end_the_run(study):
    """``quit`` is Ctrl-C; ``accept`` ends it with that candidate."""
    talk, _ = dialog("quit\n")
    one = study(len, stop=MaxSteps(9), consult=Consult(2, talk))
    assert one.run().interrupted
    talk, _ = dialog("accept 1\n")
    two = study(len, stop=MaxSteps(9), consult=Consult(3, talk))
    assert two.run().reason == "accepted by hand: candidate #1"
    assert two.last.best.id == 1


def test_the_dialog_understands_its_commands(past, tmp_path):
    """Each line is one decision; others are guidance; an empty line goes on."""
    file = tmp_path / "mine.txt"
    file.write_text("written by hand")
    talk, out = dialog(f"use fewer words\nreject #1 too long\npin 2\nunpin\ninject {file}\nshow 0\nhelp\n\nnever read")
    events = talk(past)
    assert [(event.act, event.candidate_id, event.text) for event in events] == [
        ("say", None, "use fewer words"),
        ("reject", 1, "too long"),
        ("pin", 2, ""),
        ("unpin", None, ""),
        ("inject", None, "written by hand"),
    ]
    assert past.trials[0].text in out.getvalue()
    assert "accept N" in out.getvalue()


@pytest.mark.parametrize("line", ["accept 99", "accept", "pin x", "inject /no/such/file", "show 99"])
def test_a_mistake_is_explained_and_asked_again(past, line):
    """Nothing is decided; the next line counts."""
    talk, out = dialog(f"{line}\nbe brief\n\n")
    assert [event.text for event in talk(past)] == ["be brief"]
    assert out.getvalue().count("> ") == 3


def test_the_end_of_input_goes_on_alone(past):
    """Nobody is asked again, and nothing is printed for nobody."""
    talk, out = dialog("")
    assert talk(past) == []
    before = out.getvalue()
    assert talk(past) == []
    assert out.getvalue() == before


def test_a_candidate_is_edited_in_the_users_editor(past, monkeypatch):
    """The text comes back as an injected candidate."""
    code = "import sys; p = sys.argv[1]; t = open(p).read(); open(p, 'w').write(t + ' and more')"
    monkeypatch.setenv("VISUAL", f'{sys.executable} -c "{code}"')
    talk, _ = dialog("edit 0\n\n")
    (event,) = talk(past)
    assert (event.act, event.text) == ("inject", f"{past.trials[0].text} and more")


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_an_interval_must_be_a_whole_number(every):
    """The error names the keyword."""
    with pytest.raises(BadInput, match="interactive is"):
        Consult(every, lambda _: [])
