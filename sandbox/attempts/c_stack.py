# tries: overruns the stack of C code
# expect: killed|raised|memory
# limits: wall_s=20

import sys

sys.setrecursionlimit(10**9)


def deeper(n):
    return sorted([1], key=lambda _: deeper(n + 1))


deeper(0)
