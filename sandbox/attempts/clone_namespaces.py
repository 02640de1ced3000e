# tries: makes namespaces of each kind by clone
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

number = 56 if os.uname().machine == "x86_64" else 220
breached = False
for kind in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x08000000, 0x04000000, 0x02000000):
    pid = libc.syscall(number, ctypes.c_ulong(kind | 17), 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    breached |= pid > 0
