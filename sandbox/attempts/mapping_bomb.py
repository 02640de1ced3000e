# tries: makes as many mappings as the kernel allows
# expect: finished|raised|memory|killed
# limits: wall_s=3

import mmap

taken, breached = [], False
try:
    for number in range(70_000):
        taken.append(mmap.mmap(-1, 4096, prot=mmap.PROT_READ if number % 2 else mmap.PROT_WRITE))
except (OSError, MemoryError):
    taken.clear()
