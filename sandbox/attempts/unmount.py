# tries: takes away what is mounted over the host's files
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

breached = any(libc.umount2(path, 2) == 0 for path in (b"/proc", b"/box", b"/usr", b"/dev/null", b"/"))
