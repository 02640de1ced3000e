"""Data sets from files: the fixtures are read, and whatever is wrong with a file is named with line and field."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from llm_optimize.errors import BadInput
from llm_optimize.scorers.example import Example, Fields, check_examples, from_rows
from llm_optimize.scorers.loaders import read_alpaca, read_csv, read_humaneval, read_jsonl, read_mmlu, read_parquet

FIXTURES = Path(__file__).parent.parent / "fixtures"
CAPITALS = Fields("capital", group="continent")


@pytest.mark.parametrize(
    ("read", "name"), [(read_jsonl, "capitals.jsonl"), (read_csv, "capitals.csv"), (read_parquet, "capitals.parquet")]
)
def test_the_same_rows_come_out_of_each_format(read, name) -> None:
    """JSONL, CSV and parquet give the same examples; the answer and the group are no inputs."""
    examples = read(FIXTURES / name, CAPITALS)
    assert len(examples) == 24
    assert examples[0] == Example({"country": "France"}, "Paris", group="Europe")
    assert sorted({example.group for example in examples}) == ["Africa", "America", "Asia", "Europe"]


def test_mmlu_with_and_without_a_header(tmp_path) -> None:
    """The header is told from a question; the answer is a letter and no input."""
    path = FIXTURES / "mmlu.csv"
    examples = read_mmlu(path)
    bare = tmp_path / "bare.csv"
    bare.write_text(path.read_text(encoding="utf-8").partition("\n")[2], encoding="utf-8")
    assert len(examples) == 28
    assert read_mmlu(bare) == examples
    assert examples[0].expected == "B"
    assert list(examples[0].inputs) == ["question", "A", "B", "C", "D"]


def test_alpaca_allows_an_empty_input() -> None:
    """An instruction may stand alone."""
    examples = read_alpaca(FIXTURES / "alpaca.json")
    assert len(examples) == 28
    assert examples[-1] == Example({"instruction": "Name the opposite direction of north.", "input": ""}, "South")


def test_humaneval_keeps_solution_and_test_apart() -> None:
    """What a candidate may see is the prompt; the task's name is the key."""
    examples = read_humaneval(FIXTURES / "humaneval.jsonl")
    assert len(examples) == 10
    assert (examples[0].key, examples[0]["entry_point"]) == ("Small/0", "middle")
    assert list(examples[0].inputs) == ["prompt", "entry_point"]
    assert sorted(examples[0].expected) == ["canonical_solution", "test"]


def test_packed_and_marked_files_are_read(tmp_path) -> None:
    """A gzipped JSONL, Windows line ends and a byte order mark change nothing."""
    content = (FIXTURES / "capitals.jsonl").read_text(encoding="utf-8")
    packed, marked = tmp_path / "c.jsonl.gz", tmp_path / "c.jsonl"
    packed.write_bytes(gzip.compress(content.encode()))
    marked.write_bytes(b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())
    assert read_jsonl(packed, CAPITALS) == read_jsonl(marked, CAPITALS) == read_csv(FIXTURES / "capitals.csv", CAPITALS)


def test_a_quoted_value_may_span_lines(tmp_path) -> None:
    """CSV is read as CSV: commas, quotes and line ends inside a value."""
    path = tmp_path / "t.csv"
    path.write_text('text;label\n"a;""b""\nc";x\n', encoding="utf-8")
    assert read_csv(path, Fields("label"), delimiter=";")[0]["text"] == 'a;"b"\nc'


