"""The model writes structure, the engine tunes: who is asked when, and what comes of it."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Draft, Evaluation, Failure, Problem, Proposal, Usage
from llm_optimize.errors import BadInput
from llm_optimize.proposers.mixing import Hybrid, Quota, who_did_what
from llm_optimize.proposers.numeric import NumericProposer

LINE = "def f(x): return a * x + b\na = 1.0  # tune: a=-5..5\nb = 1.0  # tune: b=-5..5\n"
CURVE = "def f(x): return a * x ** 2 + b\na = -4.0  # tune: a=-5..5\nb = 4.0  # tune: b=-5..5\n"
WAVE = "def f(x): return a * x ** 3 + b\na = 0.1  # tune: a=-5..5\nb = 0.1  # tune: b=-5..5\n"


@dataclass
class Script:
    """A model that writes these texts, one for each proposal, and the last one's variations for ever."""

    texts: list[str]
    calls: list[int] = field(default_factory=list)

    def propose(self, history, n):
        self.calls.append(history.next_id)
        number = len(self.calls) - 1
        text = self.texts[number] if number < len(self.texts) else f"# attempt {number}\n{self.texts[-1]}"
        return Proposal((Draft(text, "an idea", "chat:script"),), Usage(calls=1))


def score(text):
    """Fit a parabola: how close does the program come to 2 x^2 - 1.5 on a few points?"""
    names = {"math": math}
    exec(text, names)
    return -sum((names["f"](x / 4) - (2 * (x / 4) ** 2 - 1.5)) ** 2 for x in range(-8, 9))


def step(history, proposer, judge=score, n=1):
    slot = history.free_slots(1)[0]
    proposal = proposer.propose(history.assuming(0, slot), n)
    drafts = enumerate(proposal.drafts, start=history.next_id)
    candidates = tuple(Candidate(i, one.text, one.idea, one.origin, one.parent) for i, one in drafts)
    history = history.after(Proposed(candidates, proposal.usage, slot, proposal.note))
    for candidate in candidates:
        history = history.after(Told(candidate.id, outcome(judge(candidate.text))))
    return history


def outcome(value):
    return value if isinstance(value, Failure) else Evaluation(value)


def begin(start, judge=score):
    history = History.empty().after(Opened(Problem("fit", start=start), 0))
    history = history.after(Proposed((Candidate(0, start, origin="start"),)))
    return history.after(Told(0, outcome(judge(start))))


def origins(history):
    return [trial.candidate.origin.partition(":")[0] for trial in history.trials]


def test_optimum_is_reached_with_fewer_model_calls_than_evaluations():
    """A program with two tunable constants comes to its optimum, with most evaluations made without the model."""
    model = Script([CURVE])
    proposer = Hybrid(model, NumericProposer())
    history = begin(LINE)
    while len(history.trials) < 50:
        history = step(history, proposer)
    assert history.best.score > -1e-3
    assert "x ** 2" in history.best.text
    assert history.best.candidate.origin == "numeric:gp"
    assert len(model.calls) * 3 < len(history.trials)


def test_each_new_structure_gets_its_share_even_if_it_starts_worse():
    """A structure whose constants the model guessed badly is tuned before the model is asked again."""
    model = Script([CURVE, WAVE])
    proposer = Hybrid(model, NumericProposer())
    history = begin(LINE)
    while len(model.calls) < 2:
        history = step(history, proposer)
    share = Quota().share(2)
    assert score(CURVE) < score(LINE)
    assert origins(history)[: 2 + 2 * share] == ["start"] + ["numeric"] * share + ["chat"] + ["numeric"] * share
    tuned = history.trials[2 + share : 2 + 2 * share]
    assert all("x ** 2" in trial.text for trial in tuned)


def test_an_engine_that_brings_nothing_leaves_most_evaluations_to_the_model():
    """Where every new structure is better and no number matters, the model is asked more often than the engine."""
    model = Script([f"# {'longer' * place}\nscale = 1.0  # tune: scale=0..9" for place in range(1, 40)])
    history = begin("scale = 1.0  # tune: scale=0..9", lambda text: text.count("longer"))
    while len(history.trials) < 60:
        history = step(history, Hybrid(model), lambda text: text.count("longer"))
    assert origins(history)[-30:].count("chat") > 20


