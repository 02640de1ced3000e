"""The live page in headless Chromium against studies that run in processes of their own, a scripted server as model."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager

import pytest
from helpers.gate import Gate

from llm_optimize import Draft, MaxSteps, Problem, Proposal, SQLiteStore, Study
from llm_optimize.core.events import Guided
from llm_optimize.testing.server import ScriptedServer

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.xdist_group("chromium"),  # one browser for all of them
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the driver's pipes, closed by its process
]

SHOTS = os.environ.get("LLM_OPTIMIZE_SHOTS")  # a folder: the pages as they looked are put there, for people
HOSTILE = "<img src=x onerror=window.pwned=1></script><script>window.pwned=1</script>{{ 7 * 7 }}\u202e"
TASK = """
TASK = "Make the text long. <b>bold</b>"
QUESTION = "What is longer?"
x0 = "start"
MAX_STEPS = 40

def score(text):
    return len(text), f"it has {len(text)} characters"
"""
expect = playwright.expect
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests of this file."""
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser):
    """Opens a page; afterwards everything it asked for was its own server's, and no script broke a rule."""

    @contextmanager
    def open_page(url, *, lost=False):
        asked, said = [], []
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
        page.goto(url)
        yield page
        page.close()
        home = url.split("/", 3)[2]
        assert {one.split("/", 3)[2] for one in asked if not one.startswith("data:")} == {home}
        ours = [one for one in said if not (lost and "ERR_" in one)]  # a browser says that it could not connect
        assert ours == []

    return open_page


def shot(page, name):
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")


def longer(index):
    return f"Hypothesis: longer is better, {HOSTILE}\n```\n{HOSTILE} {'long ' * (index + 2)}\n```"


def run(started, tmp_path, server, *more):
    (tmp_path / "task.py").write_text(TASK)
    words = ("run", "task.py", "--model", f"{server.url}#scripted", "--study", "<b>mine</b>", "--serve", "--port", "0")
    return started(*words, *more)


def prompts(server):
    return [str(request.body["messages"]) for request in server.requests]


def check_hostile(page, rows):
    """In the feed, in what the model says, in the report, in a candidate's drawer: letters, and no script."""
    expect(page.locator("#voices pre").last).to_contain_text("<img src=x onerror=window.pwned=1>")
    expect(page.locator("#feed li.proposed .line").first).to_contain_text("</script><script>window.pwned=1</script>")
    expect(page.locator("#report[aria-busy=false] #trials .counted")).to_have_text(f"{rows} rows")
    shot(page, "running")
    page.locator("#trials tbody tr[data-place='0']").click()
    assert "<img src=x onerror=window.pwned=1></script>" in page.locator("#detail").inner_text()
    shot(page, "drawer")
    page.locator("#detail .acts button", has_text="Pin").click()
    page.keyboard.press("Escape")
    expect(page.locator("#unpin")).to_be_visible()
    assert page.evaluate("window.pwned") is None
    assert page.locator("main img, main iframe, main script").count() == 0
    page.locator("#theme").click()
    page.locator("#scores").scroll_into_view_if_needed()
    shot(page, "dark")


def test_a_run_is_watched_and_guided(opened, started, tmp_path):
    """What is typed in is in the next request at the model; hostile texts are letters; the page shows how it ends."""
    gate = Gate(longer)
    with ScriptedServer(gate) as server, run(started, tmp_path, server, "--max-steps", "5") as (process, url):
        with opened(url, lost=True) as page:
            expect(page.locator("#state")).to_have_text("running")
            assert page.locator("h1").inner_text() == "<b>mine</b>"
            gate.let(2)
            expect(page.locator("#feed li.told")).to_have_count(3)
            check_hostile(page, 3)
            page.locator("#words").fill("mind the gap </script>")
            page.get_by_role("button", name="Say it").click()
            expect(page.locator("#told")).to_contain_text("heeded from the next prompt on")
            expect(page.locator("#said li")).to_have_text("mind the gap </script>")
            expect(page.locator("#feed li.say .line")).to_have_text("mind the gap </script>")
            page.locator("#mine").fill("a text of my own, which is rather long, longer than all of the others so far, "
                "and without a single word that means harm to a page, however it may be read")  # fmt: skip
            page.get_by_role("button", name="Evaluate it").click()
            gate.let(2)
            expect(page.locator("#feed li.inject")).to_have_count(1)
            expect(page.locator("#feed li.stopped .line")).to_contain_text("max_steps: 5 steps are done")
            said = ["mind the gap </script>" in prompt for prompt in prompts(server)]
            assert said == [False, False, False, True]  # the third was under way when it was said
            assert page.evaluate("window.pwned") is None
        assert process.wait(30) == 0


