"""Training files: what each format holds, that nothing is lost on the way, and that their readers take them."""

from __future__ import annotations

import csv
import json
import random
from importlib.util import find_spec

import pytest

from llm_optimize import export
from llm_optimize.core.events import Opened, Proposed, Stopped, Told
from llm_optimize.core.linefiles import as_line, write_whole
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.distill.records import Best
from llm_optimize.errors import BadInput
from llm_optimize.export.inst import escaped, from_text, holds_marks, to_text, unescaped
from llm_optimize.proposers.improving import IMPROVE, improving

ROWS = 1328  # of the published file
AWKWARD = (
    "two\nlines\r\nand a return\r",
    'quotes " and \'\', a comma, "doubled ""ones"""',
    " blanks around \t",
    "ünïcödé 漢字 🙂 \u2028 \u0000",
    "backslashes \\ \\\\ \\n and [\\INST] <\\/s>",
    "{{slots}} <prompt> [ INST ] [/inst] <S>",
)
MARKED = ("ends [/INST] early", "<s>begins", "</s>", "[INST] [\\INST] [/INST]", "<<s></s>")


def published(texts=AWKWARD):
    """Return as many pairs as the published file has, with awkward texts among them."""
    draw = random.Random(0)
    words = ["what", "which", "name", "list", "of", "the", "a", "city", "river", "number"]
    pairs = []
    for number in range(ROWS):
        before, after = (" ".join(draw.choices(words, k=25)) for _ in range(2))
        if number % 7 == 0:
            before = f"{before} {texts[number % len(texts)]}"
        if number % 11 == 0:
            after = texts[number % len(texts)]
        pairs.append((before, after))
    return pairs


def improvements(pairs):
    return tuple(
        export.Improvement(str(i), before, after, 1.0, ((before, 0.25),)) for i, (before, after) in enumerate(pairs)
    )


@pytest.mark.parametrize("kind", export.FORMATS)
def test_the_published_shape_makes_the_round_trip_in_every_format(tmp_path, kind):
    """1,328 rows with newlines, quotes, other alphabets and control characters come back as they were."""
    pairs = published()
    done = export.write(improvements(pairs), tmp_path / "x.jsonl", kind)
    assert done.files == ((tmp_path / "x.jsonl", ROWS),)
    assert export.read_pairs(tmp_path / "x.jsonl") == pairs
    assert len((tmp_path / "x.jsonl").read_bytes().split(b"\n")) == ROWS + 1


