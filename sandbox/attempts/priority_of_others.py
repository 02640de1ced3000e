# tries: slows other processes down, and itself up
# expect: finished|raised|killed

import os

breached = False
for kind, who in ((os.PRIO_PROCESS, os.getppid()), (os.PRIO_PROCESS, 1), (os.PRIO_PROCESS, host_pid), (os.PRIO_PROCESS, 0)):
    try:
        old = os.getpriority(kind, who)
        os.setpriority(kind, who, -19 if who == 0 else 19)
        breached |= os.getpriority(kind, who) != old
    except OSError:
        pass