def test_a_run_is_paused_continued_given_more_and_stopped(opened, started, tmp_path):
    """While it is paused the model is not asked; stop ends the process, with its best printed and the reason said."""
    gate = Gate(longer)
    with ScriptedServer(gate) as server, run(started, tmp_path, server, "--max-steps", "3") as (process, url):
        with opened(url, lost=True) as page:
            gate.let(1)
            expect(page.locator("#feed li.told")).to_have_count(2)
            page.get_by_role("button", name="Pause").click()
            expect(page.locator("#state")).to_have_text("paused")
            gate.let(1)  # the request that was under way, if one was
            page.locator("#cap").select_option("steps")
            page.locator("#to").fill("30")
            page.get_by_role("button", name="Raise").click()
            expect(page.locator("#tiles")).to_contain_text("of 30")
            shot(page, "paused")
            asked = len(server.requests)
            assert asked <= 2
            page.get_by_role("button", name="Continue").click()
            expect(page.locator("#state")).to_have_text("running")
            gate.let(8)
            expect(page.locator("#feed li.told")).to_have_count(11 if asked == 2 else 10)
            page.get_by_role("button", name="Stop").click()
            assert not any(isinstance(event, Guided) and event.act == "stop" for event in log(tmp_path))
            page.get_by_role("button", name="Stop: sure?").click()
            expect(page.locator("#feed li.stop")).to_have_count(1)
            gate.let(1)
            assert process.wait(30) == 0
            expect(page.locator("#feed li.stopped .line")).to_have_text("the session ended: stopped by hand")
            expect(page.locator("#link")).to_have_text("connection lost, trying again")
        assert "long long" in process.stdout.read()
        assert log(tmp_path)[-1].reason == "stopped by hand"


def test_candidates_are_decided_about(opened, started, tmp_path):
    """Pinned and unpinned, rejected with a reason that the next request holds, and accepted, which ends the run."""
    gate = Gate(longer)
    with ScriptedServer(gate) as server, run(started, tmp_path, server, "--max-steps", "9") as (process, url):
        with opened(url, lost=True) as page:
            gate.let(2)
            expect(page.locator("#feed li.told")).to_have_count(3)
            page.locator("#feed li.told button", has_text="#1").click()
            expect(page.locator("#detail .acts")).to_be_visible()
            page.locator("#detail .acts button", has_text="Pin").click()
            expect(page.locator("#tiles")).to_contain_text("pinned: #1")
            page.keyboard.press("Escape")
            expect(page.locator("#detail")).to_be_hidden()
            page.get_by_role("button", name="Unpin").click()
            expect(page.locator("#feed li.unpin")).to_have_count(1)
            expect(page.locator("#unpin")).to_be_hidden()
            reject(page, 2, "it is </script> spam")
            page.locator("#which").fill("7")
            page.locator("#decide button[value=accept]").click()
            expect(page.locator("#told")).to_contain_text("candidate 7 is unknown to this study")
            gate.let(2)
            expect(page.locator("#feed li.told")).to_have_count(5)
            page.locator("#which").fill("1")
            page.locator("#decide button[value=accept]").click()
            expect(page.locator("#feed li.accept")).to_have_count(1)
            gate.let(1)
            expect(page.locator("#feed li.stopped .line")).to_contain_text("accepted by hand: candidate #1")
        assert process.wait(30) == 0
        heeded = ["rejected it: it is </script> spam" in prompt for prompt in prompts(server)]
        assert heeded.index(True) == 3  # the third was under way
    rejected = [event for event in log(tmp_path) if isinstance(event, Guided) and event.act == "reject"]
    assert [(event.candidate_id, event.text) for event in rejected] == [(2, "it is </script> spam")]


