"""Which past is shown, as which chat, and that it fits."""

from __future__ import annotations

import random
import re
from functools import lru_cache

import pytest

from llm_optimize.core.events import Guided, Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.errors import BadInput
from llm_optimize.proposers.layout import Composer
from llm_optimize.proposers.prompts import HUMAN_OPTIMIZATION_PROMPT, SYSTEM_PROMPT
from llm_optimize.proposers.window import Window

WORDS = re.compile(r"\w+|[^\w\s]|\s+")


class Words:
    """Counts words, signs and gaps; remembers, and knows how many texts it had to count."""

    def __init__(self):
        """Begin at zero."""
        self.counted = 0
        self.count = lru_cache(512)(self._count)

    def _count(self, text):
        self.counted += 1
        return len(WORDS.findall(text))

    def observe(self, messages, actual):
        """Words are words."""


def exact(messages):
    """Count the tokens of a whole chat with what a chat format adds to each message."""
    return sum(Words().count(message.content) + 4 for message in messages) + 3


def past(outcomes, *, start="x0", texts=None, guidance=(), question="What is better?"):
    """Return the history of a study with these outcomes, told in the order of their ids."""
    history = History.empty().after(Opened(Problem("The task.", question, start), seed=1))
    for number, outcome in enumerate(outcomes):
        text = texts[number] if texts else f"x{number}"
        origin = "start" if number == 0 and start else "chat:m"
        candidate = Candidate(number, text, f"idea {number}" if number else "", origin)
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, outcome))
    for text in guidance:
        history = history.after(Guided(text))
    return history


def compose(history, allowance=12_000, window=None, human_prompt=HUMAN_OPTIMIZATION_PROMPT):
    """Return the prompt for a history."""
    return Composer(Words(), window or Window(), SYSTEM_PROMPT, human_prompt).compose(history, allowance)


def roles(prompt):
    """Return the roles of a prompt's messages."""
    return [message.role for message in prompt.messages]


def scores(count):
    """Return evaluations with the scores 0.0, 1.0, ..."""
    return [Evaluation(float(number), f"feedback {number}") for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 5, 22])
def test_k_trials_make_2k_messages(count):
    """While the window is not full the chat has the predecessor's shape: system, then user and assistant by turns."""
    prompt = compose(past(scores(count)))
    assert roles(prompt) == ["system", "user", *["assistant", "user"] * (count - 1)]
    assert [trial.id for trial in prompt.shown] == list(range(count))


def test_the_only_trial_is_shown_by_the_human_prompt_alone():
    """With x0 told and no guidance, the user turn is the human prompt with its slots filled and nothing else."""
    prompt = compose(past([Evaluation(0.5, "so so")]), human_prompt="{x}|{fx}|{task_question}")
    assert prompt.messages[1].content == "x0|score: 0.5 (higher is better)\nso so|What is better?"
    assert prompt.messages[0].content.endswith("# Task\n\nThe task.")


def test_each_turn_says_its_part():
    """Assistant turns hold idea and candidate, user turns the result; only the last one repeats x and the question."""
    history = past([Evaluation(1.0, "low"), Evaluation(3.0, "good"), Failure("raised", "ValueError: no")])
    _, first, second, result, third, last = (message.content for message in compose(history).messages)
    assert first == "Attempt #0:\n\n```\nx0\n```\n\nResult of attempt #0:\n\nscore: 1 (higher is better)\nlow"
    assert second == "idea 1\n\n```\nx1\n```"
    assert result == "Result of attempt #1:\n\nscore: 3 (higher is better)\ngood"
    assert third == "idea 2\n\n```\nx2\n```"
    assert last.startswith(
        "The current x is attempt #2. The best so far is attempt #1, shown above, score 3. "
        "Build on the best, unless there is a reason not to.\n\n"
    )
    assert "```\nx2\n```" in last
    assert "failed (raised): ValueError: no" in last
    assert "What is better?" in last
    assert "What is better?" not in first + second + result + third


def test_outer_newlines_of_candidates_are_not_shown():
    """A candidate that carries its fence's newlines looks the same however often it goes round."""
    prompt = compose(past(scores(2), texts=["\nx0\n\n", "\n\nx1\n"]))
    assert all("\n\nx" not in message.content.replace("```\nx", "") for message in prompt.messages[1:])
    assert prompt.messages[2].content == "idea 1\n\n```\nx1\n```"


def test_without_a_start_the_first_draft_is_asked_for():
    """x0=None and no trial yet: the task and the question are there, and nothing is called x's current value."""
    prompt = compose(past([], start=None))
    assert roles(prompt) == ["system", "user"]
    assert "write the first one" in prompt.messages[1].content
    assert "What is better?" in prompt.messages[1].content
    assert prompt.shown == ()


def test_a_start_that_is_not_told_yet_is_shown_as_not_scored():
    """Asked before x0 has an outcome, the proposer still shows x0."""
    assert "```\nx0\n```" in compose(past([])).messages[1].content
    assert "not scored yet" in compose(past([])).messages[1].content


def test_all_guidance_is_in_the_last_turn():
    """Whatever a person said must be followed: it is in the next prompt, first draft or not."""
    for outcomes, start in ((scores(30), "x0"), ([], None), (scores(1), "x0")):
        last = compose(past(outcomes, start=start, guidance=["shorter", "no loops"])).messages[-1].content
        assert "you must follow" in last
        assert "- shorter\n- no loops" in last


def test_scores_are_told_apart():
    """Close scores are shown with as many digits as it takes."""
    text = compose(past([Evaluation(0.91234567), Evaluation(0.91234561)])).messages
    assert "score: 0.9123457 " in text[-1].content + text[1].content
    assert "score: 0.9123456 " in text[-1].content


