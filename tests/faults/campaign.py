"""SIGKILL of owner, worker, sandbox parent, database server and model server at random moments of real studies.

    python tests/faults/campaign.py [--faults 200] [--seed 1] [--kinds owner,worker,...] [--variants sqlite-dask,...]

Each variant (SQLite or PostgreSQL, worker processes or a Dask cluster) gets its share of the faults. A fault is dealt
after something was seen to happen (an event in the log, a line of the scorer, a charge of the model's server) and a
random while; at times before the study has got over the one before. An owner that was killed, or whose session ended by
an error, is started again. Studies that come to their end are followed by others, bounded by evaluations and by tokens
in turn. Then log, notes and books are compared, see ``proof.py``. The status is 1 if anything does not hold.
"""

# ruff: noqa: T201 - run by hand, it prints its figures

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

sys.path[:0] = [str(Path(__file__).parents[1])]  # tests/, for helpers

from ground import PATIENCE_S, VARIANTS, Ground, Hang, Variant, kill, within  # noqa: E402 - they need the line above
from helpers.postgres_server import programs  # noqa: E402 - as above
from proof import Moment, Proof, moment, proof  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = ("owner", "worker", "sandbox", "model", "stop", "database")
OVERLAP = 0.4  # of the faults that are dealt without waiting for what the one before leads to
LONGEST_S = 0.08  # of the random while after something was seen
ATTEMPTS = 50  # at a fault: there may be no such process at this moment
_PATIENT = 5  # sessions that end by an error, without a fault in between
CAPS = ({"evaluations": 40, "tokens": None}, {"evaluations": None, "tokens": 40_000})  # in turn


class Campaign:
    """Faults against one variant, and what followed."""

    def __init__(self, variant: Variant, folder: Path, dice: random.Random) -> None:
        """Start the servers; the dice choose moments and victims."""
        self.ground = Ground(variant, folder)
        self.dealt: Counter[str] = Counter()
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.hangs: list[str] = []
        self.proof = Proof()
        self._dice = dice
        self._moments: list[Moment] = []
        self._idle = 0
        self._over = False

    def run(self, faults: Sequence[str]) -> None:
        """Deal the faults, in this order, and let the last study come to its end."""
        try:
            self._next_study()
            for kind in faults:
                self._insist(kind)
            within("the last study's end", self._is_over)
            self._look_at_study()
        except Hang as hang:
            self.hangs.append(f"{hang}\n{self.ground.stacks()}")
        finally:
            self.ground.close()
        if orphans := self.ground.orphans():
            self.hangs.append(f"processes that outlive what they belong to: {orphans}")

    def _next_study(self) -> None:
        number = self.proof.studies
        self._moments, self._over = [], False
        caps = CAPS[(number + self.ground.variant.database) % len(CAPS)]
        self.ground.begin(f"study-{number + 1}", **caps)

    def _insist(self, kind: str) -> None:
        if not any(self._deal(kind) for _ in range(ATTEMPTS)):
            raise Hang(f"no victim for {kind} in {ATTEMPTS} attempts")

    def _deal(self, kind: str) -> bool:
        """Deal one fault at a random moment; return whether it was dealt."""
        before = self.ground.signs()
        sign = self._dice.randrange(len(before))
        within("anything to happen", lambda: self._is_over() or self.ground.signs()[sign] > before[sign])
        time.sleep(self._dice.random() * LONGEST_S)
        if self._is_over():
            self._look_at_study()
            self._next_study()
            return False
        since, began = self.ground.signs()[0], time.monotonic()
        if not getattr(self, f"_{kind}")():
            return False
        self.dealt[kind] += 1
        self._idle = 0
        self._moments.append(moment(self.ground, kind))
        if self._dice.random() >= OVERLAP:
            within(f"an event after {kind}", lambda: self._is_over() or self.ground.signs()[0] > since + 1)
            self.seconds[kind].append(time.monotonic() - began)
        return True

    # --- the faults; each returns whether it was dealt ------------------------------------------------------------

    def _owner(self) -> bool:
        owner = self.ground.owner()
        if owner is None:
            return False
        self.ground.doom(owner.pid)
        owner.kill()
        owner.wait(PATIENCE_S)
        self._note_statuses()
        return True

    def _worker(self) -> bool:
        return self._kills(self.ground.worker(self._dice))

    def _sandbox(self) -> bool:
        return self._kills(self.ground.sandbox(self._dice))

    def _kills(self, pid: int | None) -> bool:
        if pid is None:
            return False
        self.ground.doom(pid)
        return kill(pid)

    def _model(self) -> bool:
        self.ground.model.kill()
        time.sleep(self._dice.random() * LONGEST_S)
        self.ground.model.restart()
        return True

    def _database(self) -> bool:
        self.ground.postgres.kill()
        time.sleep(self._dice.random() * LONGEST_S)
        self.ground.postgres.start()
        return True

    def _stop(self) -> bool:
        owner = self.ground.owner()
        if owner is None:
            return False
        os.kill(owner.pid, signal.SIGSTOP)
        time.sleep(self._dice.choice((0.1, 0.4, 1.6)))  # the last is longer than a lease
        os.kill(owner.pid, signal.SIGCONT)
        return True

    # --- what follows ---------------------------------------------------------------------------------------------

    def _note_statuses(self) -> bool:
        """Start what has ended again; return whether the study has come to its end."""
        statuses = self.ground.start_owners()
        for status in statuses:
            if status > 0:
                self._idle += 1
            if self._idle > _PATIENT:
                raise Hang(f"sessions end by themselves, again and again: {self.ground.words[-1]}")
        return 0 in statuses

    def _is_over(self) -> bool:
        """Return whether the study has come to its end and all its owners have ended."""
        if self._over or not self._note_statuses():
            return self._over
        for owner in self.ground.owners:  # on PostgreSQL the other one sees that nothing is left to do
            try:
                owner.wait(PATIENCE_S)
            except TimeoutError:
                raise Hang("an owner does not see that the study is over") from None
        self.ground.owners.clear()
        self._over = True
        return True

    def _look_at_study(self) -> None:
        self.proof.add(proof(self.ground, self._moments))


