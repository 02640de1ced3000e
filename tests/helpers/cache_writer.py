"""Writes replies into a cache file until it is killed, or as many as asked: ``cache_writer.py PATH NAME [COUNT]``.

Prints ``NAME-NUMBER`` after each reply that is in the file.
"""

from __future__ import annotations

import itertools
import sys

from llm_optimize.llm.cache_stores import SQLiteCache


def main(path: str, name: str, count: int | None = None) -> None:
    """Write."""
    cache = SQLiteCache(path)
    for number in itertools.count() if count is None else range(count):
        cache.put(f"{name}-{number}", "x" * 2000)
        print(f"{name}-{number}", flush=True)  # noqa: T201 - how the parent learns it


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None)
