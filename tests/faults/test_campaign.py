"""A small campaign of faults; ``campaign.py`` is the large one, and says what is dealt and what is compared."""

from __future__ import annotations

import random

import pytest
from campaign import Campaign
from ground import VARIANTS
from helpers.postgres_server import programs

FAULTS = {
    "sqlite-processes": ["owner", "worker", "sandbox", "model", "stop"] * 2,
    "postgres-processes": ["database", "owner", "stop"],  # the others have nothing to do with the store
}


@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost_or_counted_twice_whatever_is_killed(name, tmp_path):
    """Each kind of fault, in any order: every candidate told once with its own score, every charge once, no hang."""
    if VARIANTS[name].database and programs() is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    dice = random.Random(7)
    campaign = Campaign(VARIANTS[name], tmp_path, dice)
    campaign.run(dice.sample(FAULTS[name], k=len(FAULTS[name])))
    assert campaign.hangs == []
    assert campaign.proof.holds, campaign.proof
    assert campaign.proof.proposed == campaign.proof.told > 0
    assert sum(campaign.dealt.values()) == len(FAULTS[name])
