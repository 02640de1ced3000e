# tries: becomes root of a user namespace, then mounts
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

breached = libc.unshare(0x10000000 | 0x00020000) == 0 and libc.mount(b"tmpfs", b"/usr", b"tmpfs", 0, None) == 0
