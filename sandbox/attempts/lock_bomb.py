# tries: locks thousands of pieces of a file
# expect: finished|raised|killed|timeout|cpu
# limits: wall_s=3

import fcntl

with open("file", "wb") as file:
    for number in range(4_000):
        fcntl.lockf(file, fcntl.LOCK_EX, 1, number * 2)
breached = False
