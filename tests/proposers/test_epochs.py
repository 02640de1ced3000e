"""The chat that only grows: what repeats, what ends an epoch, that it fits, and that it follows from the log alone."""

from __future__ import annotations

import random
import re
from functools import lru_cache
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_optimize.core.chat import Reply
from llm_optimize.core.events import Guided, Opened, Proposed, Told, dump, load
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem, Usage
from llm_optimize.errors import BadInput, ContextTooLong
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.epochs import EPOCH_LENGTH, EpochComposer
from llm_optimize.proposers.prompts import HUMAN_OPTIMIZATION_PROMPT, SYSTEM_PROMPT
from llm_optimize.proposers.window import Window

WORDS = re.compile(r"\w+|[^\w\s]|\s+")


class Counter:
    """Counts words, signs and gaps; learns nothing; knows how many texts it had to count."""

    def __init__(self):
        """Begin at zero."""
        self.counted = 0
        self.count = lru_cache(4096)(self._count)

    def _count(self, text):
        self.counted += 1
        return len(WORDS.findall(text))

    def observe(self, messages, actual):
        """Words are words."""


def exact(messages):
    """Count the tokens of a whole chat with what a chat format adds to each message."""
    return sum(len(WORDS.findall(message.content)) + 4 for message in messages) + 3


def composer(counter=None, window=None, human_prompt=HUMAN_OPTIMIZATION_PROMPT, length=EPOCH_LENGTH):
    """Return a composer of the layout under test."""
    return EpochComposer(counter or Counter(), window or Window(), SYSTEM_PROMPT, human_prompt, length=length)


def told(number, outcome, text=None):
    """Return the two events of a trial."""
    candidate = Candidate(number, text or f"x{number}", f"idea {number}" if number else "", "" if number else "start")
    return Proposed((candidate,), slot=number - 1), Told(number, outcome)


def folded(events):
    """Return the history of these events behind an opening one."""
    history = History.empty().after(Opened(Problem("The task.", "What is better?", "x0")))
    for event in events:
        history = history.after(event)
    return history


def scored(count, text=""):
    """Return the events of trials with the scores 0.0, 1.0, ..."""
    return [
        event
        for number in range(count)
        for event in told(number, Evaluation(float(number), f"feedback {number}"), f"x{number}{text}")
    ]


def told_points(events):
    """Return the histories after x0 and after each further event that a prompt may follow."""
    history, points = folded(()), []
    for event in events:
        history = history.after(event)
        if history.trials and not isinstance(event, Proposed):
            points.append(history)
    return points


def assert_grown(earlier, later):
    """What was sent before, but for its last turn, is the beginning of what is sent now."""
    stable = earlier.messages[:-1]
    assert later.messages[: len(stable)] == stable


