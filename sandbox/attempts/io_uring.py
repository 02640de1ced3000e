# tries: opens a ring of io_uring, which passes by filters of system calls
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

parameters = ctypes.create_string_buffer(120)
breached = libc.syscall(425, 4, parameters) >= 0
