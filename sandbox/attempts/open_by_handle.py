# tries: opens the host's files by their number, past its root
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

handle = ctypes.create_string_buffer(16)
ctypes.memmove(handle, (ctypes.c_uint32 * 4)(8, 1, 2, 0), 16)  # inode 2: the root folder of most file systems
place = os.open("/usr", os.O_RDONLY)
breached = libc.open_by_handle_at(place, handle, 0) >= 0
