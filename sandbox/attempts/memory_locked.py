# tries: locks its memory, so that it cannot be swapped
# expect: finished|raised|memory
# limits: memory_mb=128

import ctypes
import mmap

breached = ctypes.CDLL(None).mlock(ctypes.addressof(ctypes.c_char.from_buffer(mmap.mmap(-1, 64 << 20))), 64 << 20) == 0
