"""What a run will probably cost, said before it begins and again when x0's evaluation shows what scoring costs.

A rough guess: the first prompt is counted, later ones grow with the attempts that they show up to the allowance, a
reply is taken to be as long as the start text and a short explanation, until real ones are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Problem, Usage
from llm_optimize.llm.priced import Priced
from llm_optimize.proposers.best_of_n import BestOfN
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.mixing import Hybrid
from llm_optimize.proposers.population import PopulationProposer
from llm_optimize.proposers.portfolio import Portfolio

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.budget import Budget
    from llm_optimize.core.events import Event
    from llm_optimize.core.protocols import Proposer
    from llm_optimize.core.study import Study

__all__ = ["Announcer", "Forecast", "announce", "chat_of", "chats_of", "first_past", "forecast"]

_EXPLANATION = 200  # tokens that a reply is taken to spend on its explanation
_ATTEMPTS_SHOWN = 0.5  # of the past attempts, an average prompt of a run shows half as many as the last one
_MOST = 1_000_000  # candidates; more are as good as no limit
_KILO, _MEGA = 1000, 1_000_000


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run may cost.

    Attributes:
        model: the proposer's.
        counter: what counted its prompt.
        prompt_tokens: of the first prompt.
        steps: candidates that the rules allow after x0; None for no limit.
        candidates: how many of them the budget buys, as far as tokens and dollars are capped; None for no limit.
        total: their cost, that of scoring them included as far as it is known; of nothing where there is no limit.
        scoring: what the model calls of one evaluation cost so far.
        price_known: whether the proposer's price is known.
    """

    model: str
    counter: str
    prompt_tokens: int
    steps: int | None
    candidates: int | None
    total: Usage
    scoring: Usage
    price_known: bool

    def __str__(self) -> str:
        """Return the forecast in a line, for example ``buys about 40 candidates, 120k tokens, $0.90``."""
        if self.candidates is None:
            return "no limit on steps, tokens or dollars: the cost has none either"
        free = self.price_known and not self.total.dollars
        price = (
            "" if free else f", ${self.total.dollars:.2g}" if self.total.dollars < 1 else f", ${self.total.dollars:.2f}"
        )
        price = price if self.price_known else ", price unknown"
        cut = self.steps is None or self.candidates < self.steps
        head = "the budget buys about" if cut else "at most"
        scored = f", of which scoring {_short(self.candidates * self.scoring.tokens)}" if self.scoring.tokens else ""
        many = "s" * (self.candidates != 1)
        return f"{head} {self.candidates:,} candidate{many}, about {_short(self.total.tokens)} tokens{scored}{price}"


def first_past(problem: Problem) -> History:
    """Return the past that the first prompt is made of: x0 is there and its score is not known."""
    history = History.empty().after(Opened(problem))
    return history if problem.start is None else history.after(Proposed((Candidate(0, problem.start, origin="start"),)))


def chat_of(proposer: Proposer) -> ChatProposer | None:
    """Return the chat proposer that is, or is part of, a proposer; of several the first."""
    return next(iter(chats_of(proposer)), None)


def chats_of(proposer: Proposer | None) -> list[ChatProposer]:
    """Return all chat proposers that are, or are part of, a proposer."""
    match proposer:
        case ChatProposer():
            return [proposer]
        case BestOfN() | PopulationProposer():
            return [proposer.chat]
        case Hybrid():
            return chats_of(proposer.chat)
        case Portfolio():
            return [chat for arm in proposer.arms.values() for chat in chats_of(arm)]
        case _:
            return []


def announce(study: Study, max_steps: int | None, say: Callable[[str], None]) -> None:
    """Have ``say`` told what the study's next session may cost, where a rule limits it and a chat model proposes."""
    chat = chat_of(study.proposer)
    if chat is not None:
        study.watch(Announcer(study, chat, max_steps, say))


