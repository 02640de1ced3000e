"""The page in a browser: three real studies and a hostile one, opened from a file in headless Chromium."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_optimize import Evaluation, SQLiteStore
from llm_optimize.report.writing import write_report

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
import report_studies as studies

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.xdist_group("chromium"),  # one browser for all of them
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the driver's pipes, closed by its process
]

READY = "#report[aria-busy=false]"


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests of this file."""
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser):
    """Opens a page; afterwards no request but the file itself was made, and the console stayed silent."""

    @contextmanager
    def open_page(path, **options):
        asked, said = [], []
        page = browser.new_page(viewport={"width": 1400, "height": 900}, **options)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
        page.goto(path.as_uri())
        page.wait_for_selector(READY)
        yield page
        page.close()
        assert asked == [path.as_uri()]
        assert said == []

    return open_page


def titles(page):
    """Return the titles of the sections."""
    return page.locator("section.card > h2").all_text_contents()


def test_a_program_that_got_shorter(opened, tmp_path):
    """Code golf: its sections, the difference by lines and by words, a candidate by keyboard, a prompt on demand."""
    store = SQLiteStore(tmp_path / "s.db")
    with opened(write_report(store, studies.golf(store), tmp_path / "r.html")) as page:
        assert titles(page) == [
            "Summary", "Best against start", "Score over evaluations", "Candidates", "Lineage", "Claims", "Cost",
            "Failures", "Prompts and replies", "Reproduce",
        ]  # fmt: skip
        best = page.locator("#best")
        assert best.locator("tr.del").count() == 11
        assert best.locator("tr.ins").count() == 2
        best.get_by_role("button", name="Best", exact=True).click()
        assert best.locator("pre").inner_text().startswith("import re")
        best.get_by_role("button", name="Difference").click()
        best.get_by_label("Compare by").select_option("word")
        assert best.locator("ins").count() > 0
        rows = page.locator("#trials tbody tr[data-place]")
        assert rows.count() == 6
        rows.first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert page.locator("#detail-title").inner_text() == "Candidate #2"
        page.locator("#detail").get_by_role("button", name="Next").click()
        assert page.locator("#detail-title").inner_text() == "Candidate #1"
        page.keyboard.press("Escape")
        assert not page.locator("#detail").is_visible()
        assert page.evaluate("() => document.activeElement.dataset.place") == "2"
        page.locator("#conversations summary").first.click()
        assert "hidden tests" in page.locator("#conversations .exchange pre").first.inner_text()
        assert page.locator("#claims .chip.good").count() == 3
        page.locator("#failures summary").click()
        assert page.locator("#failures .ids button").all_inner_texts() == ["#3", "#5"]
        page.locator("#lineage g.node").nth(4).press("Enter")
        assert page.locator("#detail-title").inner_text() == "Candidate #4"


def test_a_text_that_a_judge_marked(opened, tmp_path):
    """The rubric: words compared, repeated scores with their interval, both themes, and a print of all of it."""
    store = SQLiteStore(tmp_path / "s.db")
    with opened(write_report(store, studies.rubric(store), tmp_path / "r.html"), color_scheme="dark") as page:
        assert page.locator("html").get_attribute("data-theme") == "dark"
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name="Dark").click()
        assert page.locator("html").get_attribute("data-theme") == "light"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
        assert page.locator("#best .words ins").count() > 0
        assert "its 95 % interval" in page.locator("#scores .keys").inner_text()
        page.locator("#scores .plot").click(position={"x": 700, "y": 150})
        assert page.locator("#detail-title").inner_text().startswith("Candidate #")
        page.keyboard.press("Escape")
        page.get_by_label("Horizontal axis").select_option("tokens")
        assert {"judge", "proposer"} <= set(page.locator("#cost tbody th").all_inner_texts())
        assert page.locator("#conversations .counted").inner_text().startswith("1 to 20 of 2")
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, select, input, [role=button]')].filter((one) => "
            "!(one.textContent.trim() || one.getAttribute('aria-label'))).length"
        )
        assert nameless == 0
        assert page.pdf()[:5] == b"%PDF-"


def check_print(page, ranking):
    """On paper the head of the ranking is there, whole: no row hides behind a scroll bar."""
    page.emulate_media(media="print")
    page.evaluate("() => { dispatchEvent(new Event('beforeprint')); }")
    assert ranking.locator("tbody tr[data-place]").count() == 60
    hidden = "() => { const one = document.querySelector('.scroller'); return one.scrollHeight - one.clientHeight; }"
    assert page.evaluate(hidden) <= 1


