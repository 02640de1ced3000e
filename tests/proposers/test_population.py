"""A population as policies of the chat proposer: who becomes a parent, what each draft is told, when it ends."""

from __future__ import annotations

import json
import random
from itertools import permutations

import pytest

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.errors import BadInput, ModelRefused
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers import evolving, mutations
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.generations import Generations
from llm_optimize.proposers.mutations import OPERATORS, Situation
from llm_optimize.proposers.parents.population import GENERATION, Population, generation_of, members
from llm_optimize.proposers.parents.tournament import Tournament
from llm_optimize.proposers.population import PopulationProposer, in_order
from llm_optimize.proposers.strategies import STRATEGIES


def past(scores_by_generation, *, start=0.1, pending=(), order=None):
    """A history of generations with these scores; ``order`` is that in which the outcomes came."""
    history = History.empty().after(Opened(Problem("task", "question", "the start {text}"), 7))
    history = history.after(Proposed((Candidate(0, "the start {text}", origin="start"),)))
    history = history.after(Told(0, Evaluation(start)))
    number = 1
    for generation, scores in enumerate(scores_by_generation):
        children = [
            (
                Candidate(
                    number + i, f"prompt {number + i} {{text}} " + " ".join(f"w{number + i}{j}" for j in range(9))
                ),
                score,
            )
            for i, score in enumerate(scores)
        ]
        number += len(children)
        candidates = tuple(candidate for candidate, _ in children)
        history = history.after(Proposed(candidates, slot=generation, arm=f"{GENERATION}{generation}"))
        for i in order or range(len(children)):
            candidate, score = children[i]
            if candidate.id not in pending:
                outcome = Failure("raised", "no") if score is None else Evaluation(score)
                history = history.after(Told(candidate.id, outcome))
    return history


def numbered(request):
    """A reply with a text that nobody has written before."""
    seed = request.key + str(len(request.messages[-1].content))
    return f"Better.\n```\nnew {{text}} {random.Random(seed).random()} {request.key}\n```"


def proposer(model=None, **settings):
    """A proposer of small generations that asks one draft at a time, so that a script's order is that of the drafts."""
    chat = ChatProposer(model or ScriptedModel(numbered), constraints=["placeholders"], repair=None)
    return PopulationProposer(chat, **{"size": 4, "elites": 2, "parallel": 1} | settings)


def asked(model):
    """The last turns that the model was asked with."""
    return [request.messages[-1].content for request in model.requests]


def test_the_population_is_the_elites_and_the_latest_generation() -> None:
    """Members are the best of all and the children of the latest generation, best first; others are not."""
    history = past([[0.5, 0.9, 0.2], [0.3, 0.4]])
    assert [trial.id for trial in members(history, 2)] == [2, 1, 5, 4]
    assert [trial.id for trial in members(history, 0)] == [5, 4]
    assert [generation_of(history, number) for number in range(6)] == [0, 0, 0, 0, 1, 1]


def test_the_start_belongs_to_the_first_population() -> None:
    """The initial prompt is a member until there is a second generation, or for as long as it is an elite."""
    assert {trial.id for trial in members(past([[0.5, 0.05]]), 1)} == {0, 1, 2}
    assert {trial.id for trial in members(past([[0.5, 0.05], [0.2]]), 1)} == {1, 3}
    assert members(past([[None]], start=0.0), 2)[0].id == 0


def test_a_tournament_of_all_takes_the_best_and_one_of_one_takes_anybody() -> None:
    """The size of the tournament is the pressure: with many the best member wins, with one each has its turn."""
    history = past([[0.5, 0.9, 0.2, 0.4]])
    strict, blind = Population(2, Tournament(64)), Population(2, Tournament(1))
    slots = [history.assuming(0, slot) for slot in range(60)]
    assert {strict.choose(one, 0)[0].id for one in slots} == {2}
    assert {blind.choose(one, 0)[0].id for one in slots} == {0, 1, 2, 3, 4}
    assert Population().choose(History.empty(), 0) == ()


