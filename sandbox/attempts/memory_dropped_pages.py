# tries: fills shared memory, then takes the pages out of its tables, where a count of resident pages sees them
# expect: memory|raised|killed|processes
# limits: memory_mb=128,wall_s=5
# needs: rlimits|watch|cgroup

import mmap
import os
import time

told, tell = os.pipe()
for _ in range(6):
    if os.fork() == 0:
        taken = mmap.mmap(-1, 48 << 20)
        for at in range(0, len(taken), 1 << 20):
            taken[at : at + (1 << 20)] = bytes(1 << 20)
            taken.madvise(mmap.MADV_DONTNEED, at, 1 << 20)
        os.write(tell, b"x")
        time.sleep(3600)
for _ in range(6):
    os.read(told, 1)
time.sleep(1)
breached = True
