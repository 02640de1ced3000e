"""Fuzzes what passes between a program and the host: ``python fuzz_protocol.py --seconds 600``.

Programs run in a real sandbox and write to every descriptor that they find: results cut anywhere, written in pieces,
two of them, mutated ones, noise; then they end, exit, are killed, close everything, leave a child that writes on, or
stay. The same between the questions of a session. Each run must come back with a reason of the closed set and nothing
but data, in time; a program that is told to write nothing must score what it always scores; at the end no process and
no descriptor is left. Anything else ends the run with status 1 and leaves the plan in ``fuzz_failure``.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
import time
from collections import Counter
from pathlib import Path

from fuzz_result_decoder import SAMPLES, is_data, mutated

from llm_optimize.sandbox import REASONS, Limits, Sandbox, codec, leftovers

LOOKS = 20
FAILURE = Path("fuzz_failure")
WALL_S, GRACE_S = 10.0, 60.0
SHORT = Limits(wall_s=0.2)
ENDS = ["end"] * 6 + ["exit", "kill", "close", "child"] * 3 + ["stay"]
WRITER = """
import os, signal, time

def write(pieces):
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            for piece in pieces:
                try:
                    os.write(int(name), piece)
                except OSError:
                    pass

def do(pieces, end):
    if end == "child" and os.fork():
        return 42
    write(pieces)
    if end in ("exit", "child"):
        os._exit(0)
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "close":
        os.closerange(3, 1024)
    if end == "stay":
        time.sleep(3600)
    return 42
"""
ONCE = WRITER + "x = do(pieces, end)\n"


def plan(chance: random.Random, pool: list[bytes]) -> tuple[list[bytes], str]:
    """Pieces to be written one after the other, and how the program goes on."""
    data = b"".join(chance.choice(pool) for _ in range(chance.choice([0, 1, 1, 1, 2])))
    for _ in range(chance.choice([0, 0, 1, 3])):
        data = mutated(chance, data, pool)
    if chance.random() < 0.3:
        data = data[: chance.randrange(len(data) + 1)]
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice([0, 1, 3])))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [piece for piece in pieces if piece], chance.choice(ENDS)


def check(done: object, wanted: set[str], seconds: float) -> str:
    """Hold one answer against what must be true of all; return its reason."""
    assert done.reason in REASONS
    assert done.ok == (done.reason == "finished")
    assert set(done.values) == (wanted if done.ok else set()), done.values
    assert is_data(dict(done.values))
    assert seconds < WALL_S + GRACE_S, "too long"
    return done.reason


def once(box: Sandbox, pieces: list[bytes], end: str) -> str:
    """Run a program that writes the pieces, and an honest one behind it."""
    began = time.monotonic()
    limits = SHORT if end == "stay" else None
    done = box.run(ONCE, {"pieces": pieces, "end": end}, ["x"], limits)
    reason = check(done, {"x"}, time.monotonic() - began)
    if not pieces and end == "end":
        assert done.values == {"x": 42}, done
    after = box.run("x = 6 * 7", {}, ["x"])
    assert after.values == {"x": 42}, after
    return reason


def session(box: Sandbox, plans: list[tuple[list[bytes], str]]) -> str:
    """Ask a live program that writes the pieces while it answers."""
    reasons = []
    began = time.monotonic()
    with box.session(WRITER, limits=Limits(wall_s=1.0)) as live:
        for pieces, end in plans:
            done = live.call("do", pieces, end)
            reasons.append(check(done, {"result", "seconds"}, time.monotonic() - began))
            if not done.ok and not live.alive:
                late = live.call("do", [], "end")
                assert not late.ok, "a session that was over answered"
    return f"session {reasons[-1]}"


def fuzz(seconds: float, seed: int) -> Counter[str]:
    """Run until the time is up; return how often each reason came."""
    chance = random.Random(seed)
    frames = [{"reason": reason, "message": "", "values": {"x": 1}} for reason in REASONS]
    pool = [b"".join(codec.encode(sample)) for sample in [*SAMPLES, *frames]]
    pool += [
        b"\0",
        b"\xff" * 40,
        b'{"end": true}',
        b'{"status": 0, "reason": "", "cpu": 0, "peak_kb": 0}',
        bytes(70_000),
    ]
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    with Sandbox(limits=Limits(wall_s=WALL_S)) as box:
        once(box, [], "end")
        # on a loaded machine the process that is made ahead of need may take longer than one look that stays the same
        before = max((leftovers.settled() for _ in range(LOOKS)), key=lambda seen: seen.processes)
        while time.monotonic() < end:
            plans = [plan(chance, pool) for _ in range(chance.choice([1, 1, 1, 1, 1, 1, 3]))]
            try:
                counts[once(box, *plans[0]) if len(plans) == 1 else session(box, plans)] += 1
            except BaseException:
                FAILURE.write_text(repr(plans), "utf-8")
                raise
        more = leftovers.more(before, patience_s=10.0)
    assert not more, more
    FAILURE.unlink(missing_ok=True)
    return counts


def main() -> None:
    """Fuzz for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    faulthandler.enable()
    faulthandler.dump_traceback_later(given.seconds + 2 * GRACE_S, exit=True)  # one run that never ends
    sys.stdout.write(f"seed {given.seed}\n")
    counts = fuzz(given.seconds, given.seed)
    told = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    sys.stdout.write(f"{counts.total()} runs in {given.seconds:g} s, each with a reason and only data: {told}\n")


if __name__ == "__main__":
    main()
