"""How long does a search take, exactly and by the graph, and how many of the ten nearest does the graph find?

Rows are like those of sentence embeddings, 384 numbers: most of their variance lies in 24 to 64 directions (uniform
noise would have no near neighbours to find). The queries are other rows of the same kind, one at a time, one thread.

Run it: ``python tests/benchmarks/bench_index.py`` (10,000 rows exactly, 50,000 by the graph; minutes), ``--quick`` for
a smoke test, ``--rows 1000000 --searching 256`` for the large one (needs 3 GB and, on two cores, most of an hour).
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
from statistics import median
from time import perf_counter

import numpy as np

from llm_optimize.retrieval.hnsw import HNSWIndex
from llm_optimize.retrieval.index import ExactIndex
from llm_optimize.testing.index_contract import clustered

DIMENSIONS = 384
AT_ONCE = 10_000


def timed(work):
    """Return (what came, milliseconds)."""
    began = perf_counter()
    came = work()
    return came, (perf_counter() - began) * 1e3


def searched(index, queries):
    """Return the results, and the milliseconds of a search for 10; on a busy machine the fastest tells most."""
    index.search(queries[0], 10)
    results, times = zip(*[timed(lambda one=one: index.search(one, 10)) for one in queries], strict=True)
    told = f"median {median(times):.2f} ms, 95 % below {np.percentile(times, 95):.2f} ms, fastest {min(times):.2f} ms"
    return results, told


def exact(rows, count):
    """Print what the exact index does: searches, an addition, a deletion."""
    index = ExactIndex(DIMENSIONS)
    _, filled = timed(lambda: index.add(range(rows), clustered(rows, DIMENSIONS, 1)))
    _, told = searched(index, clustered(count, DIMENSIONS, 2))
    one = clustered(1, DIMENSIONS, 3)
    index.add([rows + 1], one)
    _, added = timed(lambda: index.add([rows + 2], one))
    found = index.search(one[0], 1)[0][0] == rows + 1
    _, deleted = timed(lambda: index.delete([rows + 1]))
    found = found and index.search(one[0], 1)[0][0] == rows + 2
    print(f"exact, {rows:,} rows: search {told}; filled in {filled:.0f} ms")
    print(
        f"  one added in {added:.2f} ms, one deleted in {deleted:.2f} ms; the next search sees it: {found}", flush=True
    )


def graph(rows, count, inner, **settings):
    """Print what the graph does, its recall against the exact index's results."""
    index = HNSWIndex(DIMENSIONS, **settings)
    queries = clustered(count, DIMENSIONS, 2, inner)
    best = [[] for _ in queries]
    spent = 0.0
    for number, start in enumerate(range(0, rows, AT_ONCE)):
        part = clustered(min(AT_ONCE, rows - start), DIMENSIONS, 10 + number, inner)
        spent += timed(lambda part=part, start=start: index.add(range(start, start + len(part)), part))[1]
        truth = ExactIndex(DIMENSIONS)
        truth.add(range(start, start + len(part)), part)
        for own, query in zip(best, queries, strict=True):
            own.extend(truth.search(query, 10))
    right = [{key for key, _ in sorted(own, key=lambda row: -row[1])[:10]} for own in best]
    results, told = searched(index, queries)
    recall = np.mean([len(wanted & {key for key, _ in got}) / 10 for wanted, got in zip(right, results, strict=True)])
    gone = [next(iter(wanted)) for wanted in right]
    _, deleted = timed(lambda: index.delete(list(dict.fromkeys(gone))))
    absent = all(key not in gone for query in queries for key, _ in index.search(query, 10))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"graph ({settings}, {inner} directions), {rows:,} rows: search {told}; recall at 10 is {recall:.3f}")
    print(f"  filled in {spent / 1e3:.0f} s; {len(set(gone))} deleted in {deleted:.1f} ms, none found again: {absent}")
    print(f"  the process has used {memory:.0f} MB", flush=True)


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--precision", default="f16", choices=["f32", "f16", "bf16", "i8"])
    parser.add_argument("--adding", type=int, default=128)
    parser.add_argument("--searching", type=int, default=128)
    parser.add_argument("--directions", type=int, default=24)
    given = parser.parse_args()
    exact(1_000 if given.quick else 10_000, 5 if given.quick else 200)
    if importlib.util.find_spec("usearch") is None:
        print("the extra `ann` is not installed: the graph is left out", file=sys.stderr)
        return
    settings = {"precision": given.precision, "adding": given.adding, "searching": given.searching}
    graph(500 if given.quick else given.rows, 5 if given.quick else 200, given.directions, **settings)


if __name__ == "__main__":
    main()
