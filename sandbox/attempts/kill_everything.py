# tries: kills every process that it may
# expect: finished|raised|killed
# needs: pid|seccomp

import os
import signal

try:
    os.kill(-1, signal.SIGKILL)
except ProcessLookupError:
    pass
breached = False