def table(campaigns: list[Campaign]) -> None:
    """Print what was dealt and what followed."""
    print(f"{'kind':<10}{'dealt':>7}{'waited for':>12}{'median s':>10}{'slowest s':>11}   until the log went on")
    for kind in KINDS:
        dealt = sum(one.dealt[kind] for one in campaigns)
        seconds = [value for one in campaigns for value in one.seconds[kind]]
        if dealt:
            shown = (f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}") if seconds else ("-", "-")
            print(f"{kind:<10}{dealt:>7}{len(seconds):>12}{shown[0]:>10}{shown[1]:>11}")


def totals(campaigns: list[Campaign]) -> bool:
    """Print the sums and return whether all holds."""
    whole = Proof()
    for one in campaigns:
        whole.add(one.proof)
    ended = Counter(word for one in campaigns for word in one.ground.words)
    hangs = [f"{one.ground.variant.name}: {hang}" for one in campaigns for hang in one.hangs]
    print(f"{whole.studies} studies in {whole.sessions} sessions")
    print(f"candidates: {whole.proposed} proposed, {whole.told} told; {whole.begun} evaluations begun")
    print(f"model: {whole.charged} calls and {whole.tokens} tokens charged; {whole.lost_tokens} for what broke off")
    for text, times in ended.most_common():
        print(f"  {times} sessions ended by: {text[:110]}")
    print(f"begun again by an owner that had only been stopped: {whole.woken}")
    print(f"charged for replies that died with their owner and were not needed again: {whole.unheard} calls")
    print(f"lost {whole.lost}, double {whole.double}, begun with an outcome on disk {whole.begun_again}")
    print(
        f"wrong scores {whole.wrong}, tokens that log and server differ by {whole.money}, caps passed {whole.over_cap}"
    )
    print(f"hangs {len(hangs)}")
    for line in [*hangs, *whole.notes][:20]:
        print(f"  {line}")
    return whole.holds and not hangs and whole.studies >= len(campaigns)


def run(faults: int, dice: random.Random, variants: list[Variant], kinds: list[str]) -> bool:
    """Run the campaigns one after the other, print their tables, and return whether all holds."""
    campaigns = []
    for number, variant in enumerate(variants):
        fit = [kind for kind in kinds if kind != "database" or variant.database]
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            campaign = Campaign(variant, Path(folder), dice)
            campaign.run(dice.choices(fit, k=(faults + number) // len(variants)))
        campaigns.append(campaign)
        dealt, seconds = sum(campaign.dealt.values()), time.monotonic() - began
        print(f"{variant.name}: {dealt} faults in {seconds:.0f} s", flush=True)
    table(campaigns)
    return totals(campaigns)


def main() -> int:
    """Run and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--variants", default=",".join(VARIANTS))
    args = parser.parse_args()
    chosen = [VARIANTS[name] for name in args.variants.split(",")]
    if programs() is None:
        print("no PostgreSQL here (apt-get install postgresql): its variants are left out")
        chosen = [one for one in chosen if not one.database]
    return 0 if run(args.faults, random.Random(args.seed), chosen, args.kinds.split(",")) else 1


if __name__ == "__main__":
    sys.exit(main())
