"""How results and studies show themselves in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser

from llm_optimize import MaxSteps, MemoryStore, Problem, ScriptedModel, Study, optimize

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\x00\u202e"


class Elements(HTMLParser):
    """Collects the names of elements and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(thing: object) -> Elements:
    """Parse what a notebook would show."""
    parsed = Elements()
    parsed.feed(thing._repr_html_())  # type: ignore[attr-defined]
    return parsed


def test_a_result_shows_its_figures_its_curve_and_its_best_text() -> None:
    """The verdict, best and start, the course of the scores, the best text and the best candidates are there."""
    replies = ["```\nlonger\n```", "```\nthe longest\n```"]
    result = optimize.run("t", "q", len, "long", 2, ScriptedModel(replies), verbose=False, store=None, study="one")
    found = shown(result)
    assert result.verdict in found.text
    assert "the longest" in found.text
    assert {"svg", "polyline", "circle", "pre", "table", "details"} <= set(found.names)
    assert found.names.count("circle") == 3


def test_hostile_texts_are_escaped() -> None:
    """No element comes from a candidate, a name or an origin."""
    model = ScriptedModel([f"```\n{HOSTILE}\n```"], name="<script>")
    result = optimize.run(HOSTILE, HOSTILE, len, "<img>", 1, model, verbose=False, store=None, study="<script>")
    found = shown(result)
    assert not {"script", "img"} & set(found.names)
    assert "<script>alert(1)</script>" in found.text
    assert "\x00" not in found.text


def test_a_study_shows_itself_without_being_opened() -> None:
    """A new study says that there is nothing yet; one that ran shows what it came to."""

    class One:
        def propose(self, history: object, n: int) -> object:
            raise NotImplementedError

    study = Study(Problem("t", start="abc"), One(), len, store=MemoryStore(), name="one", stop=MaxSteps(0))  # type: ignore[arg-type]
    assert "nothing has been evaluated yet" in shown(study).text
    study.run()
    assert "#0, start" in shown(study).text


def test_ten_thousand_scores_are_a_small_picture() -> None:
    """A long study does not fill the notebook: at most some hundred dots are drawn."""
    study = Study(Problem("t"), None, len, store=MemoryStore(), name="one")  # type: ignore[arg-type]
    with study:
        for number in range(1500):
            study.inject("x" * (number % 7 + 1) + str(number))
            study.tell(study.ask()[0], number % 7)
        found = shown(study)
    assert 100 < found.names.count("circle") <= 400
    assert len(study._repr_html_()) < 60_000
