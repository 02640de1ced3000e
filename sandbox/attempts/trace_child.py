# tries: traces a child of its own
# expect: finished|raised|killed

import ctypes
import os
import signal
import time

libc = ctypes.CDLL(None)
child = os.fork()
if child == 0:
    time.sleep(60)
breached = libc.ptrace(16, child, 0, 0) == 0
os.kill(child, signal.SIGKILL)
