# tries: binds other processes to one processor
# expect: finished|raised|killed

import os

breached = False
for pid in {os.getppid(), 1, host_pid} - {0}:
    try:
        old = os.sched_getaffinity(pid)
        os.sched_setaffinity(pid, {min(old)})
        breached |= os.sched_getaffinity(pid) != old
    except OSError:
        pass