def test_a_new_structure_begins_with_what_its_predecessor_was_tuned_to():
    """The engine's first values for it are those of the same names and kinds in the best text; others stay."""
    known = "a = 1.0  # tune: a=-5..5\nk = 2  # tune: k=0..9\nmode = 'x'  # tune: mode=x|y\n"
    better = known.replace("1.0", "2.5").replace("2  #", "7  #").replace("'x'", "'y'")
    new = "new = 1\na = -4.0  # tune: a=-2..2\nk = 2.0  # tune: k=0..9.5\n"
    new += "mode = 'x'  # tune: mode=x|y|z\nb = 3.0  # tune: b=0..5\n"
    history = begin(known, lambda _: 0.0)
    for text, value in ((better, 5.0), (new, 1.0)):
        history = history.after(Proposed((Candidate(history.next_id, text, origin="chat"),)))
        history = history.after(Told(history.next_id - 1, Evaluation(value)))
    first = Hybrid(Script([CURVE])).propose(history, 1).drafts[0]
    assert (first.origin, first.parent) == ("numeric:inherited", 2)
    assert first.text == new.replace("-4.0", "2.0").replace("'x'", "'y'")
    history = history.after(Proposed((Candidate(3, first.text, origin=first.origin),)))
    assert Hybrid(Script([CURVE])).propose(history, 1).drafts[0].origin == "numeric:gp"


def test_a_rejected_structure_is_tuned_no_more():
    """What a person rejects counts as failed: the engine goes on with the best of the others, as a new one does."""
    proposer = Hybrid(Script([CURVE]), NumericProposer())
    history = begin(LINE)
    while "x ** 2" not in history.best.text:
        history = step(history, proposer)
    for trial in list(history.trials):
        if "x ** 2" in trial.text:
            history = history.after(Guided("no curves", act="reject", candidate_id=trial.id))
    assert history.retests == 0
    ours, anew = (one.structures.best(history) for one in (proposer.numeric, NumericProposer()))
    assert ours == anew
    assert "x ** 2" not in ours.base.text


def test_only_a_pinned_structure_is_tuned():
    """While a candidate is pinned the engine's proposals are of its structure, however good another is."""
    proposer = Hybrid(Script([CURVE]), NumericProposer())
    history = begin(LINE)
    while "x ** 2" not in history.best.text:
        history = step(history, proposer)
    known = len(history.trials)
    history = history.after(Guided("", act="pin", candidate_id=0))
    for _ in range(8):
        history = step(history, proposer)
    tuned = [trial for trial in list(history.trials)[known:] if trial.candidate.origin.startswith("numeric")]
    assert tuned
    assert all("x ** 2" not in trial.text for trial in tuned)


def test_best_structure_gets_more_than_a_merely_recent_one():
    """After a poor new structure had its share, the next evaluations go to the best one."""
    model = Script([WAVE])
    proposer = Hybrid(model, NumericProposer(), earned=False)
    history = begin(CURVE)
    while len(model.calls) < 2:
        history = step(history, proposer)
    share = Quota().share(2)
    after = history.trials[2 + 2 * share : 2 + 3 * share]
    assert len(after) == share
    assert all("x ** 2" in trial.text for trial in after)


def test_model_is_asked_again_and_again():
    """However long the run, the engine never keeps the model from being asked."""
    model = Script([CURVE])
    history = begin(LINE)
    proposer = Hybrid(model, NumericProposer(engine="random"))
    for _ in range(120):
        history = step(history, proposer)
    gaps = [later - earlier for earlier, later in zip(model.calls, model.calls[1:], strict=False)]
    # A new structure's share, one step up on each of two rungs, and the best one's portion.
    assert max(gaps) <= (1 + 1 + 2 + 1) * Quota().share(2) + 1
    assert len(model.calls) >= 7


def test_model_that_writes_nothing_but_other_numbers_is_asked_less_often():
    """While its drafts are worse values of a known structure, the gaps grow to eight evaluations for each number."""

    class Fiddler:
        calls: ClassVar[list[int]] = []

        def propose(self, history, n):
            self.calls.append(history.next_id)
            text = CURVE.replace("4.0", f"4.{len(self.calls):03d}")
            return Proposal((Draft(text, "a little more", "chat:fiddler"),), Usage(calls=1))

    history = begin(CURVE)
    proposer = Hybrid(Fiddler(), NumericProposer(engine="random"), earned=False)
    for _ in range(110):
        history = step(history, proposer)
    gaps = [later - earlier - 1 for earlier, later in zip(Fiddler.calls, Fiddler.calls[1:], strict=False)]
    assert gaps[-3:] == [16, 16, 16]


