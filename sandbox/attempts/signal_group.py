# tries: signals its parent's process group and session
# expect: finished|raised|killed

import os
import signal

group = os.getpgid(os.getppid()) if os.getppid() else 0
for target in (group, os.getsid(0), 1):
    if target > 1 and target != os.getpgrp():
        try:
            os.killpg(target, signal.SIGTERM)
        except OSError:
            pass
breached = False
