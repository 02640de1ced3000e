# tries: asks to be traced
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

breached = libc.ptrace(0, 0, 0, 0) == 0
