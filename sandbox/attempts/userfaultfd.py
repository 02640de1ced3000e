# tries: handles its own page faults, which makes faults of the kernel easier to use
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

breached = libc.syscall(323 if os.uname().machine == "x86_64" else 282, 1) >= 0
