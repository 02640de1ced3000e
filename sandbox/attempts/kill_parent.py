# tries: kills, stops and interrupts the process that forked it
# expect: finished

import os
import signal

for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGKILL):
    try:
        os.kill(os.getppid(), number)
    except OSError:
        pass
breached = False
