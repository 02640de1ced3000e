# tries: takes shared anonymous memory
# expect: memory|raised
# limits: memory_mb=128,wall_s=20
# needs: rlimits|watch|cgroup

import mmap

taken = mmap.mmap(-1, 1 << 30)
for at in range(0, len(taken), 4096):
    taken[at] = 1
