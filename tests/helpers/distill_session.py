"""One session of a distill run that is going to be killed: ``distill_session.py FOLDER URL PARALLEL FIXTURES``."""

from __future__ import annotations

import sys
from pathlib import Path

from llm_optimize import distill

SETTINGS = distill.Settings(samples=2, wrong=2, validation=0.4, estimate_length=True)


def items(url: str, fixtures: Path) -> list[distill.Item]:
    """Read a few items of each kind; open answers are marked by a judge."""
    judged = distill.Judged(f"{url}#judge")
    return [
        *distill.read_items("mmlu", fixtures / "mmlu.csv")[:5],
        *distill.read_items("alpaca", fixtures / "alpaca.json", open_scorer=judged)[:3],
        *distill.read_items("humaneval", fixtures / "humaneval.jsonl")[:2],
    ]


def main(folder: str, url: str, parallel: int, fixtures: Path) -> None:
    """Run the session to its end, if it is let."""
    done = distill.run(items(url, fixtures), folder, f"{url}#scripted", settings=SETTINGS, parallel=parallel)
    sys.stdout.write(f"{done}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
