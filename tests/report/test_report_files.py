"""The files of a report: what is in them, that they are safe, and what is said when one cannot be written."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import pickle
import re
import struct
import subprocess
import sys

import pytest

from llm_optimize import MemoryStore, ScriptedModel, SQLiteStore, optimize
from llm_optimize.errors import BadInput
from llm_optimize.report.differences import differences, kind_of
from llm_optimize.report.escaping import packed_json, script_json
from llm_optimize.report.rendering import ASSETS
from llm_optimize.report.writing import FORMATS, write_report

DATA = re.compile(r'<script type="application/json" id="(?:data|bulk)"[^>]*>(.*?)</script>', re.DOTALL)


def test_every_format_is_written(small, tmp_path):
    """The end of the file's name chooses the format, and a format that is given wins over it."""
    for kind in FORMATS:
        path = write_report(*small, tmp_path / f"report.{kind}")
        assert path.stat().st_size > 200
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "report.md").read_text().startswith("# small\n")
    assert json.loads((tmp_path / "report.json").read_text())["study"]["name"] == "small"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "report.csv").read_text())))
    assert [row["score"] for row in rows] == ["2", "4", "2", ""]
    picture = (tmp_path / "report.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", picture[16:20])[0] > 1000
    assert write_report(*small, tmp_path / "table.txt", "csv").read_text().startswith("id,score")
    assert not list(tmp_path.glob(".report*"))


def test_the_page_is_one_file_that_may_ask_nobody(small, tmp_path):
    """No element of the page names another file, and its policy forbids every request and every unknown script."""
    page = write_report(*small, tmp_path / "report.html").read_text()
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    shell = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", page, flags=re.DOTALL)
    assert not re.findall(r"\b(src|href)=\"(?!#)", shell)
    assert len(page) < 300_000


def test_hostile_texts_stay_texts(hostile, tmp_path):
    """Outside its data the page has none of their markup; the data is the same and has no character that HTML knows."""
    page = write_report(*hostile, tmp_path / "report.html").read_bytes().decode()
    head, bulk = DATA.findall(page)
    assert not set(head + bulk) & set("<>&\u2028\u2029\x00")
    assert any("</script><script>window.pwned" in text for text in json.loads(bulk)["texts"])
    shell = page.replace(head, "").replace(bulk, "")
    assert "<b>hostile</b>" not in shell
    assert "pwned=1</script>" not in shell
    assert "<img" not in shell
    assert "49" not in re.findall(r"<noscript>(.*?)</noscript>", shell, re.DOTALL)[0]


def test_hostile_texts_in_the_other_formats(hostile, tmp_path):
    """Markdown shows them inside fences or escaped; a spreadsheet gets no formula."""
    text = write_report(*hostile, tmp_path / "report.md").read_text()
    outside = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"(?<!\\)<(script|img|svg|b)", outside)
    store, name = MemoryStore(), "formula"
    optimize.run("t", "q", len, "=HYPERLINK(1)", 0, ScriptedModel([]), verbose=False, store=store, study=name)
    [row] = csv.DictReader(io.StringIO(write_report(store, name, tmp_path / "report.csv").read_text()))
    assert row["text"] == "'=HYPERLINK(1)"


def test_json_in_a_page_is_the_same_value():
    """Whatever is escaped for the page is read back as it was."""
    value = [
        "</script>",
        "<!--",
        "]]>",
        "\u2028",
        "\x00\x1f\x7f\x85",
        "\ud800",
        "ü&\U0001f600",
        {"a": [1.5, None, True]},
    ]
    text = script_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029\x7f\x85\ud800")
    assert gzip.decompress(base64.b64decode(packed_json(value))).decode() == text
    with pytest.raises(ValueError, match="Out of range"):
        script_json([float("nan")])


def test_a_result_writes_its_report(tmp_path):
    """The result of a run reports on itself, also where it was kept in memory; without its store it says what to do."""
    result = optimize.run("t", "q", len, "abc", 0, ScriptedModel([]), verbose=False, store=None)
    assert "<title>" in result.report(tmp_path / "a.html").read_text()
    assert type(result)(result.history, "done", "one").store is None
    with pytest.raises(BadInput, match="llm-optimize report one"):
        type(result)(result.history, "done", "one").report(tmp_path / "b.html")


def test_a_result_travels_between_processes(tmp_path):
    """Pickled, it comes back equal: with its store where that is a file, without one that lives in this process."""
    kept = optimize.run("t", "q", len, "abc", 0, ScriptedModel([]), verbose=False, store=tmp_path / "s.db", study="one")
    back = pickle.loads(pickle.dumps(kept))
    assert back == kept
    assert back.report(tmp_path / "r.md").read_text().startswith("# one")
    gone = optimize.run("t", "q", len, "abc", 0, ScriptedModel([]), verbose=False, store=None)
    assert pickle.loads(pickle.dumps(gone)).store is None