words = st.integers(1, 400).map(lambda count: " w" * (count // 2))
outcomes = st.one_of(
    st.builds(Evaluation, st.floats(-1e6, 1e6), words),
    st.builds(Evaluation, st.sampled_from([1, 2, 2.0, 2.00001, 2.0000001]), words),
    st.builds(Failure, st.just("raised"), words),
)


@st.composite
def logs(draw):
    """Draw a log: trials told in any order out of a few pending ones, instructions in between."""
    events, pending, number = list(told(0, draw(outcomes))), [], 1
    for _ in range(draw(st.integers(1, 45))):
        what = draw(st.sampled_from(["propose", "tell", "tell", "guide"]))
        if what == "guide" and draw(st.booleans()):
            events.append(Guided("do" + draw(st.integers(0, 60).map(lambda count: " so" * count))))
        elif what == "tell" and pending:
            events.append(Told(pending.pop(draw(st.integers(0, len(pending) - 1))), draw(outcomes)))
        else:
            events.append(Proposed((Candidate(number, f"x{number}{draw(words)}", draw(words)),), slot=number - 1))
            pending.append(number)
            number += 1
    return events + [Told(one, draw(outcomes)) for one in pending]


windows = st.builds(Window, st.integers(1, 8), st.integers(0, 12), st.integers(0, 4))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(logs(), st.integers(900, 9_000), windows, st.integers(1, 20))
def test_any_log_makes_a_chat_that_grows_fits_and_follows_from_it(events, allowance, window, length):
    """Within an epoch nothing sent before changes; prompts fit, hold the best, and are the same from a reread log."""
    writer, past = composer(window=window, length=length), None
    for history in told_points(events):
        prompt = writer.compose(history, allowance)
        roles = [message.role for message in prompt.messages]
        assert roles == ["system", "user", *["assistant", "user"] * (len(prompt.shown) - 1)]
        assert len({trial.id for trial in prompt.shown}) == len(prompt.shown)
        assert exact(prompt.messages) <= prompt.tokens
        assert prompt.tokens <= allowance or prompt.shown == ((history.best or history.trials[-1]),)
        assert history.best is None or history.best in prompt.shown
        if past is not None and past.epoch == prompt.epoch:
            assert_grown(past, prompt)
        said = "".join(message.content for message in prompt.messages)
        assert all(text in said for text in history.guidance)
        past = prompt
    reread = folded(load(*dump(event)) for event in events)
    assert composer(window=window, length=length).compose(reread, allowance) == past


def test_where_epochs_begin_without_pressure():
    """With room to spare an epoch begins at each multiple of its length, and at no other trial."""
    writer = composer(length=5)
    began = [writer.compose(history, 50_000).epoch[0] for history in told_points(scored(23))]
    assert began == [count - count % 5 for count in range(1, 24)]


def test_the_beginning_says_what_is_asked_and_the_end_only_points_to_it():
    """Question and form of the answer stand in the first user turn; the last one holds x, f(x) and a line."""
    prompt = composer().compose(folded(scored(3)), 12_000)
    first, last = prompt.messages[1].content, prompt.messages[-1].content
    assert first.startswith("What is asked of you, for the current x at the end of this chat:\n\nWhat is better?")
    assert "Answer in this form" in first
    assert last == (
        "The current x is attempt #2, the best so far. Build on it.\n\n"
        "The current x:\n\n```\nx2\n```\n\nThe result f(x):\n\n```\n"
        "score: 2 (higher is better)\nfeedback 2\n```\n\n"
        "Now answer what is asked at the beginning of this chat, in the form given there."
    )


@pytest.mark.parametrize(
    "human_prompt",
    ["{x}", "{task_question} {x} {fx}", "{task_question}\n\n{fx}\n\n{x}", "```\n{x}\n\nend\n```\n\nGo on."],
)
def test_a_human_prompt_that_cannot_be_split_stays_whole(human_prompt):
    """Where nothing constant follows x and f(x), or only a torn fence would let it go, the last turn has it all."""
    prompt = composer(human_prompt=human_prompt).compose(folded(scored(3)), 12_000)
    whole = human_prompt.replace("{x}", "x2").replace("{fx}", "score: 2 (higher is better)\nfeedback 2")
    assert prompt.messages[-1].content.endswith(whole.replace("{task_question}", "What is better?"))
    assert "beginning of this chat" not in prompt.messages[-1].content


def test_instructions_stand_where_they_came():
    """What a person says stays at its place in time, and the last turn reminds of it; a new epoch begins with it."""
    events = [*scored(3), Guided("shorter"), *scored(8)[6:]]
    prompt = composer(length=8).compose(folded(events[:-2]), 12_000)
    contents = [message.content for message in prompt.messages]
    assert [index for index, content in enumerate(contents) if "- shorter" in content] == [5]
    assert contents[5].startswith("Result of attempt #2")
    assert "Follow every instruction above" in contents[-1]
    fresh = composer(length=8).compose(folded(events), 12_000)
    assert fresh.epoch == (8, 1)
    assert "- shorter" in fresh.messages[1].content


def test_an_instruction_behind_a_compaction_does_not_touch_what_was_sent():
    """Given when the first prompt of an epoch is out already, it comes behind it."""
    events = scored(8)
    before = composer(length=8).compose(folded(events), 12_000)
    after = composer(length=8).compose(folded([*events, Guided("shorter")]), 12_000)
    assert before.epoch == after.epoch
    assert after.messages[:-1] == before.messages[:-1]
    assert "- shorter" in after.messages[-1].content


def test_an_instruction_too_long_for_the_rest_of_an_epoch_begins_a_new_one():
    """Nothing overflows because a person spoke at length: attempts make room."""
    events = scored(16, " w" * 150)
    long = Guided("please " * 900)
    for allowance in (3_500, 4_000, 4_500):
        prompt = composer().compose(folded([*events, long]), allowance)
        assert exact(prompt.messages) <= prompt.tokens <= allowance
        assert "please please" in "".join(message.content for message in prompt.messages)


def test_digits_that_stand_are_left_alone():
    """A later score close to an earlier one gets more digits; the earlier one keeps those that it was shown with."""
    events = [e for n, score in enumerate([0.912, 0.5, 0.91200001, 0.3]) for e in told(n, Evaluation(score))]
    prompts = [composer().compose(history, 12_000) for history in told_points(events)]
    for earlier, later in pairwise(prompts):
        assert_grown(earlier, later)
    assert "score: 0.912 (" in prompts[-1].messages[1].content
    assert "score: 0.91200001 (" in prompts[-1].messages[5].content


@pytest.mark.parametrize("seed", range(3))
def test_at_step_500_the_prompt_fits_and_holds_the_best(seed):
    """500 random trials: never over the allowance, the best always in, and most prompts grow out of the one before."""
    draw = random.Random(seed)
    events = []
    for number in range(500):
        text = f"candidate {number} " + "word, " * draw.choice([3, 30, 300])
        long = "why? " * draw.choice([1, 10, 5_000])
        outcome = Failure("raised", long) if draw.random() < 0.3 else Evaluation(draw.gauss(0, 1), long)
        events += told(number, outcome, text)
    last = told_points(events)[-20:]
    for allowance in (2_500, 4_000, 12_000):
        writer = composer()
        prompts = [writer.compose(history, allowance) for history in last]
        for history, prompt in zip(last, prompts, strict=True):
            assert exact(prompt.messages) <= prompt.tokens <= allowance
            assert history.best in prompt.shown
        assert prompts == [composer().compose(history, allowance) for history in last]


def test_the_best_alone_may_be_too_long_and_says_so():
    """Where nothing can be left out any more the prompt says how long it is."""
    events = [*told(0, Evaluation(0.0)), *told(1, Evaluation(1.0), "w " * 5_000)]
    prompt = composer().compose(folded(events), 2_000)
    assert [trial.id for trial in prompt.shown] == [1]
    assert prompt.tokens > 10_000


def test_a_candidate_too_long_for_the_rest_does_not_block_the_others():
    """A latest attempt that does not fit is left out; the best and what fits beside it are shown."""
    events = [*scored(4), *told(4, Evaluation(-1.0), "w " * 5_000), *told(5, Evaluation(-2.0))]
    assert [trial.id for trial in composer().compose(folded(events), 2_000).shown] == [0, 1, 2, 3, 5]


def test_each_text_is_counted_once():
    """A step costs the counting of what is new, however many trials there are."""
    events = [e for n in range(3_000) for e in told(n, Evaluation(random.Random(n).random()))]
    counter = Counter()
    writer = composer(counter)
    points = told_points(events)
    counted = []
    for count in (1_003, 2_999):
        writer.compose(points[count - 2], 12_000)
        before = counter.counted
        writer.compose(points[count - 1], 12_000)
        counted.append(counter.counted - before)
    assert max(counted) <= 8


def test_the_past_as_it_was():
    """as_of() gives the trials, the best and the ranking that the log had at that point, also with 64 leaders."""
    draw = random.Random(5)
    points = told_points([e for n in range(200) for e in told(n, Evaluation(draw.choice([0.0, draw.random()])))])
    for count in (1, 10, 63, 64, 65, 140, 190, 200):
        now, then = points[-1].as_of(count), points[count - 1]
        assert list(now.trials) == list(then.trials)
        assert now.best == then.best
        for k in (1, 6, 64, 100):
            assert now.top(k) == then.top(k)
        assert now.recent(7) == then.recent(7)


def test_a_past_that_was_looked_up_does_not_disturb_the_present():
    """What is folded onto as_of() copies the record; the history that it came from stays whole."""
    history = folded(scored(5))
    other = history.as_of(3)
    for event in told(9, Evaluation(7.0)):
        other = other.after(event)
    assert [trial.id for trial in other.trials] == [0, 1, 2, 9]
    assert [trial.id for trial in history.trials] == [0, 1, 2, 3, 4]


def test_corrections_of_the_count_do_not_move_what_stands():
    """Replies that report a few percent more than was counted leave the chat as it is; twice as many make it fit."""
    history = folded(scored(60, " word" * 200))
    counter = TokenCounter()
    writer = composer(counter)
    before = writer.compose(history, 12_000)
    for wavering in (1.02, 0.97, 1.04, 0.9):
        counter.observe(before.messages, round(wavering * counter.count_messages(before.messages)))
        assert writer.compose(history, 12_000).messages == before.messages
    for _ in range(30):
        counter.observe(before.messages, 2 * TokenCounter().count_messages(before.messages))
    after = writer.compose(history, 12_000)
    assert counter.factor == pytest.approx(2, rel=0.01)
    assert writer.measure.chat(after.messages) <= after.tokens <= 12_000


@pytest.mark.parametrize("limit", [None, 3_000])
def test_a_prompt_too_long_for_the_model_shrinks(limit):
    """A context error makes the epochs shorter, not the study: the best stays in, the next proposal passes at once."""

    def answer(request):
        if request.prompt_characters > 12_000:
            raise ContextTooLong("too long", limit)
        return Reply(f"```\nnew {len(model.requests)}\n```", usage=Usage(calls=1))

    model = ScriptedModel(answer)
    proposer = ChatProposer(model, layout="epochs")
    history = folded(scored(30, " word" * 200))
    assert len(proposer.propose(history, 1).drafts) == 1
    refused = len(model.requests) - 1
    assert refused >= 1
    assert any("x29 word" in message.content for message in model.requests[-1].messages)
    assert len(proposer.propose(history, 1).drafts) == 1
    assert len(model.requests) == refused + 2


def test_the_chat_proposer_lays_out_as_asked():
    """layout="epochs" sends the growing chat; the default stays the window's."""
    history = folded(scored(3))
    model = ScriptedModel(["```\nnew\n```", "```\nnewer\n```"])
    for layout in ("epochs", "window"):
        ChatProposer(model, layout=layout).propose(history, 1)
    grown, window = (request.messages[1].content for request in model.requests)
    assert grown.startswith("What is asked of you")
    assert window.startswith("Attempt #0")
    assert (
        ChatProposer(model).describe(history).messages
        == ChatProposer(model, layout="window").describe(history).messages
    )


@pytest.mark.parametrize("length", [0, 49, 2.0, True])
def test_a_length_that_cannot_be_is_refused(length):
    """The message names the field, its value and what to give."""
    with pytest.raises(BadInput, match=r"length is .*whole number from 1 to 48"):
        composer(length=length)


def test_an_unknown_layout_is_refused():
    """The message lists what there is."""
    with pytest.raises(BadInput, match="layout is 'tree': give one of 'window', 'epochs'"):
        ChatProposer(ScriptedModel([]), layout="tree")