def expected():
    """Count the pairs of the second prompt at a temperature of 0.2 or 0.3 with a similarity of 0.5 or more."""
    points = map(studies.point, range(10_000))
    cold = [one for one in points if '"temperature": 0.2' in one or '"temperature": 0.3' in one]
    outcomes = [studies.answered(one) for one in cold if studies.PROMPTS[1] in one]
    return sum(isinstance(one, Evaluation) and one.score >= 0.5 for one in outcomes)


def test_a_sweep_of_ten_thousand_pairs(opened, tmp_path):
    """Of 10,000 rows a screenful is in the page; sorting, filtering, searching and a difference work by clicks."""
    store = SQLiteStore(tmp_path / "s.db")
    path = write_report(store, studies.sweep(store), tmp_path / "r.html")
    assert path.stat().st_size < 10_000_000
    with opened(path) as page:
        assert titles(page)[1:5] == ["Best pair", "Similarity over evaluations", "Ranking", "Effect of each setting"]
        ranking = page.locator("#ranking")
        count = ranking.locator(".counted")
        assert count.inner_text() == "10,000 rows"
        assert 10 < ranking.locator("tbody tr[data-place]").count() < 60
        first = ranking.locator("tbody tr[data-place='0'] td")
        head = ranking.locator("th[data-column='setting temperature']")
        assert head.get_attribute("aria-sort") == "none"
        head.get_by_role("button").click()
        assert (head.get_attribute("aria-sort"), first.nth(4).inner_text()) == ("ascending", "0")
        head.get_by_role("button").click()
        assert (head.get_attribute("aria-sort"), first.nth(4).inner_text()) == ("descending", "0.9")
        ranking.get_by_label("Filter temperature").fill("0.2..0.3")
        ranking.get_by_label("Filter Prompt").select_option(index=2)
        ranking.get_by_label("Filter Similarity").fill(">=0.5")
        playwright.expect(count).to_contain_text(" of ")
        shown = int(count.inner_text().split(" of ")[0].replace(",", ""))
        assert shown == expected() > 100
        ranking.get_by_role("button", name="Clear filters").click()
        ranking.get_by_label("Search the").fill("moon, the sun")
        playwright.expect(count).to_contain_text(" of ")
        ranking.get_by_role("button", name="Clear filters").click()
        ranking.locator("th[data-column='rank'] button").click()
        row = ranking.locator("tbody tr[data-place='0']")
        row.focus()
        page.keyboard.press("End")
        last = ranking.locator("tbody tr[data-place='9999'] td")
        assert (last.first.inner_text(), last.nth(1).inner_text()) == ("10,000", "failed")
        page.keyboard.press("Home")
        for _ in range(3):
            page.keyboard.press("PageDown")
        page.keyboard.press("Enter")
        detail = page.locator("#detail")
        assert detail.get_by_text("Answer against the wanted one").is_visible()
        detail.get_by_role("button", name="Close").click()
        ranking.get_by_label("Filter Similarity").fill("<0.5")
        ranking.locator("tbody tr[data-place='0']").click()
        assert detail.locator("ins").count() > 0
        assert detail.locator("del").count() > 0
        page.keyboard.press("Escape")
        assert page.locator("#effects .effectcard strong").first.inner_text() == "temperature"
        assert "top_k" in page.locator("#effects .note").inner_text()
        assert "points drawn" in page.locator("#scores").inner_text()
        check_print(page, ranking)
        assert '"temperature"' in page.locator("#best pre").all_inner_texts()[-2]


def test_hostile_texts_are_shown_and_not_obeyed(opened, hostile, tmp_path):
    """Scripts, handlers, template marks and strange characters in every text of a study are letters on the page."""
    with opened(write_report(*hostile, tmp_path / "r.html")) as page:
        assert page.locator("h1").inner_text() == "<b>hostile</b>"
        page.locator("#trials tbody tr[data-place='0']").click()
        assert "</script><script>window.pwned=1</script>" in page.locator("#detail").inner_text()
        for summary in page.locator("#conversations summary").all():
            summary.evaluate("(one) => one.click()")
        page.keyboard.press("Escape")
        assert page.evaluate("window.pwned") is None
        assert page.locator("main img, main iframe, main script, main svg[onload]").count() == 0
        assert "{{ 7 * 7 }}" in page.locator("#summary").inner_text()