def test_the_text_column_is_the_published_files(tmp_path):
    """A CSV with one column, text, each row in the template; written, read and written again it is the same bytes."""
    pairs = published()
    export.write(improvements(pairs), tmp_path / "a.csv", "inst")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["text"]
    assert len(rows) == ROWS + 1
    assert all(len(row) == 1 and row[0].startswith("<s>[INST] ") and row[0].endswith(" </s>") for row in rows[1:])
    assert export.read_pairs(tmp_path / "a.csv") == pairs
    export.write(export.read_file(tmp_path / "a.csv"), tmp_path / "b.csv", "inst")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_the_results_table_is_read_too(tmp_path):
    """A CSV with the columns Bad Prompt and Improved Prompt, as the published results have them."""
    with (tmp_path / "r.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("Bad Prompt", "Improved Prompt"), ("a\nb", "c, d")])
    assert export.read_pairs(tmp_path / "r.csv") == [("a\nb", "c, d")]


@pytest.mark.parametrize("text", MARKED)
def test_the_templates_own_marks_are_refused_or_escaped(tmp_path, text):
    """A mark in a text is refused with the row's name; escaped it makes the round trip, and no mark is left in it."""
    pairs = [("fine", "also fine"), ("before", text), (text, "after")]
    with pytest.raises(BadInput, match=r"1: the text .* a mark of the template") as error:
        export.write(improvements(pairs), tmp_path / "x.csv", "inst")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x.csv").exists()
    export.write(improvements(pairs), tmp_path / "x.csv", "inst", options=export.Options(marks="escape"))
    assert export.read_pairs(tmp_path / "x.csv", marks="escape") == pairs
    for row in export.read_rows(tmp_path / "x.csv"):
        before, after = from_text(row["text"])
        assert not holds_marks(before)
        assert not holds_marks(after)


def test_escaping_is_undone_exactly_whatever_the_text():
    """Of random texts made of the marks' own characters none comes back changed, and none keeps a mark."""
    draw = random.Random(3)
    pieces = ["<s>", "</s>", "[INST]", "[/INST]", "\\", "<", "[", "/", "s>", "INST]", " ", "\n"]
    for _ in range(5000):
        text = "".join(draw.choices(pieces, k=draw.randint(0, 9)))
        assert unescaped(escaped(text)) == text
        assert not holds_marks(escaped(text))
        assert from_text(to_text(escaped(text), escaped(text[::-1]))) == (escaped(text), escaped(text[::-1]))


def test_what_each_row_holds():
    """The fields are those that OpenAI and TRL document; the words are those of the inference helper."""
    (one,) = improvements([("2+2?", "What is 2 + 2?")])
    said = [{"role": "assistant", "content": "What is 2 + 2?"}]
    asked = [{"role": message.role, "content": message.content} for message in improving("2+2?")]
    copied = [{"role": "assistant", "content": "2+2?"}]
    assert asked[0]["content"] == IMPROVE
    assert export.rows([one], "chat") == [{"messages": asked + said}]
    assert export.rows([one], "conversational") == [{"prompt": asked, "completion": said}]
    assert export.rows([one], "inst") == [{"text": "<s>[INST] 2+2? [/INST] What is 2 + 2? </s>"}]
    cue = "2+2?\n\n### Rewritten:\n"
    assert export.rows([one], "prompt-completion") == [{"prompt": cue, "completion": "What is 2 + 2?"}]
    assert export.rows([one], "dpo") == [
        {"prompt": cue, "chosen": "What is 2 + 2?", "rejected": "2+2?", "margin": 0.75}
    ]
    (row,) = export.rows([one], "dpo-conversational")
    assert row == {"prompt": asked, "chosen": said, "rejected": copied, "margin": 0.75}
    (row,) = export.rows([one], "openai-dpo")
    assert row == {"input": {"messages": asked}, "preferred_output": said, "non_preferred_output": copied}


def test_preferences_have_margins():
    """The worst version is rejected, or each one; the widest margin first, none below the least."""
    one = export.Improvement("1", "a", "best", 1.0, (("a", 0.5), ("b", 0.0), ("c", 0.9), ("best", 0.1)))

    def rejected(**options):
        rows = export.rows([one], "dpo", export.Options(**options))
        return [(row["rejected"], pytest.approx(row["margin"])) for row in rows]

    assert rejected() == [("b", 1.0)]
    assert rejected(rejected="all") == [("b", 1.0), ("a", 0.5), ("c", 0.1)]
    assert rejected(rejected="all", least_margin=0.3) == [("b", 1.0), ("a", 0.5)]
    with pytest.raises(BadInput, match="nothing of it was scored"):
        export.rows([export.Improvement("1", "a", "b")], "dpo")


def best(name, part, improved):
    versions = (("ask", 0.0), ("ask well", 1.0), ("ask badly", 0.5))
    after, score, version = ("ask well", 1.0, "1-0") if improved else ("ask", 0.0, "original")
    return Best(name, "mmlu", "ask", after, "A) x", 0.0, score, version, part, answer_shown=True, versions=versions)


@pytest.fixture
def folder(tmp_path):
    """The folder of a run of twelve items, two of them held out and one kept as it was."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    bests = [best(f"i{n}", "validation" if n < 2 else "train", n != 5) for n in range(12)]
    write_whole(tmp_path / "run" / "best.jsonl", [as_line(one.record()) for one in bests])
    return tmp_path / "run"


def test_a_distill_run_keeps_its_parts(folder, tmp_path):
    """Items held out go to a second file; what nothing beat teaches nothing; whose answer was shown is known."""
    found = export.from_distill(folder)
    assert len(found) == 11
    assert all(one.answer_shown for one in found)
    done = export.write(found, tmp_path / "x.jsonl", "dpo")
    assert [(path.name, rows) for path, rows in done.files] == [("x.jsonl", 9), ("x.validation.jsonl", 2)]
    assert export.read_rows(tmp_path / "x.jsonl")[0]["rejected"] == "ask"
    with pytest.raises(BadInput, match="is no folder of a distill run"):
        export.from_distill(tmp_path)


def study(*trials, start="x0"):
    """Return the log of a study with (id, text, parent, score) trials; None for a failure."""
    yield Opened(Problem("the task", "the question?", start))
    for number, text, parent, score in trials:
        candidate = Candidate(number, text, origin="start" if parent is None and not number else "chat", parent=parent)
        yield Proposed((candidate,), slot=number - 1)
        yield Told(number, Failure("raised", "no") if score is None else Evaluation(score))
    yield Stopped("done")


def test_a_study_gives_each_candidate_that_beat_its_parent():
    """Parent and better child make a pair; worse siblings are to be rejected; failures and losses give nothing."""
    log = [
        (0, "x0", None, 1.0),
        (1, "a", 0, 3.0),
        (2, "b", 0, 0.5),
        (3, "c", 1, 2.0),
        (4, "d", 1, 4.0),
        (5, "e", None, 2.0),
    ]
    found = export.from_study(study(*log, (6, "f", 1, None)))
    assert [(one.before, one.after) for one in found] == [("x0", "a"), ("x0", "e"), ("a", "d")]
    assert found[0].others == (("x0", 1.0), ("b", 0.5), ("e", 2.0))
    assert found[2].others == (("a", 3.0), ("c", 2.0))
    (row,) = export.rows(found[:1], "chat")
    assert [one["content"] for one in row["messages"]] == ["the task", "x0\n\nthe question?", "a"]
    assert export.from_study(study((0, "x0", None, 1.0))) == ()


def test_a_split_shares_no_text():
    """Pairs with a text in common stay in one part."""
    pairs = [(f"q{n % 20}", f"better {n}") for n in range(60)]
    found = export.split(improvements(pairs), 0.25, 3)
    held = {one.before for one in found if one.part == "validation"}
    assert len(held) == 5
    assert not held & {one.before for one in found if one.part == "train"}
    with pytest.raises(BadInput, match="validation is 1"):
        export.split(found, 1)


def chat(*roles):
    return {"messages": [{"role": role, "content": "text"} for role in roles]}


BROKEN = [
    ("no row", "data_type"),
    ({}, "missing_messages_list"),
    ({"messages": []}, "missing_messages_list"),
    ({"messages": [{"role": "user"}, {"role": "assistant", "content": "x"}]}, "message_missing_key"),
    ({"messages": [{"role": "assistant", "content": "x", "mood": "good"}]}, "message_unrecognized_key"),
    ({"messages": [{"role": "human", "content": "x"}, {"role": "assistant", "content": "x"}]}, "unrecognized_role"),
    ({"messages": [{"role": "assistant", "content": ""}]}, "missing_content"),
    ({"messages": [{"role": "assistant", "content": ["x"]}]}, "missing_content"),
    (chat("system", "user"), "example_missing_assistant_message"),
    (chat("user", "assistant", "user"), "last_message_not_assistant"),
    ({"messages": [{"role": "assistant", "content": "x", "weight": 0.5}]}, "weight_not_0_or_1"),
]


@pytest.mark.parametrize(("row", "rule"), BROKEN)
def test_the_published_rules_of_chat_files(row, rule):
    """Each rule is broken by a row of its own, which is named; the rows around it are not."""
    rows = [chat("user", "assistant")] * 4 + [row] + [chat("system", "user", "assistant")] * 6
    checked = export.check_chat(rows)
    assert (4, rule) in checked.problems
    assert {number for number, _ in checked.problems} == {4}
    assert not checked.ok
    assert rule in str(checked)


def test_few_and_long_rows_are_warned_of():
    """Fewer than ten rows, and rows beyond the training context, are said; tokens are counted."""
    few = export.check_chat([chat("user", "assistant")] * 9)
    assert few.ok
    assert "only 9 rows: fine-tuning takes 10 or more" in few.warnings
    rows = [chat("user", "assistant")] * 10
    assert export.check_chat(rows).warnings == ()
    long = {"messages": [{"role": "user", "content": "word " * 200}, {"role": "assistant", "content": "x"}]}
    checked = export.check_chat([*rows, long], context=100)
    assert "1 rows are longer than 100 tokens: their ends are cut off" in checked.warnings
    assert checked.tokens > checked.longest > 200
    with pytest.raises(BadInput, match="context is 0"):
        export.check_chat(rows, context=0)


def test_our_chat_file_passes_the_clients_own_types(tmp_path):
    """Every message is one that the installed openai client can send, and the file breaks no rule."""
    pydantic = pytest.importorskip("pydantic")
    from openai.types.chat import ChatCompletionMessageParam  # noqa: PLC0415 - heavy, for this test alone

    done = export.write(improvements(published()), tmp_path / "x.jsonl", "chat")
    assert done.checked.ok
    assert (done.checked.rows, done.checked.warnings) == (ROWS, ())
    adapter = pydantic.TypeAdapter(list[ChatCompletionMessageParam])
    for line in (tmp_path / "x.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
        adapter.validate_python(json.loads(line)["messages"])


@pytest.mark.parametrize("kind", ["chat", "prompt-completion", "conversational", "dpo", "dpo-conversational", "inst"])
def test_datasets_reads_what_was_written(tmp_path, kind):
    """The datasets library loads each file with the columns of its format, and every text is as it was."""
    datasets = pytest.importorskip("datasets", reason="the training libraries are not installed")
    pairs = published()
    export.write(improvements(pairs), tmp_path / "x.jsonl", kind)
    loaded = datasets.Dataset.from_json(str(tmp_path / "x.jsonl"), cache_dir=str(tmp_path / "cache"))
    assert [export.pair_of(row) for row in loaded] == pairs


@pytest.mark.skipif(not (find_spec("trl") and find_spec("torch")), reason="the training libraries are not installed")
def test_trl_knows_the_formats_for_what_they_are():
    """TRL's own functions take the conversational rows for conversations, the others not, and find the prompts."""
    from trl.data_utils import extract_prompt, is_conversational  # noqa: PLC0415 - heavy, for this test alone

    found = improvements(published()[:20])
    for kind, expected in (("chat", True), ("conversational", True), ("dpo-conversational", True), ("dpo", False)):
        rows = export.rows(found, kind)
        assert {is_conversational(row) for row in rows} == {expected}, kind
    for row in export.rows(found, "dpo-conversational"):
        implicit = {name: row["prompt"] + row[name] for name in ("chosen", "rejected")}
        taken = extract_prompt(implicit)
        assert (taken["prompt"], taken["chosen"]) == (row["prompt"], row["chosen"])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda path: export.write((), path / "x.jsonl"), "there is nothing to export"),
        (lambda path: export.write(improvements([("a", "b")]), path / "x.csv", "chat"), "only the format inst"),
        (lambda path: export.write(improvements([("a", "b")]), path / "none" / "x.jsonl"), "cannot be written"),
        (lambda path: export.write(improvements([("a", "b")]), path / "taken.jsonl"), "exists already"),
        (lambda path: export.write(improvements([("a", "\ud800")]), path / "x.csv", "inst"), "a lone surrogate"),
        (lambda path: export.write(improvements([("a", "")]), path / "x.jsonl"), "breaks the rule missing_content"),
        (lambda path: export.rows(improvements([("a", "b")]), "xml"), "format is 'xml'"),
        (lambda path: export.read_pairs(path / "taken.jsonl"), "row 0: a row with odd is of none of the formats"),
        (lambda path: export.read_pairs(path / "none.jsonl"), "cannot be read"),
        (lambda path: export.Options(rejected="some"), "rejected is 'some'"),
        (lambda path: export.pair_of({"text": "free"}), "is no row of the template"),
    ],
)
def test_what_cannot_be_exported_is_one_line(tmp_path, call, says):
    """Bad input names what is wrong and leaves no file behind."""
    (tmp_path / "taken.jsonl").write_text('{"odd": 1}\n')
    with pytest.raises(BadInput) as error:
        call(tmp_path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.jsonl"]
