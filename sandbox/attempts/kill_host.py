# tries: kills the host by its process number
# expect: finished|raised

import os
import signal

os.kill(host_pid, signal.SIGKILL)
breached = False
