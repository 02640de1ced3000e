"""Each fault of an endpoint, twenty times in one run: nothing that was paid for is lost, nothing is evaluated twice."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter

import pytest

from llm_optimize import optimize
from llm_optimize.core.chat import Message, Request
from llm_optimize.errors import ModelError
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.priced import Priced
from llm_optimize.llm.recorded import Recorded
from llm_optimize.llm.retrying import Retrying
from llm_optimize.testing.answers import Answer
from llm_optimize.testing.certificate import self_signed
from llm_optimize.testing.faults import FAULTS, faulty
from llm_optimize.testing.server import ScriptedServer

TIMES = 20
STEPS = 540  # enough for every fault to happen
ANSWER_S = 2.0  # a stalled answer is given up after it


_HELLO = Request((Message("user", "hi"),))


class Misfortune:
    """Answers with candidates that it numbers; every second one befalls the next fault of a shuffled list."""

    def __init__(self, kinds, seed):
        self.schedule = [kind for kind in kinds for _ in range(TIMES)]
        random.Random(seed).shuffle(self.schedule)
        self.befell = Counter()
        self.charged = set()
        self.cut_off = set()
        self.lock = threading.Lock()

    def __call__(self, body, index):
        with self.lock:
            answer = Answer(f"Another idea.\n```\ncandidate {index}\n```")
            if index % 2 == 0 and self.schedule:
                kind = self.schedule.pop()
                self.befell[kind] += 1
                answer = faulty(answer, kind)
            if answer.good:
                (self.cut_off if answer.finish_reason == "length" else self.charged).add(f"candidate {index}")
            return answer


class Listening:
    """An observer that wants to hear replies while they are written."""

    def __call__(self, event):
        pass

    def hear(self, piece):
        pass


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_every_paid_evaluation_is_there_and_none_twice(streamed):
    """Through twenty of each fault the run goes on; what the server charged for was evaluated, exactly once."""
    kinds = [kind for kind in FAULTS if not (streamed and kind == "10 MB")]  # as events it is a million of them
    script, scored, lock = Misfortune(kinds, seed=4), Counter(), threading.Lock()

    def score(text):
        with lock:
            scored[text.strip()] += 1
        return float(re.search(r"\d+", text)[0])

    with ScriptedServer(script) as server:
        chat = OpenAIChat("scripted", server.url, timeout=ANSWER_S)
        model = Recorded(Priced(Retrying(chat, first_wait=0.01, attempts=30)))
        result = optimize.run(
            "t", "q", score, x0="candidate -1", model=model, max_steps=STEPS, parallel=8,
            verbose=False, store=None, observers=[Listening()] if streamed else [],
        )  # fmt: skip
        counts = server.counts()
    assert result.reason.startswith("max_steps")
    assert script.befell == dict.fromkeys(kinds, TIMES)
    told = Counter(trial.text.strip() for trial in result.history.trials)
    assert told == scored
    assert set(told.values()) == {1}
    assert set(told) - {"candidate -1"} == script.charged
    assert counts["charged"] == len(script.charged) + len(script.cut_off)
    assert result.history.usage.calls == counts["charged"]


def test_a_certificate_that_nobody_trusts_ends_the_run_in_one_line(tmp_path):
    """Twenty chains against a server whose certificate is its own: nothing is sent, and the remedy is named."""
    with ScriptedServer(lambda _body, _index: "never", certificate=self_signed(tmp_path)) as server:
        for _ in range(TIMES):
            with pytest.raises(ModelError, match="certificate") as caught:
                Retrying(OpenAIChat("scripted", server.url), first_wait=0.01).complete(_HELLO)
            assert "\n" not in str(caught.value)
        assert server.counts()["requests"] == 0
