"""The windows beside the default one: what each shows, in which order, at what cost; all of it from the log alone."""

from __future__ import annotations

import pickle
import random
from functools import lru_cache

import numpy as np
import pytest

from llm_optimize.core.events import Opened, Proposed, Told, dump, load
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.errors import BadInput, ModelUnavailable
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.parents.latest import Latest
from llm_optimize.proposers.window import Window
from llm_optimize.proposers.windows.diverse import Diverse
from llm_optimize.proposers.windows.recent import Recent
from llm_optimize.proposers.windows.top import Top
from llm_optimize.testing.proposer_contract import ProposerContract, answer

WINDOWS = [Window(), Recent(), Recent(3), Top(), Top(48), Top(5, digits=1), Diverse(), Diverse(1, 0, 0, 8, 0.0)]


def events(outcomes, texts=None):
    """Yield the log of a study with these outcomes."""
    yield Opened(Problem("The task.", "What is better?", "x0"), seed=1)
    for number, outcome in enumerate(outcomes):
        text = texts[number] if texts else f"x{number}"
        origin, parent = ("chat:m", number - 1) if number else ("start", None)
        yield Proposed((Candidate(number, text, f"Hypothesis: {number} helps.", origin, parent),), slot=number - 1)
        yield Told(number, outcome)


def folded(log):
    """Return the history that a log leads to."""
    history = History.empty()
    for event in log:
        history = history.after(event)
    return history.assuming(0, history.next_id)


def drawn(count, seed=0):
    """Return random outcomes and texts, some of them long."""
    draw = random.Random(seed)
    outcomes, texts = [], []
    for number in range(count):
        texts.append(f"x{number} " + " ".join(f"word{draw.randrange(40)}" for _ in range(draw.choice([3, 30, 300]))))
        long = "why? " * draw.choice([1, 10, 1_000])
        outcomes.append(Failure("raised", long) if draw.random() < 0.3 else Evaluation(draw.gauss(0, 1), long))
    return outcomes, texts


def describe(history, window, **settings):
    """Return the prompt with a window."""
    return ChatProposer(ScriptedModel([]), window=window, **{"parent": Latest(), **settings}).describe(history)


def scores(*values):
    """Return evaluations."""
    return [Evaluation(value) for value in values]


def test_recent_shows_the_last_k_in_order():
    """Failures included, the best not unless it is among them; the last turn still names the best."""
    history = folded(events([*scores(9.0, 1.0, 2.0), Failure("raised", "no"), *scores(3.0)]))
    prompt = describe(history, Recent(3))
    assert [trial.id for trial in prompt.shown] == [2, 3, 4]
    assert "Of 5 attempts so far, 3 are shown here, in the order in which they were made: the 3 latest." in (
        prompt.messages[1].content
    )
    assert "The best so far is attempt #0, score 9. Build on the best" in prompt.messages[-1].content


def test_top_shows_the_best_in_ascending_order_without_failures():
    """OPRO's order: the best stands last and is the current x."""
    history = folded(events([*scores(5.0, 9.0, 1.0), Failure("raised", "no"), *scores(7.0)]))
    prompt = describe(history, Top(3))
    assert [trial.id for trial in prompt.shown] == [0, 4, 1]
    assert "3 are shown here, from the lowest score to the highest: the 3 best." in prompt.messages[1].content
    assert prompt.messages[-1].content.startswith("The current x is attempt #1, the best so far.")
    assert "```\nx1\n```" in prompt.messages[-1].content


def test_the_order_is_said_also_when_all_are_shown():
    """Numbers of attempts that jump need a word."""
    prompt = describe(folded(events(scores(3.0, 1.0))), Top(20))
    assert "Of 2 attempts so far, 2 are shown here, from the lowest score" in prompt.messages[1].content