def test_the_past_in_order_does_not_depend_on_which_outcome_came_first() -> None:
    """Whoever is drawn from the past draws the same, in whatever order the judges were ready."""
    pasts = [in_order(past([[0.5, 0.5, 0.5]], order=order)) for order in permutations(range(3))]
    assert {tuple(trial.id for trial in one.trials) for one in pasts} == {(0, 1, 2, 3)}
    assert {one.best.id for one in pasts} == {1}
    assert all(generation_of(one, 3) == 0 and one.seed == 7 for one in pasts)


def test_the_first_population_is_asked_for_by_different_strategies() -> None:
    """Each draft of the first generation is built on the start and told another strategy."""
    model = ScriptedModel(numbered)
    proposal = proposer(model, size=10).propose(past([]), 10)
    assert len(proposal.drafts) == 10
    assert {draft.parent for draft in proposal.drafts} == {0}
    assert {draft.origin for draft in proposal.drafts} == {f"chat:scripted/{one.name}" for one in STRATEGIES}
    assert all(sum(one.instruction in text for one in STRATEGIES) == 1 for text in asked(model))
    assert proposal.arm == "generation-0"


def test_children_have_two_parents_and_the_prompt_shows_both() -> None:
    """A crossover is asked for with both parents in the prompt, and the draft names them."""
    model = ScriptedModel(numbered)
    history = past([[0.5, 0.9, 0.2, 0.4]]).assuming(0, 1)
    proposal = proposer(model).propose(history, 4)
    assert len(proposal.drafts) == 2, "a generation has size - elites children"
    for draft, request in zip(proposal.drafts, model.requests, strict=True):
        shown = "\n".join(message.content for message in request.messages)
        assert len(draft.others) == 1
        assert draft.parent not in draft.others
        assert all(history.trial(number).text in shown for number in (draft.parent, *draft.others))
        assert f"Combine the current x with attempt #{draft.others[0]}" in request.messages[-1].content
    assert proposal.arm == "generation-1"


@pytest.mark.parametrize(("size", "elites", "children"), [(1, 2, 1), (2, 2, 1), (2, 1, 1), (1, 0, 1), (10, 2, 8)])
def test_small_populations_work(size, elites, children) -> None:
    """A population of one or two has at least one child a generation, with or without a second parent."""
    scores = [[0.5] * size]
    proposal = proposer(size=size, elites=elites).propose(past(scores).assuming(0, 1), size)
    assert len(proposal.drafts) == min(children, size)


def test_a_population_without_scores_goes_on_with_what_there_is() -> None:
    """Where every judgement failed the next drafts are asked for by strategies again."""
    model = ScriptedModel(["```\na\n```", "```\nb\n```"])
    history = History.empty().after(Opened(Problem("t", "q", "start"), 0))
    history = history.after(Proposed((Candidate(0, "start", origin="start"),))).after(
        Told(0, Failure("unjudged", "no"))
    )
    assert len(proposer(model).propose(history.assuming(0, 1), 2).drafts) == 2
    assert all(any(one.instruction in text for one in STRATEGIES) for text in asked(model))


def test_one_draft_that_fails_leaves_the_others() -> None:
    """What came of a generation is kept and the trouble noted; only if nothing came is it raised."""
    replies = ["```\none {text}\n```", ModelRefused("no"), "```\nthree {text}\n```", ModelRefused("no")]
    proposal = proposer(ScriptedModel(replies)).propose(past([]), 4)
    assert [draft.text.strip() for draft in proposal.drafts] == ["one {text}", "three {text}"]
    assert "no" in proposal.note
    with pytest.raises(ModelRefused):
        proposer(ScriptedModel([ModelRefused("no")] * 4)).propose(past([]), 4)


