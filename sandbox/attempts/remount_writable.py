# tries: makes the system's files writable
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

breached = any(libc.mount(None, path, None, 32 | 4096, None) == 0 for path in (b"/usr", b"/", b"/box"))
