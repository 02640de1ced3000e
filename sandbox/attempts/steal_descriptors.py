# tries: takes descriptors of other processes (pidfd_getfd)
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

breached = False
for pid in (os.getppid(), 1, host_pid):
    handle = libc.syscall(434, pid, 0)
    for number in range(32):
        breached |= handle >= 0 and libc.syscall(438, handle, number, 0) >= 0
