# tries: stops itself, so that its end never comes
# expect: timeout
# endless: yes
# limits: wall_s=1

import os
import signal

os.kill(os.getpid(), signal.SIGSTOP)
breached = False
