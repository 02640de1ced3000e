"""Other ways to write the ten functions of the code-golf task, as plainly as a person would first write them down.

Some are shorter from the start, some only once they are squeezed, some fail a hidden test: those are the dead ends.
"""

from __future__ import annotations

__all__ = ["IDEAS"]

IDEAS: tuple[tuple[str, ...], ...] = (
    (
        """from itertools import groupby
def f(s):
    result = ""
    for key, group in groupby(s):
        length = len(list(group))
        result += key + str(length) * (length > 1)
    return result""",
        """import re
def f(s):
    return re.sub(r"(.)\\1+", lambda match: match[1] + str(len(match[0])), s)""",
        """import re
def f(s):
    return re.sub(r"(?s)(.)\\1+", lambda match: match[1] + str(len(match[0])), s)""",
    ),
    (
        """def f(s):
    for character in s:
        s = s.replace("()", "").replace("[]", "").replace("{}", "")
    return s == \"\"""",
        """def f(s):
    return all(s.count(left) == s.count(right) for left, right in ["()", "[]", "{}"])""",
        """import re
def f(s):
    for character in s:
        s = re.sub(r"\\(\\)|\\[\\]|{}", "", s)
    return not s""",
    ),
    (
        """def f(n):
    result = ""
    numerals = "M CM D CD C XC L XL X IX V IV I".split()
    for value, numeral in zip((1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1), numerals):
        result += n // value * numeral
        n %= value
    return result""",
        """def f(n):
    result = ""
    for value, numeral in zip((1000, 500, 100, 50, 10, 5, 1), "MDCLXVI"):
        result += n // value * numeral
        n %= value
    return result""",
    ),
    (
        """def f(n):
    if n == 1:
        return 0
    return 1 + f(n // 2 if n % 2 == 0 else 3 * n + 1)""",
        """def f(n):
    steps = 0
    while n > 1:
        n = (n // 2, 3 * n + 1)[n % 2]
        steps += 1
    return steps""",
        """def f(n):
    return n > 1 and 1 + f([n // 2, 3 * n + 1][n % 2])""",
    ),
    (
        """def f(n):
    return ["Fizz" * (number % 3 == 0) + "Buzz" * (number % 5 == 0) or str(number) for number in range(1, n + 1)]""",
        """def f(n):
    result = []
    for number in range(1, n + 1):
        text = "Fizz" * (number % 3 < 1) + "Buzz" * (number % 5 < 1)
        result.append(text or str(number))
    return result""",
        """def f(n):
    return ["Fizz"[number % 3 * 4:] + "Buzz"[number % 5 * 4:] or str(number) for number in range(1, n + 1)]""",
    ),
    (
        """import codecs
def f(s):
    return codecs.encode(s, "rot13")""",
        """def f(s):
    return "".join(chr((ord(letter) - 97 + 13) % 26 + 97) if letter.isalpha() else letter for letter in s)""",
        """def f(s):
    letters = "abcdefghijklmnopqrstuvwxyz"
    turned = letters[13:] + letters[:13]
    return s.translate(str.maketrans(letters + letters.upper(), turned + turned.upper()))""",
    ),
    (
        """def f(n, divisor=2):
    if n < 2:
        return []
    if n % divisor == 0:
        return [divisor] + f(n // divisor, divisor)
    return f(n, divisor + 1)""",
        """def f(n):
    for divisor in range(2, n + 1):
        if n % divisor == 0:
            return [divisor] + f(n // divisor)
    return []""",
    ),
    (
        """def f(n):
    return n if n < 10 else f(sum(map(int, str(n))))""",
        """def f(n):
    return n % 9""",
        """def f(n):
    return n and (n - 1) % 9 + 1""",
    ),
    (
        """def f(m):
    return [list(row) for row in zip(*m[::-1])]""",
        """def f(m):
    return list(zip(*m[::-1]))""",
        """def f(m):
    return [[row[column] for row in reversed(m)] for column in range(len(m[0]))]""",
    ),
    (
        """import os
def f(w):
    return os.path.commonprefix(w)""",
        """def f(w):
    prefix = w[0]
    while not all(word.startswith(prefix) for word in w):
        prefix = prefix[:-1]
    return prefix""",
        """def f(w):
    return "".join(column[0] for column in zip(*w) if len(set(column)) == 1)""",
    ),
)
"""For each of :data:`tasks.golf_functions.GOLF`."""
