# tries: attaches a debugger to the process that forked it
# expect: finished

import ctypes
import os

breached = ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0
