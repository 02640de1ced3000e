"""A task file is checked name by name; a typo is never ignored."""

from __future__ import annotations

import pytest

from llm_optimize.cli.taskfile import load_task
from llm_optimize.errors import BadInput

_GOOD = 'TASK, QUESTION, x0 = "t", "q", "start"\ndef score(text):\n    return len(text)\n'


@pytest.fixture
def load(tmp_path):
    """Write a task file that begins with a good one, and load it."""

    def write(more="", source=_GOOD):
        path = tmp_path / "job.py"
        path.write_text(source + more, encoding="utf-8")
        return load_task(str(path))

    return write


def _refused(load, *parts, more="", source=_GOOD):
    with pytest.raises(BadInput) as caught:
        load(more, source)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_a_good_file(load):
    """Names and values come through as they stand."""
    task = load("MAX_STEPS = 4\nBUDGET = {'tokens': 9}\nSTOP_SCORE = 3\n")
    assert (task.task, task.question, task.x0, task.stem, task.score("abc")) == ("t", "q", "start", "job", 3)
    assert task.settings == {"MAX_STEPS": 4, "BUDGET": {"tokens": 9}, "STOP_SCORE": 3}


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("MAX_STEP", "MAX_STEPS"),
        ("STEPS", "MAX_STEPS"),
        ("X0", "x0"),
        ("SCORE", "score"),
        ("TUNES", "TUNE"),
        ("MODELS", "MODEL"),
    ],
)
def test_a_misspelt_setting(load, typo, meant):
    """An upper-case name that is no setting is refused with its line and the closest one."""
    _refused(
        load,
        f"job.py:4: {typo} is not a setting; did you mean {meant}?",
        "lower-case or begin with _",
        more=f"{typo} = 3",
    )


@pytest.mark.parametrize(
    "more",
    ["if True:\n    LIMIT = 3", "for LIMIT in (1, 2): pass", "a, LIMIT = 1, 2", "LIMIT: int = 3", "(LIMIT := 3)"],
)
def test_settings_are_found_wherever_the_module_assigns_them(load, more):
    """Branches, loops, unpacking and annotations assign names as well."""
    _refused(load, "LIMIT is not a setting", more=more)


def test_names_of_ones_own(load):
    """Imported names, lower-case ones, those with an underscore, classes, single letters and locals are left alone."""
    load(
        "from string import ascii_letters as LETTERS\n_OWN = own = 1\nX, y = 1, 2\n"
        "class HTML:\n    SIZE = 3\ndef f():\n    WIDE = 1\n"
    )


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ("MAX_STEPS = '10'", ("MAX_STEPS is '10'", "integer of 0 or more")),
        ("MAX_STEPS = True", ("MAX_STEPS is True",)),
        ("MAX_STEPS = -1", ("MAX_STEPS is -1",)),
        ("STOP_SCORE = 'high'", ("STOP_SCORE is 'high'", "a number")),
        ("STOP_SCORE = float('nan')", ("STOP_SCORE is nan",)),
        ("PARALLEL = 0", ("PARALLEL is 0",)),
        ("EXECUTOR = 'slurm://x'", ("EXECUTOR is 'slurm://x'", "processes[?workers=N]")),
        ("SEED = 1.5", ("SEED is 1.5",)),
        ("EVAL_TIMEOUT = 0", ("EVAL_TIMEOUT is 0", "above 0")),
        ("LAYOUT = 'tree'", ("LAYOUT is 'tree'", "'window', or 'epochs'")),
        ("BUDGET = {'tokens': 0}", ("BUDGET['tokens'] is 0", "above 0")),
        ("BUDGET = {'evals': 3}", ("BUDGET['evals'] is 3", "evaluations")),
        ("BUDGET = 3", ("BUDGET is 3", "a dict")),
        ("x0 = 3", ("x0 is 3", "text")),
        ("x0 = '  '", ("x0 is '  '",)),
        ("TASK = b'bytes'", ("TASK is b'bytes'", "a text")),
        ("score = 3", ("score is 3", "a function")),
        ("CONSTRAINTS = 'parses'", ("CONSTRAINTS is 'parses'", "a list of names")),
        ("CONSTRAINTS = ['parse']", ("CONSTRAINTS has 'parse'", "max_chars:N")),
        ("x0 = 'long'\nCONSTRAINTS = ['max_chars:3']", ("x0 breaks the constraint 'max_chars:3'", "4 characters")),
        ("TUNE = 3", ("TUNE is 3", "Box")),
        ("TUNE = {'k': (5, 1)}", ("TUNE['k']", "turned round")),
    ],
)
def test_values_that_cannot_work(load, more, parts):
    """Each is told with its name, its value and what to give."""
    _refused(load, "job.py", *parts, more=more)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("x = (", ("job.py:1: syntax error",)),
        ("import no_such_module_here", ("job.py:1: ModuleNotFoundError", "no_such_module_here")),
        ("\n1 / 0", ("job.py:2: ZeroDivisionError",)),
        ("raise SystemExit(3)", ("exits when it is loaded",)),
        ("", ("TASK is missing",)),
    ],
)
def test_files_that_cannot_be_loaded(load, source, parts):
    """The line in the file is named."""
    _refused(load, *parts, source=source)


def test_paths_that_are_no_files(tmp_path):
    """A missing file, a folder and bytes are told apart."""
    with pytest.raises(BadInput, match=r"no such file; `llm-optimize init gone\.py`"):
        load_task(str(tmp_path / "gone.py"))
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(BadInput, match="cannot be read"):
        load_task(str(tmp_path / "folder.py"))
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"bytes\.py"):
        load_task(str(tmp_path / "bytes.py"))


def test_a_file_named_like_a_library_loads(tmp_path):
    """A task file may be called json.py without taking the library's place."""
    (tmp_path / "json.py").write_text(_GOOD)
    assert load_task(str(tmp_path / "json.py")).stem == "json"
    import json  # noqa: PLC0415 - what is imported now is what is tested

    assert json.loads("1") == 1
