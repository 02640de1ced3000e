# tries: makes namespaces by clone3, whose flags a filter cannot see
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

arguments = (ctypes.c_uint64 * 11)(0x10000000 | 0x00020000, 0, 0, 0, 17)
pid = libc.syscall(435, arguments, 88)
if pid == 0:
    os._exit(0)
breached = pid > 0