@pytest.mark.parametrize(
    ("digits", "shown"),
    [
        (None, ["0.73219", "0.73221", "gap 2e-05", "gap 0.0078"]),
        (2, ["0.73", "0.73", "same", "gap 0.01"]),
        (0, ["1", "1", "same", "same"]),
    ],
)
def test_scores_are_rounded_where_the_window_says_so(digits, shown):
    """In results, in the name of the best, and in what is said of a hypothesis: nobody is to chase noise."""
    outcomes = scores(0.73219, 0.73221, 0.74)
    text = "\n".join(message.content for message in describe(folded(events(outcomes)), Top(digits=digits)).messages)
    first, second, *gaps = shown
    assert f"score: {first} (higher" in text
    assert f"score: {second} (higher" in text
    for attempt, gap in enumerate(gaps):
        said = "the same score" if gap == "same" else f"better by {gap.removeprefix('gap ')}"
        assert f"Built on attempt #{attempt} (score {shown[attempt]}): {said}" in text


def test_rounded_scores_keep_their_sign_and_size():
    """Negative digits round to tens; whole numbers stay whole."""
    text = str(describe(folded(events(scores(-1234.5, -44.0))), Top(digits=-1)).messages)
    assert "score: -1230 (higher" in text
    assert "score: -40 (higher" in text


def test_while_nothing_has_a_score_top_shows_the_latest():
    """The model must see why it failed."""
    history = folded(events([Failure("raised", "first"), Failure("raised", "second")]))
    prompt = describe(history, Top(5))
    assert [trial.id for trial in prompt.shown] == [1]
    assert "second" in prompt.messages[-1].content


def families(count):
    """Return a log whose attempts are variations of one text, but for two, which are each of their own."""
    texts = [f"alpha beta gamma delta epsilon zeta eta {number}" for number in range(count)]
    texts[3], texts[5] = "one two three four five six seven", "un deux trois quatre cinq six sept"
    return events(scores(*(float(number) for number in range(count))), texts)


def test_diverse_shows_what_is_far_from_the_rest():
    """Beside the best and the latest stand those that share no words with them."""
    history = folded(families(20))
    shown = describe(history, Diverse(best=2, recent=2, failed=0, far=2)).shown
    assert [trial.id for trial in shown] == [3, 5, 18, 19]
    assert 5 not in [trial.id for trial in Diverse(2, 2, 0, 2, quality=1.0).ranked(history)]


def test_diverse_knows_its_ranking():
    """The best first, the latest next, then the other best, the latest, the failed, the far; each once."""
    outcomes = [*scores(1.0, 8.0, 2.0), Failure("raised", "no"), *scores(9.0, 3.0, 4.0)]
    texts = ["far away", "b b2", "c c2", "d d2", "e e2", "f f2", "g g2"]
    ranked = Diverse(best=2, recent=2, failed=1, far=1).ranked(folded(events(outcomes, texts)))
    assert [trial.id for trial in ranked] == [4, 6, 1, 5, 3, 2]
    assert Diverse().rule == "the 4 best, the 8 latest, the 3 last failed and 6 that differ most from these"


class Vectors:
    """An embedding model that knows two directions and counts the texts."""

    def __init__(self):
        """Begin at zero."""
        self.asked = []

    def embed(self, texts):
        """Give odd attempts the one direction, even ones the other."""
        self.asked += texts
        return np.asarray([[1.0, 0.0] if int(text[1:]) % 2 else [0.0, 1.0] for text in texts], dtype=np.float32)


def test_distance_by_vectors():
    """With an embedding model its vectors decide, and a text is sent once."""
    outcomes = scores(*(float(number if number % 2 else number / 100) for number in range(20)))
    history = folded(events(outcomes))
    model = Vectors()
    window = Diverse(best=2, recent=0, failed=0, far=1, embedding=model)
    assert [trial.id for trial in window.ranked(history)] == [19, 17, 18]
    window.ranked(history)
    assert len(model.asked) == len(set(model.asked)) == 20


class Dead:
    """An embedding model behind an endpoint that is gone."""

    def embed(self, texts):
        """Fail."""
        msg = f"down with {len(texts)} texts"
        raise ModelUnavailable(msg)


