# tries: takes back that it dies with its parent, and leaves a child in a session of its own
# expect: finished|raised

import ctypes
import os
import signal
import time

ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        os.closerange(0, 1024)
        time.sleep(3600)
breached = False