WRONG = [
    (
        lambda p: read_jsonl(p, Fields("y")),
        '{"x": 1, "y": 2}\n{"x": 3}\n',
        ", line 2: field 'y' is missing; there are: x",
    ),
    (lambda p: read_jsonl(p, Fields("y")), '{"x": 1, "y": null}\n', ", line 1: field 'y' is missing; there are: x"),
    (lambda p: read_jsonl(p, Fields("y")), '\n{"x": 1,}\n', ", line 2: is no JSON"),
    (lambda p: read_jsonl(p, Fields("y")), "[1]\n", ", line 1: holds an array: it must be an object"),
    (lambda p: read_jsonl(p, Fields("y")), "\n", ": holds no examples"),
    (lambda p: read_csv(p, Fields("y")), "", ": holds no examples"),
    (lambda p: read_csv(p, Fields("y")), "x,y\n1,2\n3\n", ", line 3: has 1 fields, not the 2 of x, y"),
    (lambda p: read_csv(p, Fields("z")), "x,y\n1,2\n", ", line 2: field 'z' is missing; there are: x, y"),
    (lambda p: read_csv(p, Fields("y")), "x,y,y\n1,2,3\n", ", line 1: field 'y' stands there twice; rename one"),
    (lambda p: read_csv(p, Fields("y")), 'x,y\n"1,2\n', ", line 2: is no CSV"),
    (read_mmlu, "q,a,b,c,d,B\nq,a,b,c,d,E\n", ", line 2: field 'answer' is 'E': it must be one of A, B, C, D"),
    (read_mmlu, "q,a,b,c,B\n", ", line 1: has 5 fields, not the 6 of question, A, B, C, D, answer"),
    (read_alpaca, '{"instruction": "x"}', ": holds an object: it must be an array of objects"),
    (
        read_alpaca,
        '[{"instruction": "x", "input": ""}]',
        "[0]: field 'output' is missing; there are: instruction, input",
    ),
    (read_alpaca, "[1]", "[0] is int: give a mapping of field to value"),
    (read_humaneval, '{"task_id": "a"}', ", line 1: field 'prompt' is missing: it must be a text"),
    (read_humaneval, '{"task_id": 3}', ", line 1: field 'task_id' is a number: it must be a text"),
]


@pytest.mark.parametrize(("read", "content", "message"), WRONG)
def test_what_is_wrong_with_a_file_is_named(tmp_path, read, content, message) -> None:
    """The error has one line: the file, the line or record, the field, and what is expected."""
    path = tmp_path / "data.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path) -> None:
    """A missing file, bytes that are no UTF-8, and a file that is no parquet are named."""
    path = tmp_path / "data"
    with pytest.raises(BadInput, match=r"data: cannot be read \(.*No such file"):
        read_jsonl(path, Fields("y"))
    path.write_bytes(b'{"a": 1}\n\xff\n')
    with pytest.raises(BadInput, match="data, line 2: is not UTF-8"):
        read_jsonl(path, Fields("y"))
    with pytest.raises(BadInput, match="data: cannot be read as parquet"):
        read_parquet(path, Fields("y"))
    with pytest.raises(BadInput, match=r"capitals\.parquet\[0\]: field 'z' is missing"):
        read_parquet(FIXTURES / "capitals.parquet", Fields("z"))


class Rows:
    """Behaves as a ``datasets.Dataset`` does: a sequence of rows that has more to it."""

    column_names = ("q", "a")

    def __len__(self):
        """Two rows."""
        return 2

    def __getitem__(self, index):
        """By place."""
        return [{"q": 1, "a": 2}, {"q": 3, "a": 4}][index]


def test_any_sequence_of_mappings_is_taken() -> None:
    """A dataset object or a list of dicts makes examples; a dictionary of splits asks to choose one."""
    assert [one.expected for one in from_rows(Rows(), Fields("a"))] == [2, 4]
    with pytest.raises(BadInput, match="rows is a mapping with train, test: choose one of its parts"):
        from_rows({"train": [], "test": []}, Fields("a"))
    with pytest.raises(BadInput, match="rows is empty"):
        from_rows([], Fields("a"))


def test_inputs_are_chosen_and_never_hold_the_answer() -> None:
    """Fields that are not chosen are left out; the expected field cannot be chosen."""
    row = {"q": "?", "hint": "h", "a": "!", "id": 7}
    assert from_rows([row], Fields("a", ("q",), key="id")) == (Example({"q": "?"}, "!", "7"),)
    with pytest.raises(BadInput, match="holds 'a', the expected answer"):
        Fields("a", ("q", "a"))
    with pytest.raises(BadInput, match="give a tuple of names"):
        Fields("a", "q")


def test_examples_are_told_from_rows() -> None:
    """A list of dicts where examples belong is refused with the remedy."""
    with pytest.raises(BadInput, match=r"examples\[1\] is dict: make examples with from_rows"):
        check_examples([Example({}), {"q": 1}])
    with pytest.raises(BadInput, match="examples is empty"):
        check_examples([])
    with pytest.raises(BadInput, match="examples is dict"):
        check_examples(json.loads("{}"))
    with pytest.raises(KeyError, match="'z': the example has q"):
        Example({"q": 1})["z"]