def reject(page, number, why):
    """By keyboard alone, from the candidate's drawer."""
    page.locator("#feed li.told button", has_text=f"#{number}").focus()
    page.keyboard.press("Enter")
    page.locator("#detail .acts button", has_text="Reject").focus()
    page.keyboard.press("Enter")
    page.keyboard.type(why)
    shot(page, "reject")
    page.keyboard.press("Enter")
    expect(page.locator("#feed li.reject .line")).to_have_text(f"candidate #{number} was rejected by hand: {why}")
    expect(page.locator("#detail .rejecting")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()


def test_what_is_not_there_is_said(opened, started, tmp_path):
    """An empty store says how to begin, an unknown study where the others are, a page without its token what to do."""
    path = tmp_path / "s.db"
    SQLiteStore(path).close()
    with started("serve", "--store", path, "--port", "0", "--token", "sixteen-characters") as (_, url):
        with opened(url.split("?")[0], lost=True) as page:
            expect(page.locator("h2")).to_have_text("This page needs its token")
        with opened(url, lost=True) as page:
            expect(page.locator("#none")).to_contain_text("llm-optimize run task.py")
            page.goto(url.split("?")[0] + "study?study=none")
            expect(page.locator("h2")).to_have_text("There is no such study")
            page.get_by_role("link", name="All studies").first.click()
            expect(page.locator("h1")).to_have_text("Studies")


def test_a_narrow_screen_is_enough(browser, started, tmp_path):
    """On a telephone nothing is wider than the screen, and the name is legible."""
    path = tmp_path / "s.db"
    with SQLiteStore(path) as store:
        Study(
            Problem("be long", start="x"), Longer(), len, store=store, name="a-long-name-of-a-study", stop=MaxSteps(3)
        ).run()
    with started("serve", "--store", path, "--port", "0") as (_, url):
        page = browser.new_page(viewport={"width": 360, "height": 740})
        for place in ("", "study?study=a-long-name-of-a-study"):
            page.goto(url + place)
            expect(page.locator("#link")).to_have_text("connected")
            if place:
                expect(page.locator("#report[aria-busy=false] #summary")).to_be_visible()
            shot(page, f"narrow{len(place)}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            assert page.locator("h1").bounding_box()["height"] < 60
        page.close()


def log(tmp_path):
    with SQLiteStore(tmp_path / ".llm_optimize" / "studies.db") as store:
        return [event for _, event in store.read("<b>mine</b>")]


class Longer:
    def propose(self, history, n):
        return Proposal((Draft(f"{history.problem.start}{'!' * (history.slot + 1)}"),))


def test_a_page_that_lost_its_connection_catches_up(opened, started, tmp_path):
    """The server is killed, the study goes on, the server comes back: every event is on the page once, in order."""
    path = tmp_path / "s.db"
    with SQLiteStore(path) as store:
        study = Study(Problem("be long", start="x"), Longer(), len, store=store, name="demo", stop=MaxSteps(5))
        study.run()
        before = len(list(store.read("demo")))
        with started("serve", "demo", "--store", path, "--port", "0") as (process, url), opened(url, lost=True) as page:
            expect(page.locator("#feed li")).to_have_count(before)
            expect(page.locator("#state")).to_have_text("ended")
            expect(page.locator("#ending")).to_contain_text(
                "Ended: max_steps: 5 steps are done. llm-optimize resume demo"
            )
            process.kill()
            expect(page.locator("#link")).to_have_text("connection lost, trying again")
            Study(Problem("be long", start="x"), Longer(), len, store=store, name="demo", stop=MaxSteps(25)).run()
            total = len(list(store.read("demo")))
            port = re.search(r":(\d+)/", url)[1]
            with started("serve", "demo", "--store", path, "--port", port):
                expect(page.locator("#link")).to_have_text("connected")
                expect(page.locator("#feed li")).to_have_count(total)
                shown = page.locator("#feed li").evaluate_all("(all) => all.map((one) => +one.dataset.seq)")
                assert shown == list(range(total, 0, -1))
                expect(page.locator("#report[aria-busy=false] #trials .counted")).to_have_text("26 rows")


def test_all_studies_are_side_by_side(opened, started, tmp_path):
    """The listing shows where each stands, follows what is new, and leads to its page; a token opens it."""
    path = tmp_path / "s.db"
    with SQLiteStore(path) as store:
        for name in ("first", "<b>second</b>"):
            Study(Problem("be long", start="x"), Longer(), len, store=store, name=name, stop=MaxSteps(3)).run()
        words = ("serve", "--store", path, "--port", "0", "--token", "auto")
        with started(*words) as (_, url), opened(url) as page:
            expect(page.locator("a.study")).to_have_count(2)
            assert "token" not in page.url
            expect(page.locator("a.study", has_text="<b>second</b>")).to_contain_text("max_steps: 3 steps are done")
            Study(Problem("be long", start="x"), Longer(), len, store=store, name="third", stop=MaxSteps(7)).run()
            expect(page.locator("a.study", has_text="third")).to_contain_text("8")
            expect(page.locator("a.study svg.curve")).to_have_count(3)
            assert page.locator("a.study svg.curve").last.get_attribute("aria-label") == "best score from 1 to 4"
            shot(page, "studies")
            page.locator("a.study", has_text="<b>second</b>").click()
            expect(page.locator("h1")).to_have_text("<b>second</b>")
            expect(page.locator("#report[aria-busy=false] #summary")).to_be_visible()
            assert page.locator("#pause").is_disabled()
