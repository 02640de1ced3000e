# tries: loads a program into the kernel
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

attributes = ctypes.create_string_buffer(128)
ctypes.memmove(attributes, (ctypes.c_uint32 * 4)(2, 4, 4, 1), 16)  # an array map: 4-byte keys and values, one of each
breached = libc.syscall(321 if os.uname().machine == "x86_64" else 280, 0, attributes, 128) >= 0
