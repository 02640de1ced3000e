# tries: changes the root of its file system
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

os.mkdir("old")
breached = libc.syscall(155 if os.uname().machine == "x86_64" else 41, b".", b"old") == 0