def test_a_dead_embedding_model_is_told():
    """Its failure is the proposal's, not silently another choice."""
    history = folded(events(scores(*range(12))))
    model = ScriptedModel([])
    with pytest.raises(ModelUnavailable):
        ChatProposer(model, window=Diverse(2, 2, 0, 2, embedding=Dead())).propose(history, 1)
    assert model.requests == []


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Recent(0), "k"),
        (lambda: Recent(k=True), "k"),
        (lambda: Top(0), "k"),
        (lambda: Top(49), "k"),
        (lambda: Top(5, digits=1.5), "digits"),
        (lambda: Diverse(best=0), "best"),
        (lambda: Diverse(best=49), "best"),
        (lambda: Diverse(far=-1), "far"),
        (lambda: Diverse(quality=2), "quality"),
    ],
)
def test_windows_that_cannot_be_are_refused(make, field):
    """One line with the field, what is wrong and what to give."""
    with pytest.raises(BadInput, match=rf"^window: {field} is .*: give ") as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("window", WINDOWS, ids=repr)
def test_a_chat_that_only_grows_takes_any_window(window):
    """The other layout shows what the window chose at the beginning of an epoch, within the allowance."""
    history = folded(events(*drawn(60)))
    proposer = ChatProposer(ScriptedModel([]), window=window, layout="epochs", allowance=6_000)
    prompt, _ = proposer._asking(history, 1).first
    assert TokenCounter("scripted").count_messages(prompt.messages) <= prompt.tokens <= 6_000
    assert prompt.shown[-1].id == 59


@pytest.mark.parametrize("window", WINDOWS, ids=repr)
def test_windows_print_and_pickle(window):
    """They are values."""
    assert pickle.loads(pickle.dumps(window)) == window
    assert eval(repr(window)) == window


@pytest.mark.parametrize("window", WINDOWS, ids=repr)
def test_a_window_follows_from_the_log_alone(window):
    """At every prefix of the log a fresh object with the reloaded log chooses as one that saw it grow."""
    log = list(events(*drawn(40)))
    fresh = pickle.loads(pickle.dumps(window))
    growing, reloaded = History.empty(), []
    for event in log:
        growing = growing.after(event)
        reloaded.append(load(*dump(event)))
        chosen = [trial.id for trial in window.ranked(growing)]
        assert chosen == [trial.id for trial in fresh.ranked(folded(reloaded))]
        assert len(set(chosen)) == len(chosen)
        assert bool(chosen) == bool(growing.trials)


@lru_cache(1)
def long_history(count):
    """Return the folded log of a long study; cheap texts, so that it takes seconds."""
    outcomes, texts = drawn(500)
    many = (outcomes[number % 500] for number in range(count))
    return folded(events(many, [f"{number} {texts[number % 500]}" for number in range(count)]))


class Counting:
    """A history that counts the trials which a policy looks at, and refuses to be gone through."""

    def __init__(self, history):
        """Look at ``history``."""
        self.looked_at = 0
        self.trials = range(len(history.trials))
        self._history = history

    def top(self, k):
        """Return the best."""
        assert k <= 64, "more are not kept sorted"
        self.looked_at += k
        return self._history.top(k)

    def recent(self, k):
        """Return the latest."""
        self.looked_at += k
        return self._history.recent(k)


@pytest.mark.parametrize("count", [1_000, 100_000])
def test_at_any_length_prompts_fit_and_little_is_looked_at(count):
    """No prompt of any window is longer than the allowance, at 1,000 and at 100,000 trials."""
    history = long_history(count)
    counter = TokenCounter("scripted")
    for window in WINDOWS:
        watched = Counting(history)
        window.ranked(watched)
        assert watched.looked_at <= 150
        for allowance in (2_500, 12_000):
            proposer = ChatProposer(ScriptedModel([]), window=window, allowance=allowance)
            prompt, _ = proposer._asking(history, 1).first
            assert counter.count_messages(prompt.messages) <= prompt.tokens <= allowance
            assert prompt.shown


@pytest.mark.parametrize("window", WINDOWS, ids=repr)
class TestContract(ProposerContract):
    """The proposer's contract with each window."""

    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self, window):
        """Return a chat proposer over a scripted model."""
        return ChatProposer(ScriptedModel(answer), window=window)
