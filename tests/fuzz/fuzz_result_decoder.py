"""Fuzzes the decoder of results and the judgement built on it: ``python fuzz_result_decoder.py --seconds 600``.

With atheris (``pip install atheris``) the search is guided by coverage; without it, or with ``--engine mutation``,
samples are mutated at random from a seed that is printed. Each input must give data or a refusal: another exception,
an object that is not data, or more than ten seconds for one input ends the run with a status other than 0 and leaves
the input in ``fuzz_failure``.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import struct
import sys
import time
from pathlib import Path

import numpy as np

try:
    import atheris
except ImportError:
    atheris = None

from llm_optimize.sandbox import REASONS, codec, verdict
from llm_optimize.sandbox.base import Call, Program

FAILURE = Path("fuzz_failure")
PATIENCE_S = 600  # atheris takes minutes to begin and to end on a loaded machine; it watches each input itself
SLOW_S = 10.0
SAMPLES = [
    None,
    [True, False, 1, -1, 2**70, 1.5, float("nan"), 1j, "é", b"\0\xff"],
    {"reason": "finished", "message": "", "values": {"x": [1, 2.0, {"k": None}]}},
    {"reason": "finished", "message": "", "values": {"result": np.arange(6.0).reshape(2, 3), "seconds": [0.1]}},
    {"reason": "raised", "message": "Traceback ...", "values": {}},
    [np.array(["ab", "é"]), np.array([True]), np.array([b"x"]), np.zeros((0, 3), "c16"), np.float16(1), [1.0] * 5],
    [[[[[[[[]]]]]]]],
]
PROGRAMS = [Program("", outputs=("x",)), Program("", call=Call("f"))]
TAGS = b"NTFiIdcsblmDQa"
NUMBERS = [0, 1, 2, 7, 8, 255, 256, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1]


def is_data(value: object) -> bool:
    """Whether a value consists of nothing but plain data."""
    if type(value) is list:
        return all(map(is_data, value))
    if type(value) is dict:
        return all(type(key) in (str, int) and is_data(item) for key, item in value.items())
    if type(value) is np.ndarray:
        return value.dtype.kind in "biufcSU" and value.dtype.names is None
    return value is None or type(value) in (bool, int, float, complex, str, bytes)


def examine(data: bytes) -> None:
    """Decode and judge one input; raises what must not happen."""
    began = time.perf_counter()
    try:
        value = codec.decode(data, nodes=codec.MAX_RESULT_NODES)
    except codec.NotData as error:
        refusal = str(error)
    else:
        refusal = ""
        assert is_data(value), "an object that is not data"
        arrived = codec.decode(b"".join(codec.encode(value)))
        assert repr(arrived)[:10_000] == repr(value)[:10_000], "a value that does not survive its own border"
    assert len(refusal) < 500, "a refusal is one short line"
    for program in PROGRAMS:
        seen = verdict.Observed(0, "", data, b"", b"", 0.0, 0.0, 0.0)
        done = verdict.verdict(program, seen, ())
        assert done.reason in REASONS
        assert done.ok == (done.reason == "finished")
        assert is_data(done.values)
    assert time.perf_counter() - began < SLOW_S, "slow to decode"


def mutated(chance: random.Random, data: bytes, pool: list[bytes]) -> bytes:
    """One random change, of the kinds that hurt a decoder."""
    body = bytearray(data)
    at = chance.randrange(len(body) + 1)
    kind = chance.randrange(8)
    if kind == 0 and body:
        body[at % len(body)] = chance.randrange(256)
    elif kind == 1 and body:
        body[at % len(body)] = chance.choice(TAGS)
    elif kind == 2:
        body[at : at + 8] = struct.pack("<Q", chance.choice(NUMBERS))
    elif kind == 3:
        body[at : at + 4] = struct.pack("<I", chance.choice(NUMBERS) % 2**32)
    elif kind == 4:
        del body[at : at + chance.randrange(1, 16)]
    elif kind == 5:
        body[at:at] = chance.choice(pool)
    elif kind == 6:
        body[at:] = chance.choice(pool)[at % 7 :]
    else:
        start = chance.randrange(len(body) + 1)
        body[at:at] = body[start : start + chance.randrange(64)]
    return bytes(body[: 1 << 16])


def random_search(seconds: float, seed: int, pool: list[bytes]) -> int:
    """Mutate samples until the time is up; return how many inputs were tried."""
    chance = random.Random(seed)
    end, tried = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        data = chance.choice(pool)
        for _ in range(chance.randrange(1, 8)):
            data = mutated(chance, data, pool)
        try:
            examine(data)
        except BaseException:
            FAILURE.write_bytes(data)
            raise
        tried += 1
        if len(pool) < 2000 and chance.random() < 0.01:
            pool.append(data)
    FAILURE.unlink(missing_ok=True)
    return tried


def guided(seconds: float, pool: list[bytes], folder: Path) -> None:
    """Hand over to atheris, which ends the process itself."""
    folder.mkdir(exist_ok=True)
    for number, data in enumerate(pool):
        (folder / f"sample{number}").write_bytes(data)
    atheris.instrument_all()
    options = [
        f"-max_total_time={int(seconds)}",
        "-max_len=65536",
        f"-timeout={int(SLOW_S)}",
        "-rss_limit_mb=2048",
        f"-exact_artifact_path={FAILURE}",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder)], examine)
    atheris.Fuzz()


def main() -> None:
    """Fuzz for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    engines = ["mutation"] if atheris is None else ["atheris", "mutation"]
    parser.add_argument("--engine", choices=engines, default=engines[0], help="atheris where it is installed")
    parser.add_argument("--corpus", type=Path, default=Path("fuzz_corpus"), help="folder of atheris's inputs")
    given = parser.parse_args()
    faulthandler.enable()
    faulthandler.dump_traceback_later(given.seconds + PATIENCE_S, exit=True)  # one input that never ends
    pool = [b"".join(codec.encode(sample)) for sample in SAMPLES]
    if given.engine == "atheris":
        guided(given.seconds, pool, given.corpus)
        return
    sys.stdout.write(f"mutation, seed {given.seed}\n")
    tried = random_search(given.seconds, given.seed, pool)
    sys.stdout.write(f"{tried} inputs in {given.seconds:g} s: data or a refusal, every time\n")


if __name__ == "__main__":
    main()