@pytest.mark.parametrize(
    ("path", "said"),
    [("", "path: it is empty"), (".", "is a folder"), ("no/such/report.html", "no folder that exists")],
)
def test_a_file_that_cannot_be_written(small, path, said):
    """The path is named with what is wrong, before the study is read."""
    with pytest.raises(BadInput, match=said):
        write_report(*small, path)


def test_a_file_is_replaced_only_by_force(small, tmp_path):
    """Without force a file that is there stays as it is."""
    there = tmp_path / "report.md"
    there.write_text("mine")
    with pytest.raises(BadInput, match="exists; give another name, or --force"):
        write_report(*small, there, force=False)
    assert there.read_text() == "mine"
    with pytest.raises(BadInput, match="'pdf' is none of html, md, csv, json, png"):
        write_report(*small, tmp_path / "report", "pdf")


@pytest.mark.parametrize(("missing", "kind", "extra"), [("jinja2", "html", "report"), ("matplotlib", "png", "png")])
def test_a_missing_package_is_told_with_its_remedy(small, tmp_path, missing, kind, extra):
    """Without the package of a format, one line says which extra brings it and which formats need nothing."""
    store, name = small
    program = (
        "import sys; sys.modules[sys.argv[1]] = None; from llm_optimize.cli import main; "
        "sys.exit(main(['report', sys.argv[2], '--store', sys.argv[3], '--format', sys.argv[4]]))"
    )
    words = [sys.executable, "-c", program, missing, name, str(store.path), kind]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert f"pip install 'llm-optimize[{extra}]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_command(small, tmp_path, capsys, monkeypatch):
    """``llm-optimize report`` writes the file that it names, refuses to replace it, and names unknown studies."""
    from llm_optimize.cli import main  # noqa: PLC0415 - the command line is loaded by those who use it

    store, name = small
    monkeypatch.chdir(tmp_path)
    where = ["--store", str(store.path)]
    assert main(["report", name, *where]) == 0
    assert "small.html" in capsys.readouterr().out
    assert main(["report", name, *where]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["report", name, *where, "-o", "r.csv", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["kind"], said["study"], said["bytes"]) == ("report", name, (tmp_path / "r.csv").stat().st_size)
    assert main(["report", "smal", *where]) == 2
    assert "did you mean 'small'" in capsys.readouterr().err
    assert main(["report", name, *where, "--format", "pdf"]) == 2


def test_a_report_of_a_study_that_is_running(tmp_path):
    """An open study is reported as far as it has come."""
    from llm_optimize import Problem, Study  # noqa: PLC0415 - used here alone

    store = SQLiteStore(tmp_path / "s.db")
    with Study(Problem("t", start="abc"), None, len, store=store, name="open") as study:  # type: ignore[arg-type]
        study.tell(study.ask()[0], 3)
        text = write_report(store, "open", tmp_path / "r.md").read_text()
    assert "ended: not ended" in text


def test_kinds_of_text():
    """Programs, JSON and prose are told apart, so that each is compared in its own way."""
    assert kind_of("f=lambda s:s") == "code"
    assert kind_of("function f() {\n  return 1;\n}") == "code"
    assert kind_of("Dear reader,\nbe brief.") == "prose"
    assert kind_of("[1, 2]") == "json"


def test_chance_words_do_not_break_a_rewritten_passage():
    """A word that two passages share by chance joins the change around it."""
    found = differences("I like cats and dogs", "You saw birds and bees", by="word")
    assert found == [("-", "I like cats and dogs"), ("+", "You saw birds and bees")]
    old, new = "one two three four five six", "one two 3 four five six"
    assert differences(old, new, by="word") == [("=", "one two "), ("-", "three"), ("+", "3"), ("=", " four five six")]


def test_the_colours_can_be_read():
    """Text on its background has the contrast that WCAG 2 asks for (4.5 to 1), in the light and in the dark."""
    style = (ASSETS / "report.css").read_text()
    themes = re.findall(r"\{\s*color-scheme: (light|dark);(.*?)\}", style, re.DOTALL)
    assert [name for name, _ in themes] == ["light", "dark"]
    text = "ink/page ink/card ink/soft muted/card muted/soft accent/card on-accent/accent good/card bad/card warn/card"
    pairs = [pair.split("/") for pair in f"{text} add-ink/add cut-ink/cut".split()]
    for name, body in themes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", body))
        for front, back in pairs:
            assert contrast(colours[front], colours[back]) >= 4.5, (name, front, back)


def contrast(front: str, back: str) -> float:
    """Return the contrast ratio of WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(front), luminance(back)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