def test_text_without_numbers_leaves_everything_to_the_model():
    """With no numbers to tune, each proposal is the model's."""
    model = Script(["one", "two", "three"])
    history = begin("nought", len)
    for _ in range(3):
        history = step(history, Hybrid(model), len)
    assert origins(history) == ["start", "chat", "chat", "chat"]


def test_no_start_text_begins_with_the_model():
    """Without a first candidate the model writes it."""
    history = History.empty().after(Opened(Problem("fit")))
    model = Script([CURVE])
    history = step(history, Hybrid(model))
    assert origins(history) == ["chat"]
    assert origins(step(history, Hybrid(model))) == ["chat", "numeric"]


def test_without_a_model_the_engine_does_everything():
    """With chat None the engine tunes what there is."""
    history = begin(CURVE)
    for _ in range(30):
        history = step(history, Hybrid(None))
    assert set(origins(history)[1:]) == {"numeric"}
    assert history.best.score > -1e-3


def test_program_that_fails_is_for_the_model_to_mend():
    """A structure that cannot be scored gets no numeric evaluations."""
    model = Script([CURVE, WAVE])
    history = step(begin(CURVE, lambda _: Failure("raised", "no")), Hybrid(model))
    assert origins(history) == ["start", "chat"]


def test_small_grid_that_is_exhausted_passes_the_turn_to_the_model():
    """When every combination was tried, the model is asked."""
    model = Script(["nothing"])
    start = "k = 1  # tune: k=1..3"
    history = begin(start, len)
    for _ in range(4):
        history = step(history, Hybrid(model), len)
    assert origins(history) == ["start", "numeric", "numeric", "chat", "chat"]


def test_model_that_has_nothing_new_leaves_the_turn_to_the_engine():
    """A reply that brings no draft is paid and noted, and the best structure is tuned further instead."""

    class Mute:
        def propose(self, history, n):
            return Proposal((), Usage(calls=1), "the model refused")

    proposer = Hybrid(Mute(), NumericProposer())
    history = begin(CURVE)
    while len(history.trials) < 40:
        history = step(history, proposer)
    assert history.fruitless == 0
    assert history.best.score > -1e-3
    assert history.usage.calls > 0


FAMILY = [
    f"def f(x): return a * x ** {power} + b\na = 1.0  # tune: a=-5..5\nb = 1.0  # tune: b=-5..5\n"
    for power in range(1, 6)
]


def power_of(text):
    return int(text.partition("** ")[2][0])


def rated(text):
    """How good a structure is depends on its power alone, so that its rank is known beforehand."""
    return 10.0 * power_of(text) + zlib.crc32(text.encode()) % 97 / 97


def numeric_counts(history):
    tuned = [trial.text for trial in history.trials if trial.candidate.origin.startswith("numeric:")]
    return Counter(power_of(text) for text in tuned)


def test_allowances_double_for_the_better_half_again_and_again():
    """Four structures, each better than those before: the first gets its share, two twice and one four times that."""
    model = Script(FAMILY[1:])
    proposer = Hybrid(model, NumericProposer(engine="random"), Quota(base=3, per_hole=0, polish=0), earned=False)
    history = begin(FAMILY[0], rated)
    while len(model.calls) < 4:
        history = step(history, proposer, rated)
    assert numeric_counts(history) == {1: 3, 2: 6, 3: 6, 4: 12}


def test_without_rungs_no_structure_is_promoted():
    """With rungs 0 the better structures get their share and no more."""
    model = Script(FAMILY[1:])
    proposer = Hybrid(
        model, NumericProposer(engine="random"), Quota(base=3, per_hole=0, polish=0, rungs=0), earned=False
    )
    history = begin(FAMILY[0], rated)
    while len(model.calls) < 4:
        history = step(history, proposer, rated)
    assert numeric_counts(history) == {1: 3, 2: 3, 3: 3, 4: 3}