def test_a_reply_without_the_placeholder_is_asked_for_again() -> None:
    """A draft that lost {text} is never handed back; the model is told why and asked once more."""
    model = ScriptedModel(["```\nlost\n```", "```\nkept {text}\n```"])
    proposal = proposer(model, size=1).propose(past([]), 1)
    assert [draft.text.strip() for draft in proposal.drafts] == ["kept {text}"]
    assert "{text}" in model.requests[1].messages[-1].content


def test_requests_of_different_drafts_have_different_keys() -> None:
    """Drafts asked for side by side are told apart in the log of replies, so that none is paid for twice."""
    model = ScriptedModel(numbered)
    proposer(model, parallel=4).propose(past([]), 4)
    assert len({request.key for request in model.requests}) == 4


def situation(instruction=""):
    """Three prompts of a population in which an operator is applied."""
    pool = members(past([[0.5, 0.9, 0.2], [0.3]]), 3)
    return Situation(pool, pool[::-1], instruction, random.Random(3))


def said(name, instruction=""):
    """What one operator tells the model, as it stands in the rendered prompt."""
    operator = next(one for one in OPERATORS if one.name == name)
    model = ScriptedModel(numbered)
    evolved = {"evolve": False, "operators": (operator,)}
    proposer(model, size=3, elites=2, **evolved).propose(past([[0.5, 0.9, 0.2]]).assuming(0, 1), 1)
    told = operator.angle(situation(instruction)).instruction
    return model.requests[-1].messages[-1].content, told


def test_there_are_the_nine_operators() -> None:
    """All operators of Promptbreeder are there; crossover and context shuffling, one of them, are two here."""
    assert len({one.name for one in OPERATORS}) == 10
    assert [one.name for one in OPERATORS if one.parents == 2] == ["crossover"]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("zero-order", "a list of 100 hints"),
        ("first-order", "Change x by this instruction: "),
        ("distribution", "a list of prompts for this task, in no order"),
        ("ranked-distribution", "is the best of the list, and is more like prompt"),
        ("lineage", "the prompts that were the best in turn"),
        ("zero-order-hyper", "one instruction for how to change a prompt, beginning from this"),
        ("first-order-hyper", "a better instruction. Then apply that one to x."),
        ("working-out", "the prompt that would have led to exactly this working out"),
        ("context-shuffling", "Shuffle the context of x"),
        ("crossover", "Combine the current x with attempt #"),
    ],
)
def test_each_operator_is_in_the_rendered_prompt(name, part) -> None:
    """The prompt that is sent says what the operator is."""
    assert part in said(name)[0]


def test_first_order_operators_use_the_instruction_that_evolved() -> None:
    """Where an instruction evolves it takes the place of the listed mutation prompts."""
    assert "Be bold." in said("first-order", "Be bold.")[1]
    assert "Be bold." in said("first-order-hyper", "Be bold.")[1]
    assert "Be bold." in said("crossover", "Be bold.")[1]
    assert any(one in said("first-order")[1] for one in mutations.MUTATION_PROMPTS)
    assert any(one in said("zero-order-hyper")[1] for one in mutations.THINKING_STYLES)


def test_lists_show_the_population_ranked_or_shuffled_without_twins() -> None:
    """The ranked list ends with the best; a text that is hardly different from a better one is left out."""
    now = situation()
    told = next(one for one in OPERATORS if one.name == "ranked-distribution").angle(now).instruction
    places = [told.index(f"prompt {number} {{text}}") for number in (4, 1, 2)]
    assert places == sorted(places)
    twins = Situation([now.pool[0], now.pool[0]], (), "", random.Random(0))
    listed = next(one for one in OPERATORS if one.name == "distribution").angle(twins).instruction
    assert listed.count(now.pool[0].text.strip()) == 1


