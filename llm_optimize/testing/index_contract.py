"""What every index of vectors must do, as tests that anyone can run for an index of their own.

Subclass :class:`IndexContract` in a test file::

    class TestMyIndex(IndexContract):
        exact = False

        def made(self, dimensions):
            return MyIndex(dimensions)

        def loaded(self, path):
            return MyIndex.load(path)

An exact index is compared with brute force to 1e-6; an approximate one must find at least 95 % of the ten nearest, and
its cosines may be off by the rounding of its rows.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from llm_optimize.errors import BadInput, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from llm_optimize.retrieval.index import VectorIndex

__all__ = ["IndexContract", "brute_force", "clustered"]

_D = 48
_N = 600
_RECALL = 0.95
_THREADS = 4


def clustered(count: int, dimensions: int, seed: int, inner: int = 24) -> Any:  # noqa: ANN401 - numpy is optional here
    """Return rows like those of texts, float32: most of their variance in ``inner`` directions, any length."""
    import numpy as np  # noqa: PLC0415 - optional and heavy

    basis = np.random.default_rng(0).normal(size=(inner, dimensions))
    draw = np.random.default_rng(seed)
    return (draw.normal(size=(count, inner)) @ basis + draw.normal(size=(count, dimensions))).astype(np.float32)


def brute_force(keys: list[int], rows: Any, query: Any, k: int) -> list[tuple[int, float]]:  # noqa: ANN401 - as above
    """Return keys and cosines of the nearest rows in double precision; of equal ones the earlier first."""
    import numpy as np  # noqa: PLC0415 - optional and heavy

    wide, one = np.asarray(rows, dtype=np.float64), np.asarray(query, dtype=np.float64)
    lengths = np.linalg.norm(wide, axis=1) * np.linalg.norm(one)
    cosines = np.array([float(row @ one) for row in wide]) / np.where(lengths > 0, lengths, 1.0)
    return [(keys[place], float(cosines[place])) for place in np.argsort(-cosines, kind="stable")[:k]]


class IndexContract:
    """The tests; each says in one sentence what must hold.

    Attributes:
        exact: whether the index promises the very nearest.
        tolerance: how far a cosine may be off.
    """

    exact = True
    tolerance = 1e-6

    def made(self, dimensions: int) -> VectorIndex:
        """Return an empty index."""
        raise NotImplementedError

    def loaded(self, path: Path) -> VectorIndex:
        """Return the index that was saved at ``path``."""
        raise NotImplementedError

    def filled(self, count: int = _N) -> tuple[VectorIndex, list[int], Any]:
        """Return an index with rows, the keys in no special order, and the rows."""
        keys, rows = [(number * 7919) % 100_003 for number in range(count)], clustered(count, _D, 1)
        index = self.made(_D)
        index.add(keys, rows)
        return index, keys, rows

    def check(self, index: VectorIndex, keys: list[int], rows: Any, queries: Any) -> None:  # noqa: ANN401 - arrays
        """Compare searches with brute force."""
        hits = 0
        for query in queries:
            ranking, found = brute_force(keys, rows, query, len(keys)), index.search(query, 10)
            right, cosines = ranking[:10], dict(ranking)
            assert len(found) == min(10, len(keys))
            assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
            assert all(abs(cosines[key] - score) <= self.tolerance for key, score in found)
            hits += len({key for key, _ in found} & {key for key, _ in right})
            if self.exact:
                assert [key for key, _ in found] == [key for key, _ in right]
        assert hits >= _RECALL * 10 * len(queries)

    def test_the_nearest_are_those_of_brute_force(self) -> None:
        """Keys and cosines are those of a comparison with every row."""
        index, keys, rows = self.filled()
        assert len(index) == _N
        assert index.dimensions == _D
        self.check(index, keys, rows, clustered(20, _D, 2))

    def test_an_added_row_is_found_by_the_next_search(self) -> None:
        """Nothing has to be rebuilt."""
        index, keys, rows = self.filled(300)
        for number, row in enumerate(clustered(20, _D, 3)):
            index.add([200_000 + number], row[None])
            assert index.search(row * 3, 1)[0][0] == 200_000 + number
        assert len(index) == len(keys) + 20
        assert index.search(rows[5], 1)[0][0] == keys[5]

    def test_a_deleted_row_is_never_found_and_the_others_are(self) -> None:
        """Two thirds of the rows are deleted; what is left is as good as before."""
        index, keys, rows = self.filled()
        gone = [key for place, key in enumerate(keys) if place % 3]
        index.delete(gone[: len(gone) // 2])
        index.delete(gone[len(gone) // 2 :])
        assert len(index) == _N - len(gone)
        self.check(index, keys[::3], rows[::3], clustered(20, _D, 4))
        index.add(gone[:100], [rows[keys.index(key)] for key in gone[:100]])
        assert index.search(rows[1], 1)[0][0] == keys[1]

    def test_equal_rows_come_in_the_order_of_insertion(self) -> None:
        """A text that occurs twice is found twice, the first one first; deleting and adding again makes it the last."""
        index = self.made(_D)
        row = clustered(1, _D, 5)
        index.add([9, 4, 7], [row[0], row[0] * 2, row[0]])
        index.add([5], -row)
        assert [key for key, _ in index.search(row[0], 3)] == [9, 4, 7]
        index.delete([9])
        index.add([9], row)
        assert [key for key, _ in index.search(row[0], 4)] == [4, 7, 9, 5]

    def test_a_reloaded_index_gives_identical_results(self, tmp_path: Path) -> None:
        """Keys, cosines to the last bit and order survive, also of an index with deletions, and it can be added to."""
        index, keys, _ = self.filled(500)
        index.delete(keys[10:200])
        queries = clustered(20, _D, 6)
        path = tmp_path / "deep" / "one.index"
        index.save(path)
        again = self.loaded(path)
        assert len(again) == len(index)
        assert [again.search(query, 10) for query in queries] == [index.search(query, 10) for query in queries]
        again.add([keys[10]], queries[:1])
        assert again.search(queries[0], 1)[0][0] == keys[10]
        assert [one.name for one in path.parent.iterdir()] == ["one.index"]

    def test_what_is_no_index_is_refused(self, tmp_path: Path) -> None:
        """A missing or damaged file is a StoreError that names it."""
        (tmp_path / "bad").write_bytes(b"PK\x03\x04 nothing")
        for name in ("bad", "missing"):
            with pytest.raises(StoreError, match=name):
                self.loaded(tmp_path / name)

    def test_an_empty_index_finds_nothing(self, tmp_path: Path) -> None:
        """Empty from the start, emptied again, and empty after loading."""
        index = self.made(3)
        assert index.search([1, 0, 0], 5) == []
        index.add([1], [[1, 2, 3]])
        index.delete([1])
        assert index.search([1, 0, 0], 5) == []
        assert len(index) == 0
        index.save(tmp_path / "empty")
        assert self.loaded(tmp_path / "empty").search([1, 0, 0], 5) == []

    def test_fewer_rows_than_wanted_all_come(self) -> None:
        """No padding, no repeated key."""
        index = self.made(2)
        index.add([1, 2], [[1, 0], [0, 1]])
        assert [key for key, _ in index.search([1, 0.1], 10)] == [1, 2]

    def test_rows_without_direction_have_the_cosine_0(self) -> None:
        """A row of zeros, as of an empty text, is no error and near to nothing."""
        index = self.made(2)
        index.add([1, 2], [[0, 0], [1, 1]])
        assert dict(index.search([1, 1], 2))[1] == 0
        assert all(score == 0 for _, score in index.search([0, 0], 2))

    @pytest.mark.parametrize("keys", [[1, 1], [0, 2], [-1, 3]])
    def test_keys_that_are_taken_are_refused_whole(self, keys: list[int]) -> None:
        """A key that is known, comes twice or is negative adds nothing."""
        index = self.made(2)
        index.add([0], [[1, 0]])
        with pytest.raises(BadInput, match="keys"):
            index.add(keys, [[1, 0], [0, 1]])
        assert len(index) == 1

    def test_unknown_keys_and_wrong_shapes_are_refused(self) -> None:
        """Nothing is deleted or added by halves."""
        index = self.made(2)
        index.add([0], [[1, 0]])
        for wrong in ([0, 5], [0, 0]):
            with pytest.raises(BadInput, match="keys"):
                index.delete(wrong)
        with pytest.raises(BadInput, match="shape"):
            index.add([1], [[1, 0, 0]])
        with pytest.raises(BadInput, match="shape"):
            index.search([1, 0, 0], 1)
        with pytest.raises(BadInput, match="k is"):
            index.search([1, 0], 0)
        assert [key for key, _ in index.search([1, 0], 5)] == [0]

    def test_threads_may_search_while_others_change(self) -> None:
        """Searches see whole states; nothing is lost."""
        index, keys, rows = self.filled(200)
        found: list[int] = []

        def search() -> None:
            found.extend(index.search(rows[0], 1)[0][0] for _ in range(50))

        def change(base: int) -> None:
            for number in range(20):
                index.add([base + number], -rows[number][None])
                index.delete([base + number])

        threads = [threading.Thread(target=search) for _ in range(_THREADS)]
        threads += [threading.Thread(target=change, args=(300_000 + 1_000 * one,)) for one in range(_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [keys[0]] * (50 * _THREADS)
        assert len(index) == 200  # noqa: PLR2004 - as filled
