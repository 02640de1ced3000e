# tries: sends a hundred thousand signals to its parent
# expect: finished|raised|killed
# limits: wall_s=5

import os
import signal

for number in range(100_000):
    try:
        os.kill(os.getppid(), (signal.SIGCHLD, signal.SIGUSR1, signal.SIGWINCH, signal.SIGRTMIN, signal.SIGURG)[number % 5])
    except OSError:
        break
breached = False