def test_operators_take_turns() -> None:
    """Ten children in a row are made by ten operators, also when they are of different generations."""
    made = []
    history = past([[0.5, 0.9, 0.2]])
    for generation in range(1, 6):
        one = proposer(size=4, elites=2, operators=OPERATORS)
        made += [draft.origin for draft in one.propose(history.assuming(0, generation), 2).drafts]
    assert len(made) == 10
    assert len(set(made)) >= 9, "each round begins one further on, so one may come twice in ten"


def answering(instruction):
    """A model that writes prompts, and this instruction when it is asked for one."""

    def answer(request):
        if "Write a better instruction" in request.messages[-1].content:
            return json.dumps({"instruction": instruction})
        return numbered(request)

    return ScriptedModel(answer)


def test_the_instruction_evolves_from_the_second_generation_of_children_on() -> None:
    """It is written anew from what its children scored, shown to the model, kept in the log, and used."""
    first = proposer(model := answering("Be bold."), evolve=True).propose(past([[0.5, 0.9]]).assuming(0, 1), 2)
    assert first.lessons.texts == (evolving.FIRST,)
    assert not any("Write a better instruction" in text for text in asked(model))
    history = past([[0.5, 0.9], [0.3, 0.7]])
    second = proposer(model := answering("Be bold."), evolve=True).propose(history.assuming(0, 2), 2)
    assert second.lessons.texts == (evolving.FIRST, "Be bold.")
    meta, *children = asked(model)
    assert f"1. {evolving.FIRST}\n   2 prompts: best 0.7, mean 0.5" in meta
    assert all("Be bold." in text for text in children)
    assert second.usage.calls == 3


def test_without_a_usable_instruction_the_last_one_stays() -> None:
    """A model that gives none costs the generation nothing but a note."""

    def answer(request):
        return "no" if "a better instruction" in str(request.messages) else numbered(request)

    history = past([[0.5, 0.9], [0.3, 0.7]])
    proposal = proposer(ScriptedModel(answer), evolve=True).propose(history.assuming(0, 2), 2)
    assert proposal.lessons.texts == (evolving.FIRST, evolving.FIRST)
    assert "the instruction stays" in proposal.note
    assert len(proposal.drafts) == 2


def test_generations_hold_proposals_back_while_one_is_on_its_way() -> None:
    """Candidates that wait are evaluated; nothing new is proposed beside them, and nothing ends meanwhile."""
    rule = Generations(2, 4, 0.5)
    waiting = past([[0.9, 0.8]], pending={2})
    assert rule(waiting.assuming(0)) is None, "the waiting candidate may be evaluated although the target is reached"
    assert "without a score" in rule(waiting.assuming(1))
    assert "without a score" in rule(past([[0.2]]).assuming(4)), "a generation is being asked for"
    assert rule(past([[0.2]]).assuming(3)) is None


def test_generations_end_when_they_are_done_or_the_target_is_reached() -> None:
    """The search ends after its generations, or between two when the best is good enough."""
    assert Generations(1, 4)(past([[0.2]])) is None
    assert Generations(1, 4)(past([[0.2], [0.3]])) == "generations: 1 after the first one are done"
    assert Generations(0, 4)(past([[0.2]])) == "generations: 0 after the first one are done"
    assert Generations(5, 4, 0.1)(past([])) == "threshold: 0.1 reaches 0.1"


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: proposer(size=0), "size"),
        (lambda: proposer(elites=-1), "elites"),
        (lambda: proposer(tournament=0), "tournament"),
        (lambda: proposer(crossover=2), "crossover"),
        (lambda: proposer(operators=()), "operators"),
        (lambda: Population(selection=Population), "selection"),
        (lambda: Generations(-1, 1), "count"),
        (lambda: Generations(1, 0), "size"),
        (lambda: Generations(1, 1, "high"), "stop_score"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_asked(make, named) -> None:
    """A number that cannot be is named in one line."""
    with pytest.raises(BadInput, match=named) as error:
        make()
    assert "\n" not in str(error.value)
