"""The ten functions of the code-golf task: what each does, how a program may begin, and inputs to test it with.

The program that a search begins with defines what is right; it was written to be plain, not short.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

__all__ = ["GOLF", "Golf"]


@dataclass(frozen=True, slots=True)
class Golf:
    """A function to be written with as few bytes as possible.

    Attributes:
        does: what ``f`` does, as the task says it.
        start: a plain program that defines it.
        fixed: argument tuples that every seed tests: the edges.
        drawn: makes a further argument tuple.
    """

    does: str
    start: str
    fixed: tuple[tuple[Any, ...], ...]
    drawn: Callable[[random.Random], tuple[Any, ...]]


def _runs(dice: random.Random) -> tuple[str]:
    return ("".join(dice.choice("ab c.") * dice.randint(1, 12) for _ in range(dice.randint(1, 6))),)


def _brackets(dice: random.Random) -> tuple[str]:
    text = ""
    for _ in range(dice.randint(1, 5)):
        at = dice.randint(0, len(text))
        text = text[:at] + dice.choice(["()", "[]", "{}"]) + text[at:]
    letters = list(text)
    if dice.random() < 0.5:
        dice.shuffle(letters)
    return ("".join(letters),)


def _words(dice: random.Random) -> tuple[list[str]]:
    stem = "".join(dice.choices("abc", k=dice.randint(0, 4)))
    return ([stem + "".join(dice.choices("abc", k=dice.randint(0, 4))) for _ in range(dice.randint(1, 4))],)


def _table(dice: random.Random) -> tuple[list[list[int]]]:
    rows, columns = dice.randint(1, 4), dice.randint(1, 4)
    return ([[dice.randint(-9, 9) for _ in range(columns)] for _ in range(rows)],)


def _letters(dice: random.Random) -> tuple[str]:
    return ("".join(dice.choices(string.ascii_letters + " ,.", k=dice.randint(1, 24))),)


def _whole(low: int, high: int) -> Callable[[random.Random], tuple[int]]:
    return lambda dice: (dice.randint(low, high),)


GOLF = (
    Golf(
        "f(s) shortens runs of equal characters: each run becomes the character and its length, a run of one stays the"
        " character alone; 'aaab' becomes 'a3b'",
        """
def f(s):
    result = ""
    position = 0
    while position < len(s):
        end = position
        while end < len(s) and s[end] == s[position]:
            end += 1
        length = end - position
        result += s[position] + (str(length) if length > 1 else "")
        position = end
    return result
""",
        (("",), ("a",), ("aa",), ("ab",), ("\n\n\t",)),
        _runs,
    ),
    Golf(
        "f(s) says, as True or False, whether the brackets ()[]{} in s, which has no other characters, are balanced",
        """
def f(s):
    stack = []
    partner = {")": "(", "]": "[", "}": "{"}
    for character in s:
        if character in partner.values():
            stack.append(character)
        elif not stack or stack.pop() != partner[character]:
            return False
    return not stack
""",
        (("",), ("(]",), ("([)]",), ("]",), ("({[]})",)),
        _brackets,
    ),
    Golf(
        "f(n) writes the whole number n, from 1 to 3999, as a Roman numeral; 1994 is 'MCMXCIV'",
        """
def f(n):
    values = [1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1]
    numerals = ["M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"]
    result = ""
    for value, numeral in zip(values, numerals):
        while n >= value:
            result += numeral
            n -= value
    return result
""",
        ((1,), (4,), (9,), (1994,), (3999,), (3888,)),
        _whole(1, 3999),
    ),
    Golf(
        "f(n) counts the steps from n, 1 or more, down to 1: an even number is halved, an odd one becomes 3 n + 1",
        """
def f(n):
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps = steps + 1
    return steps
""",
        ((1,), (2,), (3,), (27,), (2**40,)),
        _whole(1, 10_000),
    ),
    Golf(
        "f(n) returns the list of texts for 1 to n: 'Fizz' for multiples of 3, 'Buzz' for those of 5, 'FizzBuzz' for"
        " those of both, the number itself for the others",
        """
def f(n):
    result = []
    for number in range(1, n + 1):
        if number % 15 == 0:
            result.append("FizzBuzz")
        elif number % 3 == 0:
            result.append("Fizz")
        elif number % 5 == 0:
            result.append("Buzz")
        else:
            result.append(str(number))
    return result
""",
        ((0,), (1,), (15,), (100,)),
        _whole(1, 60),
    ),
    Golf(
        "f(s) turns each letter A-Z and a-z thirteen places on in its alphabet, and leaves every other character",
        """
def f(s):
    result = ""
    for character in s:
        if "a" <= character <= "z":
            result += chr((ord(character) - ord("a") + 13) % 26 + ord("a"))
        elif "A" <= character <= "Z":
            result += chr((ord(character) - ord("A") + 13) % 26 + ord("A"))
        else:
            result += character
    return result
""",
        (("",), ("azAZ",), ("Hello, World 42!",), ("\u00e9\u00df",)),
        _letters,
    ),
    Golf(
        "f(n) returns the prime factors of n, 2 or more, as a list, smallest first, each as often as it divides n",
        """
def f(n):
    factors = []
    divisor = 2
    while n > 1:
        if n % divisor == 0:
            factors.append(divisor)
            n = n // divisor
        else:
            divisor = divisor + 1
    return factors
""",
        ((2,), (4,), (97,), (1024,), (9409,)),
        _whole(2, 5000),
    ),
    Golf(
        "f(n) adds up the decimal digits of n, 0 or more, again and again until one digit is left, and returns it",
        """
def f(n):
    while n > 9:
        total = 0
        for digit in str(n):
            total = total + int(digit)
        n = total
    return n
""",
        ((0,), (9,), (10,), (99,), (10**30 - 1,)),
        _whole(0, 10**9),
    ),
    Golf(
        "f(m) turns a table, a list of rows of equal length, by a quarter to the right: [[1, 2], [3, 4]] becomes"
        " [[3, 1], [4, 2]]",
        """
def f(m):
    result = []
    for column in range(len(m[0])):
        row = []
        for index in range(len(m) - 1, -1, -1):
            row.append(m[index][column])
        result.append(row)
    return result
""",
        (([[1]],), ([[1, 2], [3, 4]],), ([[1, 2, 3]],), ([[1], [2]],)),
        _table,
    ),
    Golf(
        "f(w) returns the longest text with which every text of the list w, which is not empty, begins",
        """
def f(w):
    prefix = ""
    for position in range(len(w[0])):
        character = w[0][position]
        for word in w:
            if position >= len(word) or word[position] != character:
                return prefix
        prefix += character
    return prefix
""",
        (([""],), (["a"],), (["ab", "a"],), (["b", "a"],), (["abc", "abd", "abcd"],)),
        _words,
    ),
)
"""The functions; a seed takes the one at ``seed % 10``."""
