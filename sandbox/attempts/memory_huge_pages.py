# tries: takes huge pages
# expect: finished|raised|memory
# limits: memory_mb=128

import mmap

breached = False
try:
    taken = mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
except OSError:
    pass
else:
    breached = True
