# tries: opens a performance counter
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

attributes = ctypes.create_string_buffer(128)
ctypes.memmove(attributes, (ctypes.c_uint32 * 2)(1, 128), 8)
attributes[40] = 0x60  # user space only, which needs the fewest rights
breached = libc.syscall(298 if os.uname().machine == "x86_64" else 241, attributes, 0, -1, -1, 0) >= 0