def test_promotion_goes_by_scores_as_they_are_now():
    """A structure whose lucky score was corrected by a second evaluation is passed by."""
    proposer = Hybrid(Script([]), NumericProposer(engine="random"), Quota(base=1, per_hole=0, polish=0))
    history = begin(FAMILY[0], lambda _: 0.5)
    for power in (1, 2, 3):
        history = written(history, FAMILY[power], 50.0 if power == 1 else float(power))
        history = written(history, FAMILY[power].replace("1.0", "2.0"), 0.0, "numeric:random")
    history = written(history, FAMILY[0].replace("1.0", "2.0"), 0.0, "numeric:random")
    lucky = next(trial.id for trial in history.trials if trial.score == 50.0)
    draft = proposer.propose(history.assuming(0, 90), 1).drafts[0]
    assert power_of(draft.text) == 2
    corrected = history.after(Retold(lucky, Evaluation(-90.0), 0))
    assert power_of(proposer.propose(corrected.assuming(0, 90), 1).drafts[0].text) == 4
    # The index has followed the re-test by now; the earlier view is still answered as before.
    assert proposer.propose(history.assuming(0, 90), 1).drafts[0] == draft


def written(history, text, value, origin="chat:script"):
    candidate = Candidate(history.next_id, text, origin=origin)
    return history.after(Proposed((candidate,), slot=history.free_slots(1)[0])).after(
        Told(candidate.id, Evaluation(value))
    )


@pytest.mark.parametrize("name", ["base", "per_hole", "polish", "rungs"])
def test_negative_quota_is_refused(name):
    """A quota that cannot be is refused in one line."""
    with pytest.raises(BadInput, match=f"quota {name} is -1: give a whole number, at least 0"):
        Quota(**{name: -1})


def test_candidates_under_evaluation_count():
    """Parallel proposals do not give a structure more than its share before the model is asked."""
    model = Script([WAVE])
    proposer = Hybrid(model, NumericProposer())
    history = begin(CURVE)
    made = []
    for slot in range(Quota().share(2) + 1):
        (draft,) = proposer.propose(history.assuming(0, slot), 1).drafts
        made.append(draft.origin.partition(":")[0])
        candidate = Candidate(history.next_id, draft.text, origin=draft.origin)
        history = history.after(Proposed((candidate,), slot=slot))
    assert made == ["numeric"] * Quota().share(2) + ["chat"]
    assert len({candidate.text for candidate in history.pending}) == len(history.pending)


def test_several_drafts_stay_within_the_share():
    """A proposal of many drafts is cut at what is due."""
    proposal = Hybrid(Script([WAVE]), NumericProposer()).propose(begin(CURVE), 50)
    assert len(proposal.drafts) == Quota().share(2)


def test_proposals_follow_from_the_history_alone():
    """Two instances, one of which has made the whole run, propose the same."""
    model = Script([CURVE, WAVE])
    proposer = Hybrid(model, NumericProposer())
    history = begin(LINE)
    for _ in range(17):
        history = step(history, proposer)
        if origins(step(history, proposer))[-1] == "numeric":
            fresh = Hybrid(Script([]), NumericProposer()).propose(history.assuming(0, history.free_slots(1)[0]), 1)
            assert fresh == proposer.propose(history.assuming(0, history.free_slots(1)[0]), 1)


def test_account_of_who_did_what():
    """Each origin's evaluations, failures, improvements and best score are told apart."""
    history = begin("start", lambda _: 1.0)
    for i, (origin, value) in enumerate([("chat:m", 3.0), ("numeric:gp", 5), ("numeric:gp", 2.0)], start=1):
        history = history.after(Proposed((Candidate(i, f"text {i}", origin=origin),), slot=i))
        history = history.after(Told(i, Evaluation(value)))
    history = history.after(Proposed((Candidate(4, "text 4", origin="chat:m"),), slot=4))
    history = history.after(Told(4, Failure("raised", "no")))
    account = who_did_what(history)
    assert list(account) == ["start", "chat:m", "numeric:gp"]
    assert (account["chat:m"].evaluations, account["chat:m"].failures, account["chat:m"].improvements) == (2, 1, 1)
    assert (account["numeric:gp"].improvements, account["numeric:gp"].best) == (1, 5)
