# tries: mounts by the newer calls (fsopen, open_tree, move_mount)
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

breached = libc.syscall(430, b"tmpfs", 0) >= 0 or libc.syscall(428, -100, b"/", 1) >= 0
