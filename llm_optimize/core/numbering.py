"""From drafts to candidates: what is new gets an id and is written down, what was there before is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_optimize.core.events import Proposed
from llm_optimize.core.history import same_text
from llm_optimize.core.types import Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.account import Account
    from llm_optimize.core.history import History
    from llm_optimize.core.journal import Journal
    from llm_optimize.core.types import Draft, Proposal

__all__ = ["number", "record_injected", "record_proposal"]

_HUMAN = "human"


def record_injected(journal: Journal) -> tuple[Candidate, ...]:
    """Number and log the candidates that people wrote since; one that the study knows is left out."""
    fresh = []
    for text in journal.history.hand.texts:
        if journal.history.seen(text) is None:
            candidate = Candidate(journal.history.next_id, text, origin=_HUMAN, parent=journal.history.hand.pinned)
            journal.record(Proposed((candidate,), at=journal.now()))
            fresh.append(candidate)
    return tuple(fresh)


def record_proposal(journal: Journal, slot: int, proposal: Proposal, account: Account) -> tuple[Candidate, ...]:
    """Number what is new of a proposal, log it with what it cost by role and model, and return its candidates."""
    candidates, note = number(journal.history, proposal.drafts)
    notes = "; ".join(part for part in (proposal.note, note) if part)
    usage = account.total if account.rows else proposal.usage  # the scope has also seen calls that brought nothing
    tools, lessons, arm = proposal.tools, proposal.lessons, proposal.arm
    journal.record(Proposed(candidates, usage, slot, notes, journal.now(), account, tools, lessons, arm))
    return candidates


def number(history: History, drafts: Sequence[Draft]) -> tuple[tuple[Candidate, ...], str]:
    """Give ids to the drafts that are new; return them and a note on those that are not.

    A text that was proposed before, here or by a proposal that ran at the same time, is not evaluated again.
    """
    candidates: list[Candidate] = []
    notes: list[str] = []
    batch: dict[str, int] = {}
    for draft in drafts:
        text = same_text(draft.text)
        twin = batch.get(text, history.seen(draft.text))
        if not text or twin is not None:
            notes.append("an empty candidate was dropped" if twin is None else f"a duplicate of #{twin} was dropped")
            continue
        new = history.next_id + len(candidates)
        candidate = Candidate(new, draft.text, draft.idea, draft.origin, draft.parent, draft.others)
        batch[text] = candidate.id
        candidates.append(candidate)
    return tuple(candidates), "; ".join(notes)