def forecast(
    chat: ChatProposer, history: History, budget: Budget, max_steps: int | None = None, ideas: int = 1
) -> Forecast:
    """Return what the rest of a run may cost.

    Args:
        chat: proposes.
        history: the past; :func:`first_past` for a new study.
        budget: its caps.
        max_steps: candidates after x0, those told included; None for no limit.
        ideas: candidates asked for in one proposal.

    Raises:
        BadInput: the first prompt does not fit the proposer's allowance.
    """
    priced = _priced(chat)
    guess = _Guess(chat, priced, history, ideas)
    limits = [
        max_steps,
        None if budget.evaluations is None else budget.evaluations - (history.problem.start is not None),
    ]
    steps = min((max(n - history.steps, 0) for n in limits if n is not None), default=None)
    candidates = guess.affordable(budget, history.usage, steps)
    total = Usage(estimated=True) if candidates is None else guess.cost(candidates)
    return Forecast(
        priced.name, priced.counter.source, guess.prompt, steps, candidates, total, guess.scoring, priced.price_known()
    )


def _priced(chat: ChatProposer) -> Priced:
    held: object = chat.model
    while held is not None and not isinstance(held, Priced):
        held = getattr(held, "inner", None)
    return held or Priced(chat.model)


class _Guess:
    """The cost of n candidates."""

    def __init__(self, chat: ChatProposer, priced: Priced, history: History, ideas: int) -> None:
        self.prompt = chat.describe(history).tokens
        self.scoring = _average(history)
        self._allowance = max(self.prompt, chat.allowance)
        self._priced = priced
        self._ideas = ideas
        known = history.account.by_role().get("proposer", Usage())
        start = history.problem.start
        self._reply = _EXPLANATION + (priced.counter.count(start) if start else _EXPLANATION)
        if known.calls and history.trials:
            self._reply = round(known.tokens_out / len(history.trials))

    def cost(self, n: int) -> Usage:
        """Return what ``n`` candidates cost."""
        calls = -(-n // self._ideas)
        shown = round(min(self.prompt + _ATTEMPTS_SHOWN * n * self._reply, self._allowance))
        asked = self._priced.cost(Usage(calls, calls * shown, 0, n * self._reply, estimated=True))
        scoring = self.scoring
        return asked + Usage(
            n * scoring.calls,
            n * scoring.tokens_in,
            n * scoring.tokens_cached,
            n * scoring.tokens_out,
            n * scoring.dollars,
        )

    def affordable(self, budget: Budget, spent: Usage, steps: int | None) -> int | None:
        """Return how many candidates the caps leave room for, at most ``steps``; None for no limit."""
        low, high = 0, _MOST if steps is None else steps
        while low < high:
            middle = (low + high + 1) // 2
            total = spent + self.cost(middle)
            fits = (budget.tokens is None or total.tokens <= budget.tokens) and (
                budget.dollars is None or total.dollars <= budget.dollars
            )
            low, high = (middle, high) if fits else (low, middle - 1)
        return None if steps is None and low == _MOST else low


def _average(history: History) -> Usage:
    """Return the mean cost of the evaluations so far."""
    told = len(history.trials)
    spent = [usage for (role, _), usage in history.account.rows.items() if role != "proposer"]
    if not told or not spent:
        return Usage()
    total = sum(spent, Usage())
    calls, tokens_in = -(-total.calls // told), -(-total.tokens_in // told)
    tokens_out = -(-total.tokens_out // told)
    return Usage(calls, tokens_in, 0, tokens_out, total.dollars / told, estimated=True)


class Announcer:
    """An observer that says what a run may cost: when it begins, and once more when scoring turns out to cost."""

    def __init__(self, study: Study, chat: ChatProposer, max_steps: int | None, say: Callable[[str], None]) -> None:
        """Say it by ``say``; ``max_steps`` as for :func:`forecast`."""
        self._study = study
        self._chat = chat
        self._max_steps = max_steps
        self._say = say
        self._over = False

    def __call__(self, event: Event) -> None:
        """Say it when the time has come."""
        if self._over:
            return
        history = self._study.last
        if isinstance(event, Opened):
            past = history if history.next_id else first_past(event.problem)
            self._tell(past, "estimate: ")
            self._over = bool(history.trials)
        elif isinstance(event, Told):
            self._over = True
            if event.outcome.usage.tokens:
                self._tell(history, "with what scoring x0 cost: ")

    def _tell(self, history: History, head: str) -> None:
        found = forecast(self._chat, history, self._study.budget, self._max_steps, self._study.ideas)
        if found.candidates is not None:
            self._say(f"{head}{found}")


def _short(tokens: int) -> str:
    if tokens >= _MEGA:
        return f"{tokens / _MEGA:.3g}M"
    return f"{tokens / _KILO:.3g}k" if tokens >= _KILO else str(tokens)
