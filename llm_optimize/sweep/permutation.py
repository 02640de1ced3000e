"""The numbers below n in a random order, each when it is asked for: a grid of any size is sampled, never laid out.

A Feistel network (Luby and Rackoff, SIAM Journal on Computing 17, 1988) over the next even number of bits is a
bijection whatever its rounds are made of; a result that is not below n goes through it again until it is (cycle
walking, Black and Rogaway, CT-RSA 2002), four times on average at most.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["Permutation"]

_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Permutation:
    """A bijection of 0 .. size - 1.

    Attributes:
        size: how many numbers, at least 1.
        seed: equal seeds give equal orders.

    Example:
        >>> sorted(map(Permutation(5, seed=3), range(5)))
        [0, 1, 2, 3, 4]
    """

    size: int
    seed: int = 0

    def __call__(self, index: int) -> int:
        """Return the number at a place in the order.

        Raises:
            IndexError: there is no such place.
        """
        if not 0 <= index < self.size:
            msg = f"there are {self.size} places, and none is {index}"
            raise IndexError(msg)
        found = self._network(index)
        while found >= self.size:
            found = self._network(found)
        return found

    def _network(self, value: int) -> int:
        half = max(1, ((self.size - 1).bit_length() + 1) // 2)
        left, right = value >> half, value & ((1 << half) - 1)
        for number in range(_ROUNDS):
            left, right = right, left ^ self._round(number, right, half)
        return (left << half) | right

    def _round(self, number: int, value: int, bits: int) -> int:
        digest = hashlib.blake2b(f"{self.seed} {number} {value}".encode(), digest_size=8 + bits // 8).digest()
        return int.from_bytes(digest, "big") & ((1 << bits) - 1)