def test_nothing_scored_yet_is_said():
    """While every attempt failed the model is told what comes first."""
    last = compose(past([Failure("raised", "a"), Failure("raised", "b")])).messages[-1].content
    assert "No attempt has a score yet" in last


def test_a_full_window_shows_best_recent_and_failed():
    """Beyond its size the window keeps the best, the latest and the last failures, in the order of their ids."""
    outcomes = [Evaluation(100.0 - number) for number in range(40)] + [Failure("raised", "no")] * 5 + scores(20)
    prompt = compose(past(outcomes), window=Window(best=3, recent=4, failed=2))
    assert [trial.id for trial in prompt.shown] == [0, 1, 2, 43, 44, 61, 62, 63, 64]
    assert "Of 65 attempts so far, 9 are shown here" in prompt.messages[1].content
    assert "the 3 best, the 4 latest and the 2 last failed" in prompt.messages[1].content


@pytest.mark.parametrize("seed", range(3))
def test_at_step_500_the_prompt_fits_and_holds_the_best(seed):
    """500 random trials: never over the allowance, the best always in, roles in alternation, twice the same."""
    draw = random.Random(seed)
    outcomes, texts = [], []
    for number in range(500):
        texts.append(f"candidate {number} " + "word, " * draw.choice([3, 30, 300]))
        long = "why? " * draw.choice([1, 10, 5_000])
        outcomes.append(Failure("raised", long) if draw.random() < 0.3 else Evaluation(draw.gauss(0, 1), long))
    history = past(outcomes, texts=texts)
    for allowance in (2_000, 4_000, 12_000):
        prompt = compose(history, allowance)
        assert exact(prompt.messages) <= prompt.tokens <= allowance
        assert history.best in prompt.shown
        assert texts[history.best.id].strip() in "".join(message.content for message in prompt.messages)
        assert roles(prompt) == ["system", "user", *["assistant", "user"] * (len(prompt.shown) - 1)]
        assert prompt == compose(history, allowance)


def test_what_is_dropped_first_when_room_is_short():
    """Failed ones go first, then the older of the latest, then the lower of the best; best and latest go last."""
    outcomes = [Evaluation(100.0 - number) for number in range(30)] + [Failure("raised", "no")] * 2 + scores(5)
    texts = [f"c{number} " + "w " * 200 for number in range(len(outcomes))]
    history = past(outcomes, texts=texts)
    window = Window(best=3, recent=3, failed=2)
    sizes = [[trial.id for trial in compose(history, room, window).shown] for room in range(5_400, 800, -150)]
    distinct = [ids for index, ids in enumerate(sizes) if index == 0 or ids != sizes[index - 1]]
    assert distinct[:7] == [
        [0, 1, 2, 30, 31, 34, 35, 36],
        [0, 1, 2, 31, 34, 35, 36],
        [0, 1, 2, 34, 35, 36],
        [0, 1, 2, 35, 36],
        [0, 1, 2, 36],
        [0, 1, 36],
        [0, 36],
    ]
    assert distinct[-1] == [0]


def test_long_feedback_is_cut_in_the_middle():
    """Feedback takes up a share of the allowance at most; its beginning and end stay, with a mark between."""
    history = past([Evaluation(1.0, "begin " + "blah " * 50_000 + "end")])
    last = compose(history, 4_000).messages[-1].content
    assert "begin blah" in last
    assert "blah end" in last
    assert re.search(r"\[\.\.\. 2\d\d,\d{3} characters cut \.\.\.\]", last)
    assert Words().count(last) < 1_000


def test_one_candidate_too_long_for_the_rest_does_not_block_the_others():
    """A latest attempt that does not fit is left out; the best one and what fits beside it are shown."""
    history = past([*scores(4), Evaluation(-1.0)], texts=["a", "b", "c", "d", "w " * 5_000])
    assert [trial.id for trial in compose(history, 2_000).shown] == [0, 1, 2, 3]


def test_the_best_alone_may_be_too_long_and_says_so():
    """Where nothing can be left out any more the prompt says how long it is."""
    prompt = compose(past(scores(3), texts=["a", "b", "w " * 5_000]), 2_000)
    assert [trial.id for trial in prompt.shown] == [2]
    assert prompt.tokens > 10_000


def test_trials_told_out_of_order_are_shown_in_order():
    """With parallel evaluations the chat still runs by id, and the current x is the last one in it."""
    history = History.empty().after(Opened(Problem("t", "q", "x0")))
    for number in range(4):
        history = history.after(Proposed((Candidate(number, f"x{number}"),)))
    for number in (0, 3, 1, 2):
        history = history.after(Told(number, Evaluation(float(number))))
    prompt = compose(history)
    assert [trial.id for trial in prompt.shown] == [0, 1, 2, 3]
    assert "```\nx3\n```" in prompt.messages[-1].content


def test_each_text_is_counted_once():
    """A step costs the counting of what is new, however many trials there are."""
    counter = Words()
    composer = Composer(counter, Window(), SYSTEM_PROMPT, HUMAN_OPTIMIZATION_PROMPT)
    outcomes = scores(300)
    composer.compose(past(outcomes[:200]), 12_000)
    for count in (201, 299):
        composer.compose(past(outcomes[:count]), 12_000)
        counter.counted = 0
        composer.compose(past(outcomes[: count + 1]), 12_000)
        assert counter.counted <= 6


@pytest.mark.parametrize("settings", [{"best": 0}, {"recent": -1}, {"failed": 1.5}, {"best": True}])
def test_a_window_that_cannot_be_is_refused(settings):
    """The message names the field, its value and what to give."""
    (name,) = settings
    with pytest.raises(BadInput, match=f"window: {name} is .*give a whole number"):
        Window(**settings)
