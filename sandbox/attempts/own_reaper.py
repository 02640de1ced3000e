# tries: makes itself the parent of all orphans, then leaves them
# expect: finished|raised

import ctypes
import os
import time

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        time.sleep(3600)
    os._exit(0)
os.wait()
breached = False
